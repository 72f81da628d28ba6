"""The members' curves as they grow, and what they say of the settings."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._members import Means

Curves = Mapping[str, NDArray[np.float64]]
"""By name, each member's value after each epoch (settings, ..., epochs); NaN where untrained."""


class Choice(NamedTuple):
    """What is chosen by: a score on held-out data, and which end of it is better."""

    sign: int  # 1 for the lowest, -1 for the highest
    column: str


class Record:
    """The curves of a search.

    Attributes:
        curves: (settings, lanes, epochs).
        epochs: that each setting has been trained for, all its lanes (settings,).
    """

    def __init__(self, settings: int, lanes: int, epochs: int) -> None:
        self.curves: dict[str, NDArray[np.float64]] = {}
        self.epochs = np.zeros(settings, int)
        self._shape = settings, lanes, epochs

    def add(
        self, settings: NDArray[np.intp], lanes: NDArray[np.intp], epoch: int, means: Means
    ) -> None:
        """Write what these members reached in an epoch, counted from 1."""
        for name, values in means.items():
            curve = self.curves.setdefault(name, np.full(self._shape, np.nan))
            curve[settings[:, None], lanes, epoch - 1] = values
        if lanes[-1] == self._shape[1] - 1:  # the last lanes of a setting come last
            self.epochs[settings] = epoch


def checked_choice(where: str, choose: Any, scores: Sequence[str]) -> Choice:
    """Return what "lowest loss" or "highest accuracy" says.

    Raises:
        ValueError: other words, or a score that an evaluation does not give.
    """
    words = choose.split(" ", 1) if isinstance(choose, str) else []
    if len(words) != 2 or words[0] not in ("lowest", "highest"):
        raise ValueError(
            f"{where}: choose must be 'lowest' or 'highest' and the name of a score, such as "
            f"'lowest loss', got {choose!r}"
        )
    if scores and words[1] not in scores:
        raise ValueError(
            f"{where}: choose is {choose!r}, but the scores are {', '.join(scores)}; give "
            "train.supervised that metric"
        )
    return Choice(1 if words[0] == "lowest" else -1, f"validation_{words[1]}")


def last(curve: NDArray[np.float64], epochs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return each member's value after the last epoch of its setting, NaN where there is none."""
    values: NDArray[np.float64] = curve[np.arange(len(epochs)), ..., np.maximum(epochs, 1) - 1]
    return values


def diverged(curves: Curves, epochs: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which members' loss, in training or on held-out data, was ever not finite."""
    losses = [curves[name] for name in ("loss", "validation_loss") if name in curves]
    trained = np.arange(losses[0].shape[-1]) < epochs.reshape(-1, *[1] * (losses[0].ndim - 1))
    bad = [np.any(trained & ~np.isfinite(curve), axis=-1) for curve in losses]
    return np.asarray(np.any(bad, axis=0))


def order(curves: Curves, epochs: NDArray[np.int64], choice: Choice) -> NDArray[np.intp] | None:
    """Return the settings, the best first; None where nothing was held out.

    Those of which a member diverged come last, those trained for longer first; then decides the
    mean over members.
    """
    if choice.column not in curves:
        return None
    values = choice.sign * last(curves[choice.column], epochs)
    bad = diverged(curves, epochs) | np.isnan(values)
    axes = tuple(range(1, values.ndim))
    bad_settings = bad.any(axes)
    means = np.where(bad_settings, 0, np.where(bad, 0, values).mean(axes))
    return np.lexsort((means, -epochs, bad_settings | (epochs == 0)))


def winner(curves: Curves, epochs: NDArray[np.int64], choice: Choice) -> int | None:
    """Return the best setting, None where nothing was held out or all diverged."""
    best = order(curves, epochs, choice)
    if best is None or not epochs[best[0]] or diverged(curves, epochs)[best[0]].any():
        return None
    return int(best[0])

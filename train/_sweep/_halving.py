"""Successive halving: all settings for a few epochs, then the better ones for η times as many."""

from collections.abc import Sequence
from typing import Any

from .._objective import Batch
from ._brackets import check_ladder, climbed, floor_log, rungs
from ._result import SweepResult
from ._settings import Build
from ._task import checked_task


def halving(
    build: Build,
    settings: Sequence[dict[str, Any]],
    data: Batch,
    *,
    epochs: int = 27,
    eta: int = 3,
    batch_size: int = 128,
    seeds: int | Sequence[int] = 1,
    validation: Batch | None = None,
    folds: int | None = None,
    choose: str = "lowest loss",
    at_once: int | None = None,
    progress: bool = True,
) -> SweepResult:
    """Train many settings for a short time, and only the best η-th of them on, again and again.

    Those that go on do so from where they stand, nothing is trained twice: the best setting's
    curve is that of `fit` for all of the epochs. With n settings the cost is about that of
    n·(R + 1) / ηᴿ whole trainings, R = ⌊log_η min(n, epochs)⌋. Schedules should be made for all of
    the epochs. The states of all members are held in memory.

    Args:
        build: as in `sweep`.
        settings: as in `sweep`; the more the better, `sample` makes them.
        data: as in `sweep`.
        epochs: that the last ones are trained for.
        eta: η, of how many one goes on.
        batch_size: examples a step.
        seeds: as in `sweep`.
        validation: as in `sweep`.
        folds: as in `sweep`.
        choose: as in `sweep`, after the epochs of each rung.
        at_once: members to train at the same time, as in `sweep`.
        progress: whether to draw a bar.

    Raises:
        TypeError, ValueError: bad arguments, settings or data, neither validation nor folds, before
            anything is compiled.

    >>> import jax.numpy as jnp
    >>> from laminax import nn, optim, train
    >>> def build(rate):
    ...     return train.supervised(nn.dense(1), nn.losses.squared_error), optim.sgd(rate)
    >>> x = jnp.linspace(-1, 1, 64)[:, None]
    >>> data, held_out = train.data.split((x, 2 * x + 1), 0.75)
    >>> rates = train.sample(9, rate=train.log_uniform(1e-4, 0.1))
    >>> result = train.halving(build, rates, data, epochs=9, batch_size=8, validation=held_out,
    ...                        progress=False)
    >>> [row.epochs for row in result.rows]
    [9, 3, 3, 1, 1, 1, 1, 1, 1]
    >>> result.best.setting == max(rates, key=lambda setting: setting["rate"])
    True

    Source: Jamieson and Talwalkar, Non-stochastic best arm identification and hyperparameter
    optimization, 2016.
    """
    check_ladder("halving", epochs, eta, at_once, validation, folds)
    task = checked_task(
        "halving", build, settings, data,
        batch_size=batch_size, seeds=seeds, validation=validation, folds=folds,
    )  # fmt: skip
    n = len(task.settings)
    bracket = rungs(n, epochs, eta, floor_log(min(n, epochs), eta))
    return climbed("halving", task, [bracket], choose, at_once, progress)

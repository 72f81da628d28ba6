"""A block of members in training: their state on the devices, their clock on the host."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._interrupt import Interrupts
from .._objective import Batch, batch_size_of
from .._state import TrainState
from ..data import padded_batches, steps_until
from ._layout import layout, placed
from ._program import LONGEST, Lanes, Plan, advance, member, score, start, taken

Means = dict[str, NDArray[np.float64]]
"""By name, each member's mean over an epoch (settings, lanes)."""

_SECONDS = 0.25  # a chunk's length: how long an interrupt may wait
_EVALUATED = 64  # examples at a time, at least; each meets every member at once


class Members:
    """Some settings × some lanes that are trained together, epoch by epoch.

    Attributes:
        values: the traced hyperparameters by name, a value a setting.
        lanes: seed and fold of each lane.
        epochs: how many are done.
    """

    def __init__(
        self,
        plan: Plan,
        values: Mapping[str, NDArray[np.float64]],
        settings: int,
        lanes: Lanes,
        data: Batch,
        validation: Batch | None,
    ) -> None:
        self.values, self.lanes, self.epochs = values, lanes, 0
        self._shape = settings, len(lanes.seed)
        self._layout = layout(*self._shape)
        places = len(self._layout.settings)
        self._plan = replace(plan, settings=places, sharding=self._layout.own)
        self._traced = jax.device_put(
            traced_values(self.values, self._layout.settings), self._layout.traced
        )
        placed = Lanes(*(np.asarray(part)[self._layout.lanes] for part in lanes))
        self._data, self._validation, self._lanes = jax.device_put(
            (data, validation, placed), self._layout.common
        )
        self._examples = plan.examples(data)
        self._state: TrainState | None = None
        self._step, self._pace = 0, 1

    def epoch(self, interrupts: Interrupts, tell: Callable[[int], None]) -> Means | None:
        """Train an epoch and evaluate; None where an interrupt came before its end.

        Args:
            interrupts: read between chunks.
            tell: is called with the number of steps just taken.
        """
        if self._state is None:
            self._state = start(self._plan, self._traced, self._lanes, self._data)
            self._advance(0)  # compiles, so that the clock measures steps alone
        end = steps_until(self.epochs, self._plan.batch_size, self._examples)
        rows = []
        while self._step < end:
            if interrupts.requested:
                return None
            n = min(end - self._step, self._pace)
            began = time.perf_counter()
            rows.append(self._advance(n))
            pace = math.floor(_SECONDS * n / max(time.perf_counter() - began, 1e-6))
            self._pace = max(1, min(LONGEST, pace))
            tell(n)
        self.epochs += 1
        means = self._means(jax.tree.map(lambda *parts: np.concatenate(parts), *rows))
        if self._validation is not None or self._plan.folds:
            scores = self._scores()
            means |= {f"validation_{name}": value for name, value in self._means(scores).items()}
        return means

    def state_of(self, setting: int, lane: int) -> TrainState:
        """Return a copy of one member's state, on one device."""
        assert self._state is not None
        one = member(self._state, np.int32(lane), np.int32(setting))
        home: TrainState = jax.device_put(one, jax.local_devices()[0])
        return home

    def take(
        self, settings: NDArray[np.intp], values: Mapping[str, NDArray[np.float64]] | None = None
    ) -> "Members":
        """Return the members of these settings as they stand, with other values if given."""
        assert self._state is not None
        values = {n: v[settings] for n, v in self.values.items()} if values is None else values
        data = self._data, self._validation
        new = Members(self._plan, values, len(settings), self.lanes, *data)
        lanes, places = new._layout.lanes, settings[new._layout.settings]
        new._state = placed(taken(self._state, lanes, places), new._layout)
        new.epochs, new._step, new._pace = self.epochs, self._step, self._pace
        return new

    def _advance(self, n: int) -> Any:
        self._state, sums = advance(
            self._plan, self._state, self._traced, self._lanes, self._data, np.int32(n)
        )
        self._step += n
        return jax.tree.map(lambda rows: np.asarray(rows)[:n], sums)

    def _scores(self) -> Any:
        data = self._data if self._plan.folds else self._validation
        slots = evaluation_slots(self._plan, data)
        sums = score(self._plan, self._state, self._traced, self._lanes, data, *slots)
        return jax.tree.map(np.asarray, sums)

    def _means(self, sums: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> Means:
        settings, lanes = self._shape

        def mean(total: Any, count: Any) -> NDArray[np.float64]:
            total, count = (part.sum(0, dtype=np.float64).T for part in (total, count))
            with np.errstate(invalid="ignore", divide="ignore"):
                return np.asarray(total / count)[:settings, :lanes]

        order = sorted(sums, key=lambda name: name != "loss")
        return {name: mean(*sums[name]) for name in order}


def traced_values(
    values: Mapping[str, NDArray[np.float64]], settings: NDArray[np.intp]
) -> dict[str, jax.Array]:
    """Return the values of these settings in JAX's default float dtype."""
    return {name: jnp.asarray(value[settings], dtype=float) for name, value in values.items()}


def evaluation_slots(plan: Plan, data: Batch) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return slots and weights (batches, batch) of an evaluation of one lane."""
    n = plan.folds.held_out if plan.folds else batch_size_of(data)
    return padded_batches(n, min(n, max(plan.batch_size, _EVALUATED)))

"""The population's programs: many members' steps as one, and their evaluation.

Members stand in a table: a lane for each pair of seed and fold, in which all settings stand side by
side. Members of a lane have one key, so batches, noise and the counter of steps are theirs in
common and computed once; parameters and optimizer state are each member's own.

    state.step ()    state.key (lanes,)    all else (lanes, settings, ...)
"""

import functools
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax
from jax.sharding import NamedSharding

from .._compiled import compiled_for
from .._objective import Batch, Objective, batch_spec
from .._state import TrainState, first_state, part_key
from .._step import Sums, evaluating_sums, summing_step
from ..data import gather, index
from ._folds import Folds
from ._settings import Build, check_built

LONGEST = 256  # steps a chunk may hold: the length of the buffer, which has a place a member

# Axes of settings in a lane, and of lanes.
_VALUES = 0, None
_OWN: Any = 0
_COMMON: Any = None
_STATE = (
    TrainState(_COMMON, _OWN, _OWN, _OWN, _COMMON),
    TrainState(_COMMON, _OWN, _OWN, _OWN, _OWN),
)
Traced: TypeAlias = Mapping[str, jax.Array]


class Lanes(NamedTuple):
    """What members of a lane have in common, an entry a lane."""

    seed: Any  # uint32 (lanes,)
    fold: Any  # int32 (lanes,)


@dataclass(frozen=True)
class Plan:
    """All that decides the programs of a group of settings."""

    build: Build
    static: Mapping[str, Any] = field(compare=False)
    key: Hashable  # stands for `static`
    batch_size: int
    folds: Folds | None
    settings: int = 1  # places in a lane
    sharding: NamedSharding | None = None  # of what is each member's own

    def table(self, one: Callable[..., Any], over: tuple[Any, ...], out: Any) -> Callable[..., Any]:
        """Map `one` over the table: over[i] has the axes of argument i in a lane and over lanes."""
        lane, lanes = zip(*over, strict=True)
        row = jax.vmap(one, lane, out[0], axis_size=self.settings)
        return jax.vmap(row, lanes, out[1])

    def member(self, traced: Traced) -> tuple[Objective, optax.GradientTransformation]:
        """Make the objective and the optimizer of one member."""
        built = self.build(**self.static, **traced)
        check_built("sweep", built)
        return built

    def examples(self, data: Batch) -> int:
        """Return the number of examples that a member trains on."""
        return self.folds.training if self.folds else int(jax.tree.leaves(data)[0].shape[0])


@compiled_for(1)
def start(plan: Plan, traced: Traced, lanes: Lanes, data: Batch) -> TrainState:
    """Return the members' states before the first step; of the data only shapes are read."""
    n = plan.examples(data)
    spec = batch_spec(data, n)

    def one(traced: Traced, seed: jax.Array) -> TrainState:
        objective, optimizer = plan.member(traced)
        return first_state(objective, optimizer, spec, None, seed)

    every = plan.table(one, (_VALUES, (None, 0)), _STATE)
    return _placed(plan, every(traced, lanes.seed))


@compiled_for(1, donate=0)
def advance(
    plan: Plan, state: TrainState, traced: Traced, lanes: Lanes, data: Batch, n: jax.Array
) -> tuple[TrainState, Sums]:
    """Take n ≤ LONGEST steps; rows (step, lane, setting) from n on stay zero."""

    def one(traced: Traced, state: TrainState, batch: Batch) -> tuple[TrainState, Sums]:
        return summing_step(*plan.member(traced))(state, batch, None)

    every = plan.table(one, (_VALUES, _STATE, (None, 0)), ((_STATE[0], 0), (_STATE[1], 0)))

    def step(state: TrainState) -> tuple[TrainState, Sums]:
        batches = jax.vmap(functools.partial(_batch, plan, data), (0, 0, None))(
            state.key, lanes.fold, state.step
        )
        state, sums = every(traced, state, batches)
        return _placed(plan, state), sums

    def body(i: jax.Array, carry: tuple[TrainState, Sums]) -> tuple[TrainState, Sums]:
        state, rows = carry
        state, sums = step(state)
        return state, jax.tree.map(lambda row, value: row.at[i].set(value), rows, sums)

    sums = jax.eval_shape(step, state)[1]
    rows = jax.tree.map(lambda s: jnp.zeros((LONGEST, *s.shape), s.dtype), sums)
    result: tuple[TrainState, Sums] = jax.lax.fori_loop(0, n, body, (state, rows))
    return result


@compiled_for(1)
def score(
    plan: Plan,
    state: TrainState,
    traced: Traced,
    lanes: Lanes,
    data: Batch,
    slots: jax.Array,
    weights: jax.Array,
) -> Sums:
    """Evaluate on all slots (batches, batch); return sums (batch, lane, setting).

    Without folds slots are rows of the data, with folds they count each lane's held-out rows.
    """

    def one(traced: Traced, state: TrainState, batch: Batch, weights: jax.Array) -> Sums:
        return evaluating_sums(plan.member(traced)[0], *state.variables, batch, weights)

    batch = (None, None if plan.folds is None else 0)
    every = plan.table(one, (_VALUES, _STATE, batch, batch), (0, 0))

    def body(_: None, batch: tuple[jax.Array, jax.Array]) -> tuple[None, Sums]:
        slots, weights = batch
        if plan.folds is None:
            return None, every(traced, state, gather(data, slots), weights)
        rows, real = jax.vmap(plan.folds.test_rows, (0, None))(lanes.fold, slots)
        weights = jnp.where(real, weights, jnp.zeros_like(weights))
        return None, every(traced, state, gather(data, rows), weights)

    sums: Sums = jax.lax.scan(body, None, (slots, weights))[1]
    return sums


@jax.jit
def taken(state: TrainState, lanes: jax.Array, settings: jax.Array) -> TrainState:
    """Return a copy of the states at these places of the table."""
    return _mapped(lambda a: a[lanes][:, settings], state)._replace(key=state.key[lanes])


@jax.jit
def member(state: TrainState, lane: jax.Array, setting: jax.Array) -> TrainState:
    """Return a copy of one member's state, that of a training of its own."""
    return _mapped(lambda a: a[lane, setting], state)._replace(key=state.key[lane])


def _batch(plan: Plan, data: Batch, key: jax.Array, fold: jax.Array, step: jax.Array) -> Batch:
    rows = index(part_key(key, "data"), step, plan.batch_size, plan.examples(data))
    if plan.folds:
        rows = plan.folds.train_rows(fold, rows)
    return gather(data, rows)


def _placed(plan: Plan, state: TrainState) -> TrainState:
    """Keep each member's own on the device it was given to."""
    if plan.sharding is None:
        return state
    return _mapped(lambda a: jax.lax.with_sharding_constraint(a, plan.sharding), state)


def _mapped(change: Callable[[jax.Array], jax.Array], state: TrainState) -> TrainState:
    """Change what is each member's own."""
    params, model_state, opt_state = jax.tree.map(
        change, (state.params, state.state, state.opt_state)
    )
    return TrainState(state.step, params, model_state, opt_state, state.key)

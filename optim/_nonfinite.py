"""Optimizers around an optimizer, for gradients that are not finite: skipped, or gone back from.

skip_nonfinite     no update and no change of state
rewind_nonfinite   θ ← θ′,  state ← state′,  those of some updates ago
"""

from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from ._checks import check_params, check_steps
from ._widen import steps_to, wide_copy


class RewindState(NamedTuple):
    """What `rewind_nonfinite` keeps."""

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count
    """int32 (): the updates since the copy was taken or gone back to."""
    total_notfinite: jax.Array
    """int32 (): how many times it went back."""
    returning: jax.Array
    """bool (): whether the latest update went back."""
    optimizer: optax.OptState
    copy: tuple[Any, ...]
    """The leaves of the copy of (parameters in float32 or wider, optimizer's state): bare, so that
    `rate` and `evaluated` find in this state only what is in use."""


def skip_nonfinite(
    optimizer: optax.GradientTransformation,
) -> optax.GradientTransformationExtraArgs:
    """Make no update where any element of the gradient is infinite or NaN; the state stays too.

    Such a gradient is never let through, however many there are in a row; they are counted:
    `total_notfinite` of the state holds all of them, `notfinite_count` those since the latest
    finite one. A run that only skips learns nothing, so look at them.

    >>> import jax.numpy as jnp
    >>> from laminax.optim import adam
    >>> optimizer, w = skip_nonfinite(adam(0.1)), jnp.ones(2)
    >>> updates, state = optimizer.update(jnp.array([1.0, jnp.inf]), optimizer.init(w), w)
    >>> updates.tolist(), int(state.total_notfinite)
    ([0.0, 0.0], 1)

    Source: Micikevicius et al., Mixed precision training, 2018.
    """
    # optax's accepts after so many errors in a row; its count stops at the largest int32.
    return optax.apply_if_finite(optimizer, np.iinfo(np.int32).max)


def rewind_nonfinite(
    optimizer: optax.GradientTransformation, every: ArrayLike = 100
) -> optax.GradientTransformationExtraArgs:
    """Go back to an earlier point where the gradient, or what a step leads to, is not finite.

    A copy of the parameters and of the optimizer's state is taken at the start and then each
    `every` ≥ 1 updates, before an update by a finite gradient. An update that goes back sets the
    state to that copy and adds to the parameters what leads there, in their own dtype. Where each
    is within a factor of two of its copy, that is exact in every bit; elsewhere it is as near as
    the rounding of the larger allows, and the next update, whatever its gradient, leads the rest of
    the way. `total_notfinite` of the state counts the times. Schedules go back with the state; the
    data, the model's own state (batch statistics) and the step of the training loop do not, and
    `train.fit` still stops where the loss itself is not finite. Stands around the whole optimizer,
    and costs the memory of one more copy of parameters and state. Raises ValueError for `every`
    below 1 or from `update` without `params`, TypeError for one that is not an int.

    >>> import jax.numpy as jnp
    >>> from laminax.optim import apply_updates, sgd
    >>> optimizer, w = rewind_nonfinite(sgd(1.0), every=2), jnp.zeros(1)
    >>> state, path = optimizer.init(w), []
    >>> for gradient in (-1.0, -1.0, -1.0, jnp.nan, -1.0):  # the third update begins with a copy
    ...     updates, state = optimizer.update(jnp.array([gradient]), state, w)
    ...     w = apply_updates(w, updates)
    ...     path.append(w.item())
    >>> path, int(state.total_notfinite)
    ([1.0, 2.0, 3.0, 2.0, 3.0], 1)

    Source: Chowdhery et al., PaLM: scaling language modeling with pathways, 2022, section 5.1,
    where training went back to a checkpoint about 100 steps before a spike of the loss.
    """
    check_steps("rewind_nonfinite", "every", every, "100")
    inner = optax.with_extra_args_support(optimizer)

    def init(params: optax.Params) -> RewindState:
        kept = inner.init(params)
        return RewindState(
            count=jnp.zeros((), jnp.int32),
            total_notfinite=jnp.zeros((), jnp.int32),
            returning=jnp.zeros((), bool),
            optimizer=kept,
            copy=tuple(jnp.copy(leaf) for leaf in jax.tree.leaves((wide_copy(params), kept))),
        )

    def update(
        updates: optax.Updates,
        state: RewindState,
        params: optax.Params | None = None,
        **extra: Any,
    ) -> tuple[optax.Updates, RewindState]:
        check_params("rewind_nonfinite", params)
        here = wide_copy(params), state.optimizer
        goal, earlier = jax.tree.unflatten(jax.tree.structure(here), state.copy)
        steps, later = inner.update(updates, state.optimizer, params, **extra)
        lost = ~(all_finite(updates) & all_finite(optax.apply_updates(params, steps)))
        back = lost | (state.returning & ~_equal(here[0], goal))
        due = ~back & (state.count >= jnp.asarray(every, jnp.int32))
        count = jnp.where(due, 1, optax.safe_increment(state.count))
        total = optax.safe_increment(state.total_notfinite)
        return chosen(back, steps_to(goal, params), steps), RewindState(
            count=jnp.where(back, 0, count),
            total_notfinite=jnp.where(lost, total, state.total_notfinite),
            returning=lost,
            optimizer=chosen(back, earlier, later),
            copy=chosen(due, tuple(jax.tree.leaves(here)), state.copy),
        )

    return optax.GradientTransformationExtraArgs(init, update)


def all_finite(tree: Any) -> jax.Array:
    """Whether no element of any leaf is infinite or NaN."""
    checks = (jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree))
    return reduce(jnp.logical_and, checks, jnp.ones((), bool))


def chosen(condition: jax.Array, tree: Any, other: Any) -> Any:
    """The leaves of the first tree where the condition holds, else those of the other."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), tree, other)


def _equal(tree: Any, other: Any) -> jax.Array:
    checks = ((a == b).all() for a, b in zip(*map(jax.tree.leaves, (tree, other)), strict=True))
    return reduce(jnp.logical_and, checks, jnp.ones((), bool))

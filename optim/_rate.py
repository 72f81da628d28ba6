"""The learning rate: the last transform of every optimizer here, and the reader of its state.

    update ← −η(t) · update,    t = 0, 1, 2, ...

Its state carries the rate just used, so that a training loop can log it.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from ._delayed import DelayedState
from ._plateau import PlateauState
from ._schedules import Schedule, as_schedule
from ._select import SelectState


class RateState(NamedTuple):
    """What `scale_by_rate` keeps."""

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count
    """int32 (): the updates made, which is the step the schedule is asked for next."""
    rate: jax.Array
    """float32 (): the rate of the latest update; before any, the rate that the first will use."""


def scale_by_rate(rate: ArrayLike | Schedule) -> optax.GradientTransformationExtraArgs:
    """Multiply the updates by −η(t), a number or a schedule of the number of updates made.

    The minus turns an ascent direction into a step down, so it stands last in a chain. The product
    is taken in float32 or wider and returned in the update's own dtype. A traced rate is not
    checked; a known one that is not above 0 and finite (of a schedule: its value at step 0
    negative or not finite) raises ValueError.

    >>> import jax.numpy as jnp
    >>> transform = scale_by_rate(0.5)
    >>> state = transform.init(jnp.zeros(2))
    >>> updates, state = transform.update(jnp.array([1.0, -2.0]), state)
    >>> updates.tolist(), int(state.count), float(state.rate)
    ([-0.5, 1.0], 1, 0.5)
    """
    schedule = as_schedule("scale_by_rate", rate)

    def init(params: optax.Params) -> RateState:
        count = jnp.zeros((), jnp.int32)
        return RateState(count, jnp.asarray(schedule(count), jnp.float32))

    def update(
        updates: optax.Updates, state: RateState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, RateState]:
        now = schedule(state.count)
        scaled = _scaled(updates, now)
        count = optax.safe_increment(state.count)
        return scaled, RateState(count, jnp.asarray(now, jnp.float32))

    return optax.with_extra_args_support(optax.GradientTransformation(init, update))


def rate(opt_state: optax.OptState) -> jax.Array | None:
    """The learning rate of the latest update, read from anywhere in an optimizer's state.

    float32 (); before the first update, the rate that it will use. Under `select` it is the rate
    of the first pattern that has one. The scales of `reduce_on_plateau` are in it; before a
    `delayed` optimizer starts it is 0. None where no `scale_by_rate` took part.

    >>> import jax.numpy as jnp
    >>> float(rate(scale_by_rate(0.5).init(jnp.zeros(2))))
    0.5
    """
    kinds = (RateState, PlateauState, DelayedState)
    nodes = jax.tree.leaves(opt_state, is_leaf=lambda node: isinstance(node, kinds))
    found = next((found for node in nodes if (found := _rate_of(node)) is not None), None)
    scales = [node.scale for node in nodes if isinstance(node, PlateauState)]
    if found is None or not scales:
        return found
    return found * jnp.asarray(math.prod(scales), jnp.float32)


def rates(opt_state: optax.OptState) -> dict[str, jax.Array]:
    """The learning rates by name: "rate", or "rate encoder/*" and so on for the groups of `select`.

    Each as `rate` reads it, so that a training loop can log them all; {} where there is none.

    >>> import jax.numpy as jnp
    >>> from laminax.optim import select, sgd
    >>> optimizer = select({"encoder": sgd(0.125), "*": sgd(0.5)})
    >>> state = optimizer.init({"encoder": jnp.zeros(2), "head": jnp.zeros(2)})
    >>> {name: float(rate) for name, rate in rates(state).items()}
    {'rate encoder': 0.125, 'rate *': 0.5}
    """
    nodes = jax.tree.leaves(opt_state, is_leaf=lambda node: isinstance(node, SelectState))
    groups = {
        f"rate {pattern}": rate(_replaced(opt_state, node, node.groups[i]))
        for node in nodes
        if isinstance(node, SelectState)
        for i, pattern in enumerate(node.patterns)
    }
    found = groups if groups else {"rate": rate(opt_state)}
    return {name: value for name, value in found.items() if value is not None}


def _replaced(tree: Any, node: Any, by: Any) -> Any:
    """The tree with `by` where `node` stands, so that what scales them all is seen with each."""
    return jax.tree.map(lambda at: by if at is node else at, tree, is_leaf=lambda at: at is node)


def _rate_of(node: Any) -> jax.Array | None:
    if isinstance(node, DelayedState):
        found = rate(node.optimizer)
        return None if found is None else jnp.where(node.started, found, 0.0)
    return node.rate if isinstance(node, RateState) else None


def _scaled(updates: optax.Updates, rate: ArrayLike) -> optax.Updates:
    down: dict[Any, jax.Array] = {}  # −η in each width, made once for all leaves

    def scale(leaf: jax.Array) -> jax.Array:
        wide = np.promote_types(leaf.dtype, np.float32)
        if wide not in down:
            down[wide] = -jnp.asarray(rate, wide)
        return (down[wide] * leaf.astype(wide)).astype(leaf.dtype)

    return jax.tree.map(scale, updates)

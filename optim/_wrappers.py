"""Optimizers around an optimizer: `lookahead(adam(1e-3))`.

lookahead        every k updates:  φ ← φ + α (θ − φ),  θ ← φ
schedule_free    z ← z + step(y),  x ← x + c (z − x),  y = z + β (x − z)
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from ._average import AverageState
from ._checks import check_fraction, check_params, check_positive, check_steps
from ._rate import rate as rate_of
from ._widen import steps_to, wide_copy


class LookaheadState(NamedTuple):
    """What `lookahead` keeps."""

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count
    """int32 (): the updates since the latest meeting of the slow and the fast parameters."""
    slow: optax.Params
    """The slow parameters in float32 or wider."""
    optimizer: optax.OptState


class ScheduleFreeState(NamedTuple):
    """What `schedule_free` keeps."""

    weight: jax.Array
    """float32 (): the sum of the squared rates."""
    leading: optax.Params
    """z, where the optimizer's own steps lead, in float32 or wider."""
    mean: AverageState
    """x, the mean of z, which `evaluated` reads."""
    optimizer: optax.OptState


def lookahead(
    optimizer: optax.GradientTransformation, every: ArrayLike = 5, slow_rate: ArrayLike = 0.5
) -> optax.GradientTransformationExtraArgs:
    """Step k times with the optimizer, then only part of the way: φ ← φ + α (θ − φ); θ ← φ.

    φ are slow parameters, at first the initial ones; θ are those that train. `every` is k ≥ 1,
    `slow_rate` is α > 0. The optimizer's state stays as it is when θ is set back. Raises ValueError
    for a number out of range, or from `update` without `params`.

    >>> import jax.numpy as jnp
    >>> from laminax.optim import apply_updates, sgd
    >>> optimizer, w = lookahead(sgd(1.0), every=2), jnp.zeros(1)
    >>> state, path = optimizer.init(w), []
    >>> for _ in range(4):
    ...     updates, state = optimizer.update(-jnp.ones(1), state, w)
    ...     w = apply_updates(w, updates)
    ...     path.append(w.item())
    >>> path
    [1.0, 1.0, 2.0, 2.0]

    Source: Zhang et al., Lookahead optimizer: k steps forward, 1 step back, 2019.
    """
    check_steps("lookahead", "every", every, "5")
    check_positive("lookahead", "slow_rate", slow_rate, "0.5")
    inner = optax.with_extra_args_support(optimizer)

    def init(params: optax.Params) -> LookaheadState:
        return LookaheadState(jnp.zeros((), jnp.int32), wide_copy(params), inner.init(params))

    def update(
        updates: optax.Updates,
        state: LookaheadState,
        params: optax.Params | None = None,
        **extra: Any,
    ) -> tuple[optax.Updates, LookaheadState]:
        check_params("lookahead", params)
        updates, kept = inner.update(updates, state.optimizer, params, **extra)
        count = state.count + 1
        meet = count >= jnp.asarray(every, jnp.int32)

        def pulled(slow: jax.Array, w: jax.Array, u: jax.Array) -> jax.Array:
            fast = w.astype(slow.dtype) + u.astype(slow.dtype)
            share = jnp.asarray(slow_rate, slow.dtype)
            return jnp.where(meet, slow + share * (fast - slow), slow)

        slow = jax.tree.map(pulled, state.slow, params, updates)
        back = steps_to(slow, params)
        steps = jax.tree.map(lambda u, b: jnp.where(meet, b, u), updates, back)
        return steps, LookaheadState(jnp.where(meet, 0, count), slow, kept)

    return optax.GradientTransformationExtraArgs(init, update)


def schedule_free(
    optimizer: optax.GradientTransformation, decay: ArrayLike = 0.9
) -> optax.GradientTransformationExtraArgs:
    """A mean of the path in place of a falling rate: z ← z + step(y); x ← x + c (z − x).

    The gradients are taken at y = z + β (x − z), which are the parameters that train; x is the mean
    of z with the weights η², c = η² / Σ η², and is what `evaluated` gives. `decay` is β in [0, 1),
    which takes the place of momentum, so the optimizer has none: `schedule_free(sgd(1.0))`,
    `schedule_free(adam(1e-2, b1=0.0))`, with a warm-up and no decay of the rate. Raises ValueError
    for a decay out of range, or from `update` without `params`.

    >>> import jax.numpy as jnp
    >>> from laminax.optim import apply_updates, evaluated, sgd
    >>> optimizer, y = schedule_free(sgd(1.0), decay=0.5), jnp.zeros(1)
    >>> state = optimizer.init(y)
    >>> for _ in range(2):  # z = 1, 2; x = 1, 1.5
    ...     updates, state = optimizer.update(-jnp.ones(1), state, y)
    ...     y = apply_updates(y, updates)
    >>> y.item(), evaluated(state, y).item()
    (1.75, 1.5)

    Source: Defazio et al., The road less scheduled, 2024.
    """
    check_fraction("schedule_free", "decay", decay, "0.9")
    inner = optax.with_extra_args_support(optimizer)

    def init(params: optax.Params) -> ScheduleFreeState:
        count, weight = jnp.zeros((), jnp.int32), jnp.zeros((), jnp.float32)
        mean = AverageState(count, wide_copy(params))
        return ScheduleFreeState(weight, wide_copy(params), mean, inner.init(params))

    def update(
        updates: optax.Updates,
        state: ScheduleFreeState,
        params: optax.Params | None = None,
        **extra: Any,
    ) -> tuple[optax.Updates, ScheduleFreeState]:
        check_params("schedule_free", params)
        updates, kept = inner.update(updates, state.optimizer, params, **extra)
        eta = rate_of(kept)
        now = jnp.ones((), jnp.float32) if eta is None else jnp.square(eta)
        weight = state.weight + now
        # While a schedule's rate is still 0 nothing has been weighed, and nothing has moved.
        share = jnp.where(weight > 0, now / jnp.where(weight > 0, weight, 1.0), 1.0)
        z = jax.tree.map(lambda z, u: z + u.astype(z.dtype), state.leading, updates)
        x = jax.tree.map(lambda x, z: x + share.astype(x.dtype) * (z - x), state.mean.average, z)
        y = jax.tree.map(lambda x, z: z + jnp.asarray(decay, z.dtype) * (x - z), x, z)
        mean = AverageState(optax.safe_increment(state.mean.count), x)
        return steps_to(y, params), ScheduleFreeState(weight, z, mean, kept)

    return optax.GradientTransformationExtraArgs(init, update)


def check_no_average(where: str, state: optax.OptState, why: str, repair: str) -> None:
    """Raise ValueError where a state holds the parameters or an average of them."""
    kinds = (AverageState, LookaheadState, ScheduleFreeState)
    nodes = jax.tree.leaves(state, is_leaf=lambda node: isinstance(node, kinds))
    found = next((node for node in nodes if isinstance(node, kinds)), None)
    if found is not None:
        raise ValueError(
            f"{where}: the optimizer's state holds an average of the parameters, "
            f"{type(found).__name__}, {why}; put {where} inside, such as {repair}."
        )

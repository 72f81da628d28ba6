"""Averages of the parameters, kept in the optimizer's state and read for evaluation.

With the parameters θ₁, θ₂, ... after each update, the average after t updates is:

    ema      Σ dᵗ⁻ⁱ θᵢ / Σ dᵗ⁻ⁱ,    i = 1 ... t,    with the decay d
    average  the mean of θ_{s+k}, θ_{s+2k}, ... so far,    from s on, each k updates

Both as a recursion, average ← average + w (θ_t − average), with w = (1 − d) / (1 − dᵗ), and with
w = 1 / n where the n-th is taken, else 0.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from ._checks import check_fraction, check_params, check_steps
from ._schedules import real, whole
from ._widen import wide_copy


class AverageState(NamedTuple):
    """What `ema` and `average` keep."""

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count
    """int32 (): the updates made."""
    average: optax.Params
    """The average of the parameters in float32 or wider; before any is in it, the parameters."""


def ema(decay: ArrayLike) -> optax.GradientTransformationExtraArgs:
    """Keep an exponential moving average of the parameters; the updates pass through unchanged.

    Stands last in a chain, where the updates are what is added to the parameters. `decay` is d in
    [0, 1): the average spans about 1 / (1 − d) updates. It is debiased: the initial parameters
    have no weight in it, and after one update it is the parameters themselves. Read it with
    `evaluated`. Raises ValueError for a decay out of range, or from `update` without `params`.

    >>> import jax.numpy as jnp
    >>> from laminax.optim import apply_updates, chain, sgd
    >>> optimizer, params = chain(sgd(1.0), ema(0.5)), jnp.array([0.0])
    >>> state = optimizer.init(params)
    >>> for gradient in (-3.0, -3.0):
    ...     updates, state = optimizer.update(jnp.array([gradient]), state, params)
    ...     params = apply_updates(params, updates)
    >>> params.item(), round(evaluated(state, params).item(), 4)
    (6.0, 5.0)

    Source: Polyak and Juditsky, Acceleration of stochastic approximation by averaging, 1992;
    debiased as in Kingma and Ba, Adam: a method for stochastic optimization, 2015.
    """
    check_fraction("ema", "decay", decay, "0.999")
    return _averaging("ema", lambda count: _debiased_weight(decay, count))


def average(start: ArrayLike = 0, every: ArrayLike = 1) -> optax.GradientTransformationExtraArgs:
    """Keep the mean of the parameters along the path; the updates pass through unchanged.

    Stands last in a chain, as `ema` does. The first `start` updates are left out, `start` ≥ 0; of
    those that follow, the parameters after each `every` are taken, `every` ≥ 1, all with the same
    weight: 1 averages the path of stochastic gradient descent, the steps of an epoch or a cycle
    average weights (SWA). Before any are taken, `evaluated` gives the parameters. Batch statistics
    are not averaged: those of a model that has them belong to the parameters that train. Raises
    ValueError for a number out of range, TypeError for one that is not an int, or ValueError from
    `update` without `params`.

    >>> import jax.numpy as jnp
    >>> from laminax.optim import apply_updates, chain, sgd
    >>> optimizer, params = chain(sgd(1.0), average(start=1, every=2)), jnp.array([0.0])
    >>> state, path = optimizer.init(params), []
    >>> for _ in range(6):  # θ = 1, 2, ..., 6, of which 3 and 5 are taken
    ...     updates, state = optimizer.update(jnp.array([-1.0]), state, params)
    ...     params = apply_updates(params, updates)
    ...     path.append(evaluated(state, params).item())
    >>> path
    [1.0, 2.0, 3.0, 3.0, 4.0, 4.0]

    Source: Ruppert, Efficient estimations from a slowly convergent Robbins-Monro process, 1988;
    Polyak and Juditsky, Acceleration of stochastic approximation by averaging, 1992; Izmailov et
    al., Averaging weights leads to wider optima and better generalization, 2018.
    """
    check_steps("average", "start", start, "0", least=0)
    check_steps("average", "every", every, "1")
    return _averaging("average", lambda count: _equal_weight(start, every, count))


def evaluated(opt_state: optax.OptState, params: optax.Params) -> optax.Params:
    """The parameters to evaluate with: the average where the state keeps one, else `params`.

    Same structure, shapes and dtypes as `params`. Under `select`, only the leaves of the groups
    that keep an average are replaced.

    >>> import jax.numpy as jnp
    >>> from laminax.optim import sgd
    >>> params = jnp.array([1.0])
    >>> evaluated(sgd(0.1).init(params), params) is params
    True
    """
    for node in jax.tree.leaves(opt_state, is_leaf=_is_average):
        if _is_average(node):
            params = jax.tree.map(_chosen, node.average, params, is_leaf=_is_masked)
    return params


def _averaging(
    where: str, weight_of: Callable[[jax.Array], jax.Array]
) -> optax.GradientTransformationExtraArgs:
    """The average moved to the parameters by the weight that the number of updates gives."""

    def init(params: optax.Params) -> AverageState:
        return AverageState(jnp.zeros((), jnp.int32), wide_copy(params))

    def update(
        updates: optax.Updates, state: AverageState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, AverageState]:
        check_params(where, params)
        count = optax.safe_increment(state.count)
        weight = weight_of(count)

        def moved(old: jax.Array, new: jax.Array) -> jax.Array:
            share, new = weight.astype(old.dtype), new.astype(old.dtype)
            # Of weight 1 it is the parameters themselves, which a sum of differences only nears.
            return jnp.where(weight == 1, new, old + share * (new - old))

        new = optax.apply_updates(params, updates)
        return updates, AverageState(count, jax.tree.map(moved, state.average, new))

    return optax.with_extra_args_support(optax.GradientTransformation(init, update))


def _debiased_weight(decay: ArrayLike, count: jax.Array) -> jax.Array:
    """(1 − d) / (1 − dᵗ), by expm1 because both differences cancel for d near 1."""
    log = jnp.log(jnp.asarray(decay, dtype=float))
    return jnp.expm1(log) / jnp.expm1(log * count.astype(log.dtype))


def _equal_weight(start: ArrayLike, every: ArrayLike, count: jax.Array) -> jax.Array:
    """1 / n where the n-th parameters are taken, else 0; 1 as long as none are."""
    past = count - whole(start)
    taken = past // whole(every)
    moves = (taken < 1) | (past % whole(every) == 0)
    return jnp.where(moves, 1.0 / real(jnp.maximum(taken, 1)), 0.0)


def _chosen(average: Any, param: jax.Array) -> jax.Array:
    return param if _is_masked(average) else average.astype(param.dtype)


def _is_average(node: Any) -> bool:
    return isinstance(node, AverageState)


def _is_masked(node: Any) -> bool:
    return isinstance(node, optax.MaskedNode)

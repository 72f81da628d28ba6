"""Averages of the parameters, kept in the optimizer's state and read for evaluation.

With the decay d and the parameters θ₁, θ₂, ... after each update:

    average after t updates = Σ dᵗ⁻ⁱ θᵢ / Σ dᵗ⁻ⁱ,    i = 1 ... t
    as a recursion: average ← average + w (θ_t − average),    w = (1 − d) / (1 − dᵗ)
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from ._checks import check_fraction, check_params
from ._widen import wide_copy


class EmaState(NamedTuple):
    """What `ema` keeps."""

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count
    """int32 (): the updates made."""
    average: optax.Params
    """The average of the parameters in float32 or wider; before any update, the parameters."""


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

    def init(params: optax.Params) -> EmaState:
        return EmaState(jnp.zeros((), jnp.int32), wide_copy(params))

    def update(
        updates: optax.Updates, state: EmaState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, EmaState]:
        check_params("ema", params)
        count = optax.safe_increment(state.count)
        weight = _weight(decay, count)
        average = jax.tree.map(
            lambda old, new: old + weight.astype(old.dtype) * (new.astype(old.dtype) - old),
            state.average,
            optax.apply_updates(params, updates),
        )
        return updates, EmaState(count, average)

    return optax.with_extra_args_support(optax.GradientTransformation(init, update))


def evaluated(opt_state: optax.OptState, params: optax.Params) -> optax.Params:
    """The parameters to evaluate with: the average where `ema` keeps one, else `params`.

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


def _weight(decay: ArrayLike, count: jax.Array) -> jax.Array:
    """(1 − d) / (1 − dᵗ), by expm1 because both differences cancel for d near 1."""
    log = jnp.log(jnp.asarray(decay, dtype=float))
    return jnp.expm1(log) / jnp.expm1(log * count.astype(log.dtype))


def _chosen(average: Any, param: jax.Array) -> jax.Array:
    return param if _is_masked(average) else average.astype(param.dtype)


def _is_average(node: Any) -> bool:
    return isinstance(node, EmaState)


def _is_masked(node: Any) -> bool:
    return isinstance(node, optax.MaskedNode)

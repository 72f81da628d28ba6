"""Sharpness-aware minimization: the gradient is taken where the loss rises most nearby.

e = ρ g / ‖g‖,    θ ← θ + optimizer(∇ loss(θ + e))
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from ._checks import check_nonnegative, check_params
from ._loss_scale import check_no_scale
from ._widen import widened

Loss: TypeAlias = Callable[[optax.Params], jax.Array]


def sam(
    optimizer: optax.GradientTransformation, radius: ArrayLike = 0.05
) -> optax.GradientTransformationExtraArgs:
    """Give the optimizer the gradient at θ + e, e = ρ g / ‖g‖: low loss all around is sought.

    `radius` is ρ ≥ 0; ‖g‖ is the norm over all leaves together, where it is 0 so is e. θ + e has
    the parameters' dtype. An update takes a second gradient, of the `value_fn` (params -> loss on
    the same batch) that `train.step` passes, and that is of the whole batch even where the first
    was taken in microbatches; the other extra arguments, such as `value`, stay those of θ. Stands
    around `select`, as the loss needs all parameters. Raises ValueError for a radius out of range,
    from `init` around `loss_scaled`, or from `update` without `params`, without `value_fn` or
    inside `select`.

    >>> import jax, jax.numpy as jnp
    >>> from laminax.optim import sgd
    >>> loss = lambda w: 0.5 * jnp.sum(w**2)  # of gradient w: here (3, 4), there (3.6, 4.8)
    >>> optimizer, w = sam(sgd(0.5), radius=1.0), jnp.array([3.0, 4.0])
    >>> state, gradient = optimizer.init(w), jax.grad(loss)(w)
    >>> updates, state = optimizer.update(gradient, state, w, value_fn=loss)
    >>> [round(u, 4) for u in updates.tolist()]
    [-1.8, -2.4]

    Source: Foret et al., Sharpness-aware minimization for efficiently improving generalization,
    2021.
    """
    check_nonnegative("sam", "radius", radius, "0.05")
    inner = optax.with_extra_args_support(optimizer)
    ascent = widened(lambda cast: optax.stateless(lambda g, _: _of_norm(cast(radius), g)))

    def init(params: optax.Params) -> optax.OptState:
        state = inner.init(params)
        check_no_scale("sam", state)
        return state

    def update(
        updates: optax.Updates,
        state: optax.OptState,
        params: optax.Params | None = None,
        *,
        value_fn: Loss | None = None,
        **extra: Any,
    ) -> tuple[optax.Updates, optax.OptState]:
        check_params("sam", params)
        loss = _checked(value_fn, params)
        steps, _ = ascent.update(updates, ascent.init(params))
        updates = jax.grad(loss)(optax.apply_updates(params, steps))
        updates, state = inner.update(updates, state, params, value_fn=loss, **extra)
        return updates, state

    return optax.GradientTransformationExtraArgs(init, update)


def _of_norm(radius: ArrayLike, gradient: optax.Updates) -> optax.Updates:
    """The gradient brought to the norm `radius`; one of norm 0 stays."""
    norm = optax.tree.norm(gradient)
    scale = jnp.where(norm > 0, radius / jnp.where(norm > 0, norm, 1.0), 0.0)
    return jax.tree.map(lambda g: scale * g, gradient)


def _checked(value_fn: Loss | None, params: Any) -> Loss:
    if value_fn is None:
        raise ValueError(
            "sam: value_fn is None; expected the loss as a function of the parameters, for a "
            "second gradient; train.step passes it, else call "
            "optimizer.update(gradient, opt_state, params, value_fn=loss)."
        )
    if any(map(_is_masked, jax.tree.leaves(params, is_leaf=_is_masked))):
        raise ValueError(
            "sam: params are those of one group of select; expected all, which the loss is a "
            'function of; put sam around it: sam(select({"head/*": adam(1e-3), "*": freeze()})).'
        )
    return value_fn


def _is_masked(node: Any) -> bool:
    return isinstance(node, optax.MaskedNode)

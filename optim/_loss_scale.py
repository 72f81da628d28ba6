"""Loss scaling: gradients that float16 rounds to 0 are taken of a multiple of the loss.

    g = ∇(s ℓ) / s
    s ← s / 2,  no update    where g is not finite
    s ← 2 s                  after n updates in a row

Float16 has nothing between 0 and 6e-8, and nothing above 65504. By a power of two nothing else
changes: the product and the quotient are exact.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from ._checks import check_positive, check_steps, check_transform
from ._nonfinite import all_finite, chosen
from ._schedules import whole
from ._widen import widened

_SMALLEST, _LARGEST = 2.0**-126, 2.0**127  # powers of two between which float32 is exact


class LossScaleState(NamedTuple):
    """What `loss_scaled` keeps."""

    scale: jax.Array
    """float32 (): s, what the loss is multiplied by next."""
    since: jax.Array
    """int32 (): the updates made since the scale changed."""
    total_notfinite: jax.Array
    """int32 (): how many updates were skipped."""
    optimizer: optax.OptState


def loss_scaled(
    optimizer: optax.GradientTransformation,
    start: ArrayLike = 2.0**15,
    *,
    grow_every: ArrayLike = 2000,
) -> optax.GradientTransformationExtraArgs:
    """Divide gradients by the scale of the loss they are of, and adapt the scale: for float16.

    What takes the gradient multiplies the loss by `loss_scale(opt_state)`: `train.step` does. Here
    it is divided by s again, in float32 or wider. Where it, or the update made from it, is not
    finite there is no update, every bit of the parameters and of the optimizer's state stays, and s
    is halved; after `grow_every` ≥ 1 updates in a row it is doubled. `start` is the first s > 0; a
    power of two keeps every s exact. `train.step` divides by the size of the batch only at the end,
    so the larger the batch, the smaller the s that fits; until it does, the first few updates are
    skipped. They are counted in `total_notfinite` of the state.

    The optimizer inside sees no scale: `value`, `grad` and `value_fn` are those of the loss itself,
    and gradients of `value_fn` are scaled on their way, as in `loss_scaled(sam(sgd(0.1)))`. It
    stands outermost: what came before would see scaled gradients, and a skipped update is none for
    the whole. bfloat16 has the range of float32 and needs no scale. Raises ValueError for a number
    out of range; TypeError for what is no transform, or a `grow_every` that is not an int.

    >>> import jax, jax.numpy as jnp
    >>> from laminax.optim import sgd
    >>> loss = lambda w: 1e-8 * w.astype(jnp.float16).astype(jnp.float32)
    >>> optimizer, w = loss_scaled(sgd(1.0)), jnp.float32(1)
    >>> state = optimizer.init(w)
    >>> gradient = jax.grad(lambda w: loss_scale(state) * loss(w))(w)
    >>> updates, state = optimizer.update(gradient, state, w)
    >>> jax.grad(loss)(w).item(), round(updates.item(), 11)
    (0.0, -1e-08)

    Source: Micikevicius et al., Mixed precision training, 2018.
    """
    check_transform("loss_scaled", optimizer)
    check_positive("loss_scaled", "start", start, "2.0**15")
    check_steps("loss_scaled", "grow_every", grow_every, "2000")
    inner = widened(lambda cast: optimizer)

    def init(params: optax.Params) -> LossScaleState:
        kept, zero = inner.init(params), jnp.zeros((), jnp.int32)
        check_no_scale("loss_scaled", kept)
        return LossScaleState(jnp.asarray(start, jnp.float32), zero, zero, kept)

    def update(
        updates: optax.Updates,
        state: LossScaleState,
        params: optax.Params | None = None,
        **extra: Any,
    ) -> tuple[optax.Updates, LossScaleState]:
        gradient = _unscaled(updates, state.scale)
        extra = _seen_unscaled(extra, state.scale, params)
        steps, later = inner.update(gradient, state.optimizer, params, **extra)
        made = all_finite(gradient) & all_finite(steps)
        # −0, as in `freeze`: the sum with a parameter −0 is −0.
        steps = jax.tree.map(lambda u, g: jnp.where(made, u, -0.0).astype(g.dtype), steps, updates)
        since = state.since + 1
        grows = since >= whole(grow_every)
        total = jnp.where(made, state.total_notfinite, optax.safe_increment(state.total_notfinite))
        return steps, LossScaleState(
            scale=_adapted(state.scale, made, grows),
            since=jnp.where(made & ~grows, since, 0),
            total_notfinite=total,
            optimizer=chosen(made, later, state.optimizer),
        )

    return optax.GradientTransformationExtraArgs(init, update)


def loss_scale(opt_state: optax.OptState) -> jax.Array | None:
    """What the loss is multiplied by before its gradient is taken: the s of `loss_scaled`.

    float32 (); None where the optimizer is not scaled. Raises ValueError where `loss_scaled` is not
    the outermost.

    >>> import jax.numpy as jnp
    >>> from laminax.optim import adam
    >>> float(loss_scale(loss_scaled(adam(1e-3), start=1024.0).init(jnp.zeros(2))))
    1024.0
    """
    if isinstance(opt_state, LossScaleState):
        return opt_state.scale
    check_no_scale("loss_scale", opt_state)
    return None


def check_no_scale(where: str, state: optax.OptState) -> None:
    """Raise ValueError where a state holds that of `loss_scaled`."""
    if any(map(_is_scale, jax.tree.leaves(state, is_leaf=_is_scale))):
        raise ValueError(
            f"{where}: loss_scaled stands inside another transform; expected it outermost, since "
            "what comes before it would see scaled gradients, and what comes after it skipped "
            "updates; put it around the whole optimizer, such as "
            "loss_scaled(chain(clip_by_norm(1.0), adam(1e-3)))."
        )


def _adapted(scale: jax.Array, made: jax.Array, grows: jax.Array) -> jax.Array:
    """The next s; it reaches neither 0 nor infinity, from where no factor would lead back."""
    following = jnp.where(made, jnp.where(grows, 2 * scale, scale), scale / 2)
    return jnp.clip(following, _SMALLEST, _LARGEST)


def _unscaled(gradient: optax.Updates, scale: jax.Array) -> optax.Updates:
    def divided(g: jax.Array) -> jax.Array:
        wide = np.promote_types(g.dtype, np.float32)
        return g.astype(wide) / scale.astype(wide)

    return jax.tree.map(divided, gradient)


def _seen_unscaled(
    extra: dict[str, Any], scale: jax.Array, params: optax.Params | None
) -> dict[str, Any]:
    """The extra arguments as the optimizer inside is to see them."""
    grad, value_fn = extra.get("grad"), extra.get("value_fn")
    if grad is not None:
        extra = extra | {"grad": _unscaled(grad, scale)}
    if value_fn is not None:
        extra = extra | {"value_fn": _scaled_inside(value_fn, scale, params)}
    return extra


def _scaled_inside(value_fn: Any, scale: jax.Array, params: optax.Params | None) -> Any:
    """The function itself, whose derivatives pass through it s times as large."""

    def value(point: optax.Params) -> jax.Array:
        like = point if params is None else params
        entered = jax.tree.map(
            lambda p, own: _with_slope(p, 1 / scale).astype(own.dtype), point, like
        )
        return _with_slope(value_fn(entered), scale)

    return value


@jax.custom_jvp
def _with_slope(x: jax.Array, slope: jax.Array) -> jax.Array:
    """The value x itself, of derivative `slope` in place of 1."""
    return x


@_with_slope.defjvp
def _tangent(primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    (x, slope), (dx, _) = primals, tangents
    return x, dx * slope.astype(dx.dtype)


def _is_scale(node: Any) -> bool:
    return isinstance(node, LossScaleState)

"""Normalization: y = γ (x - μ) / √(σ² + ε) + β, with μ and σ² over different axes.

Statistics are computed and kept in at least float32.
"""

from typing import Any

import jax
import jax.numpy as jnp

from ._checks import default_float, feature_size, fraction, parameter_of, promote
from ._core import Context, Layer, Params, State, Variables, pointwise
from ._factory import factory


@factory
def batch_norm(*, momentum: float = 0.9, epsilon: float = 1e-5) -> Layer:
    """Batch normalization: μ, σ² over the batch and every axis but the last.

    In training the batch's own statistics are used and running ones kept,
    r ← m r + (1 - m) batch, the variance with Bessel's correction; evaluation uses the running
    ones. Under `jit` over a sharded batch the statistics are those of the whole batch.

    Parameters: scale γ, bias β (features,). State: mean, var (features,).

    Source: Ioffe and Szegedy, Batch normalization, 2015.

    Args:
        momentum: m, in [0, 1).
        epsilon: ε, added to the variance.

    Raises:
        ValueError: a momentum outside [0, 1); an x without a batch axis; a state without mean and
            var; training on one value a feature, which has no variance.

    >>> from laminax import nn
    >>> x = jnp.array([[1.0], [3.0]])
    >>> layer = nn.batch_norm()
    >>> params, state = layer.init(jax.random.key(0), x)
    >>> y, state = layer.apply(params, state, x, nn.Context(train=True))
    >>> y.round(3).tolist(), state["mean"].round(3).tolist()
    ([[-1.0], [1.0]], [0.20000000298023224])
    """
    m = fraction("batch_norm", "momentum", momentum)

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        size, dtype = feature_size("batch_norm", x, least_rank=2), default_float()
        state = {"mean": jnp.zeros(size, dtype), "var": jnp.ones(size, dtype)}
        return Variables(_scale_and_bias(size), state)

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        parameter_of("batch_norm", params, "scale", "bias")
        feature_size("batch_norm", x, params["scale"].shape[0], least_rank=2)
        if set(state) != {"mean", "var"}:
            raise ValueError(
                f"batch_norm: state must hold mean, var, got {', '.join(state) or 'none'}; "
                "pass the state that init made or training returned with these parameters"
            )
        if not ctx.train:
            return _normalized(x, state["mean"], state["var"], params, epsilon), state
        axes = tuple(range(x.ndim - 1))
        count = x.size // x.shape[-1]
        if count < 2 and not ctx._planned:
            raise ValueError(
                "batch_norm: training needs more than one value a feature, got x of shape "
                f"{x.shape}; use a larger batch"
            )
        mean, var = _moments(x, axes)
        kept = {
            "mean": _blend(m, state["mean"], mean),
            "var": _blend(m, state["var"], var * (count / max(count - 1, 1))),
        }
        return _normalized(x, mean, var, params, epsilon), kept

    return pointwise(init, apply)


@factory
def layer_norm(*, epsilon: float = 1e-5) -> Layer:
    """Layer normalization: μ, σ² over the last axis of each example.

    Parameters: scale γ, bias β (features,).

    Source: Ba, Kiros and Hinton, Layer normalization, 2016.

    Args:
        epsilon: ε, added to the variance.

    Raises:
        ValueError: an x whose last axis is not the one γ was made for.

    >>> from laminax import nn
    >>> layer = nn.layer_norm()
    >>> variables = layer.init(jax.random.key(0), jnp.zeros(2))
    >>> layer(variables, jnp.array([1.0, 3.0])).round(3)
    Array([-1.,  1.], dtype=float32)
    """

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        return Variables(_scale_and_bias(feature_size("layer_norm", x)), {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        parameter_of("layer_norm", params, "scale", "bias")
        feature_size("layer_norm", x, params["scale"].shape[0])
        mean, var = _moments(x, (-1,))
        return _normalized(x, mean[..., None], var[..., None], params, epsilon), state

    return pointwise(init, apply)


def _scale_and_bias(size: int) -> Params:
    return {"scale": jnp.ones(size, default_float()), "bias": jnp.zeros(size, default_float())}


def _moments(x: jax.Array, axes: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    x = _at_least_float32(x)
    mean = x.mean(axes, keepdims=True)
    # The two-pass form: E[x²] - E[x]² cancels where the mean is large.
    return mean.squeeze(axes), jnp.square(x - mean).mean(axes)


def _normalized(
    x: jax.Array, mean: jax.Array, var: jax.Array, params: Params, epsilon: float
) -> jax.Array:
    dtype = promote(x, params["scale"], params["bias"])[0].dtype
    x, mean, var = (_at_least_float32(a) for a in (x, mean, var))
    scale, bias = (_at_least_float32(params[name]) for name in ("scale", "bias"))
    align = lambda a: a.reshape((1,) * (x.ndim - a.ndim) + a.shape)  # noqa: E731
    x, mean, var, scale, bias = promote(x, *map(align, (mean, var, scale, bias)))
    return ((x - mean) * (jax.lax.rsqrt(var + epsilon) * scale) + bias).astype(dtype)


def _blend(momentum: float, old: jax.Array, new: jax.Array) -> jax.Array:
    return (momentum * old + (1 - momentum) * jax.lax.stop_gradient(new).astype(old.dtype)).astype(
        old.dtype
    )


def _at_least_float32(x: jax.Array) -> jax.Array:
    with jax.numpy_dtype_promotion("standard"):
        return jnp.asarray(x, jnp.promote_types(x.dtype, jnp.float32))

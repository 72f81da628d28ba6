"""Batch normalization: μ, σ² over the examples, and running ones for evaluation."""

from typing import Any

import jax
import jax.numpy as jnp

from .._core._checks import default_float, feature_size, fraction, parameter_of
from .._core._factory import factory
from .._core._layer import Context, Layer, Params, State, Variables, pointwise
from ._normalize import moments, normalized, scale_and_bias


@factory
def batch_norm(*, momentum: float = 0.9, epsilon: float = 1e-5) -> Layer:
    """Batch normalization: y = γ (x - μ) / √(σ² + ε) + β, over every axis but the last.

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
        return Variables(scale_and_bias(size), state)

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        parameter_of("batch_norm", params, "scale", "bias")
        feature_size("batch_norm", x, params["scale"].shape[0], least_rank=2)
        if set(state) != {"mean", "var"}:
            raise ValueError(
                f"batch_norm: state must hold mean, var, got {', '.join(state) or 'none'}; "
                "pass the state that init made or training returned with these parameters"
            )
        if not ctx.train:
            return normalized(x, state["mean"], state["var"], params, epsilon), state
        count = x.size // x.shape[-1]
        if count < 2 and not ctx._planned:
            raise ValueError(
                "batch_norm: training needs more than one value a feature, got x of shape "
                f"{x.shape}; use a larger batch"
            )
        mean, var = moments(x, tuple(range(x.ndim - 1)))
        kept = {
            "mean": _blend(m, state["mean"], mean),
            "var": _blend(m, state["var"], var * (count / max(count - 1, 1))),
        }
        return normalized(x, mean, var, params, epsilon), kept

    return pointwise(init, apply)


def _blend(momentum: float, old: jax.Array, new: jax.Array) -> jax.Array:
    new = jax.lax.stop_gradient(new).reshape(old.shape).astype(old.dtype)
    return (momentum * old + (1 - momentum) * new).astype(old.dtype)

"""Normalization of each example by itself: y = γ (x - μ) / √(σ² + ε) + β, as in `_normalize`.

layer_norm     μ, σ² over the features
rms_norm       μ = 0, σ² the mean of squares over the features
group_norm     μ, σ² over the positions and a group of the channels
instance_norm  μ, σ² over the positions, each channel for itself
"""

from typing import Any

import jax
import jax.numpy as jnp

from .._core._checks import default_float, feature_size, parameter_of, positive
from .._core._factory import factory
from .._core._layer import Context, Layer, Params, State, Variables, pointwise
from .._core._specs import describe
from ._normalize import at_least_float32, moments, normalized, scale_and_bias


@factory
def layer_norm(*, epsilon: float = 1e-5) -> Layer:
    """Layer normalization: y = γ (x - μ) / √(σ² + ε) + β, over the last axis of each example.

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
        return Variables(scale_and_bias(feature_size("layer_norm", x)), {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        parameter_of("layer_norm", params, "scale", "bias")
        feature_size("layer_norm", x, params["scale"].shape[0])
        return normalized(x, *moments(x, (-1,)), params, epsilon), state

    return pointwise(init, apply)


@factory
def rms_norm(*, epsilon: float = 1e-5) -> Layer:
    """Root mean square normalization: y = γ x / √(mean(x²) + ε), over the last axis.

    Parameters: scale γ (features,).

    Source: Zhang and Sennrich, Root mean square layer normalization, 2019.

    Args:
        epsilon: ε, added to the mean of squares.

    Raises:
        ValueError: an x whose last axis is not the one γ was made for.

    >>> from laminax import nn
    >>> layer = nn.rms_norm()
    >>> variables = layer.init(jax.random.key(0), jnp.zeros(2))
    >>> layer(variables, jnp.array([3.0, -3.0])).round(3)
    Array([ 1., -1.], dtype=float32)
    """

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        return Variables({"scale": jnp.ones(feature_size("rms_norm", x), default_float())}, {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        parameter_of("rms_norm", params, "scale")
        feature_size("rms_norm", x, params["scale"].shape[0])
        square = jnp.square(at_least_float32(x)).mean(-1, keepdims=True)
        return normalized(x, jnp.zeros_like(square), square, params, epsilon), state

    return pointwise(init, apply)


@factory
def group_norm(groups: int, *, epsilon: float = 1e-5) -> Layer:
    """Group normalization: y = γ (x - μ) / √(σ² + ε) + β, over a group of channels of an example.

    x is (batch, *positions, channels); μ and σ² are those of all positions, time steps too, and of
    the channels / groups neighboring channels of a group. Parameters: scale γ, bias β (channels,).

    Source: Wu and He, Group normalization, 2018.

    Args:
        groups: number of groups, which divides the channels.
        epsilon: ε, added to the variance.

    Raises:
        ValueError: groups < 1, or that do not divide the channels; an x without a batch axis, or
            whose last axis is not the one γ was made for.

    >>> from laminax import nn
    >>> x = jnp.array([[1.0, 3.0, 10.0, 10.0]])
    >>> layer = nn.group_norm(2)
    >>> layer(layer.init(jax.random.key(0), x), x).round(3)
    Array([[-1.,  1.,  0.,  0.]], dtype=float32)
    """
    positive("group_norm", "groups", groups)

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        size = feature_size("group_norm", x, least_rank=2)
        if size % groups:
            raise ValueError(
                f"group_norm: groups must divide the channels of x, got {groups=} and {size} "
                f"channels in {describe(x)}"
            )
        return Variables(scale_and_bias(size), {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        parameter_of("group_norm", params, "scale", "bias")
        feature_size("group_norm", x, params["scale"].shape[0], least_rank=2)
        return _by_group(x, groups, params, epsilon), state

    return Layer(init, apply)


@factory
def instance_norm(*, epsilon: float = 1e-5) -> Layer:
    """Instance normalization: y = γ (x - μ) / √(σ² + ε) + β, over the positions of each channel.

    x is (batch, *positions, channels) with one to three axes of positions; an example alone, in
    training and evaluation alike. Parameters: scale γ, bias β (channels,).

    Source: Ulyanov, Vedaldi and Lempitsky, Instance normalization: the missing ingredient for fast
    stylization, 2016.

    Args:
        epsilon: ε, added to the variance.

    Raises:
        ValueError: an x with fewer than 3 axes, with a single position, or whose last axis is not
            the one γ was made for.

    >>> from laminax import nn
    >>> x = jnp.array([1.0, 3.0]).reshape(1, 2, 1)
    >>> layer = nn.instance_norm()
    >>> layer(layer.init(jax.random.key(0), x), x).round(3).ravel()
    Array([-1.,  1.], dtype=float32)
    """

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        return Variables(scale_and_bias(feature_size("instance_norm", x, least_rank=3)), {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        parameter_of("instance_norm", params, "scale", "bias")
        size = feature_size("instance_norm", x, params["scale"].shape[0], least_rank=3)
        if x.size == x.shape[0] * size:
            raise ValueError(
                "instance_norm: a channel needs more than one position to have a variance, got "
                f"{describe(x)}; use layer_norm here"
            )
        return _by_group(x, size, params, epsilon), state

    return Layer(init, apply)


def _by_group(x: jax.Array, groups: int, params: Params, epsilon: float) -> jax.Array:
    def apart(a: jax.Array) -> jax.Array:
        return a.reshape(*a.shape[:-1], groups, -1)

    axes = (*range(1, x.ndim - 1), x.ndim)  # all but the batch and the groups
    params = {name: apart(p) for name, p in params.items()}
    return normalized(apart(x), *moments(apart(x), axes), params, epsilon).reshape(x.shape)

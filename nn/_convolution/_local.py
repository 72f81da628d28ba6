"""Locally connected layer: a convolution with weights of its own at every position.

    y[n, p, f] = Σ_{t, c} x[n, s p + t - l, c] w[p, t, c, f] + b[p, f],

with stride s and l entries of padding before.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.nn.initializers import Initializer, lecun_normal

from .._core._checks import (
    check_shape,
    default_float,
    feature_size,
    parameter_of,
    positive,
    promote,
)
from .._core._factory import factory
from .._core._layer import Context, Layer, Params, State, Variables
from ._convolve import patches
from ._window import Extent, Padding, Placed, Window, accumulator


@factory
def local_conv(
    features: int,
    kernel: Extent,
    *,
    stride: Extent = 1,
    padding: Padding = "valid",
    bias: bool = True,
    init: Initializer = lecun_normal(),
) -> Layer:
    """Convolution with unshared weights: y[p] = Σ_t x[s p + t - l] W[p, t] + b[p].

    x is (batch, *spatial, channels), of the spatial sizes that w was made for. Parameters: w
    (*outputs, *kernel, channels, features), b (*outputs, features), which starts at zero, with
    outputs the spatial sizes of y.

    Source: LeCun, Generalization and network design strategies, 1989.

    Args:
        features: channels of y.
        kernel: entries of the window, for every spatial axis or one integer each.
        stride: s, how far the window moves.
        padding: zeros around x, as in `conv`.
        bias: whether there is a b.
        init: initializer of w at one position.

    Raises:
        ValueError: an integer < 1; an unknown padding; an x of another rank, size or number of
            channels than w was made for, or smaller than the window.

    >>> from laminax import nn
    >>> layer = nn.local_conv(1, (1,), bias=False)
    >>> params = {"w": jnp.array([1.0, 2.0, 3.0]).reshape(3, 1, 1, 1)}
    >>> layer(nn.Variables(params, {}), jnp.ones((1, 3, 1))).ravel()
    Array([1., 2., 3.], dtype=float32)
    """
    positive("local_conv", "features", features)
    window = Window("local_conv", kernel, stride, padding=padding)
    window.check()
    names, weights = ("w", "b") if bias else ("w",), init

    def make(key: jax.Array, x: Any, **side: Any) -> Variables:
        at, channels, dtype = window.on(x), feature_size("local_conv", x), default_float()
        outputs, shape = _outputs(x, at), (*at.size, channels, features)
        keys = jax.random.split(key, math.prod(outputs))
        w = jax.vmap(lambda key: weights(key, shape, dtype))(keys).reshape(*outputs, *shape)
        params = {"w": w}
        return Variables(
            {**params, "b": jnp.zeros((*outputs, features), dtype)} if bias else params, {}
        )

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        w = parameter_of("local_conv", params, *names)[0]
        at = window.on(x, (w.ndim - 2) // 2)
        channels, outputs = feature_size("local_conv", x, w.shape[-2]), _outputs(x, at)
        check_shape("local_conv", "w", w, (*outputs, *at.size, channels, features))
        x, w, *b = promote(x, *(params[name] for name in names))
        y = _apart(patches(x, at), w.reshape(math.prod(outputs), -1, features))
        y = y.reshape(-1, *outputs, features)
        return (y + b[0][None] if bias else y), state

    return Layer(make, apply)


def _outputs(x: Any, at: Placed) -> tuple[int, ...]:
    """Return the spatial sizes of y."""
    sizes = zip(x.shape[1:-1], at.size, at.stride, at.around, strict=True)
    return tuple((before + n + after - k) // s + 1 for n, k, s, (before, after) in sizes)


def _apart(x: jax.Array, w: jax.Array) -> jax.Array:
    """Multiply the patch at every position by the weights there."""
    dtype, wide = x.dtype, accumulator(x.dtype)
    x = lax.collapse(x, 1, x.ndim - 1)
    # Cast, not accumulated by the product itself: the CPU has no such batched one of half floats.
    y: jax.Array = jnp.einsum("npk,pkf->npf", x.astype(wide), w.astype(wide))
    return y.astype(dtype)

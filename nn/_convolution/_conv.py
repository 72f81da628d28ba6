"""Convolution over one to three spatial axes: (batch, *spatial, channels), (*kernel, in, out).

    y[n, p, f] = Σ_{t, c} x[n, s p + d t - l, c] w[t, c, f] + b[f],

with stride s, dilation d and l entries of padding before. A depthwise convolution has a window of
its own for every channel, y[n, p, c] = Σ_t x[n, s p + d t - l, c] w[t, c] + b[c].
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
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
from ._convolve import convolve
from ._window import Extent, Padding, Window


@factory
def conv(
    features: int,
    kernel: Extent,
    *,
    stride: Extent = 1,
    dilation: Extent = 1,
    padding: Padding = "same",
    groups: int = 1,
    bias: bool = True,
    init: Initializer = lecun_normal(),
) -> Layer:
    """Convolution (cross-correlation): y[p] = Σ_t x[s p + d t - l] W[t] + b, over 1 to 3 axes.

    x is (batch, *spatial, channels). Parameters: w (*kernel, channels / groups, features), b
    (features,), which starts at zero. `groups=channels` is a depthwise convolution.

    Source: LeCun et al., Gradient-based learning applied to document recognition, 1998; dilation:
    Yu and Koltun, Multi-scale context aggregation by dilated convolutions, 2016; groups: Krizhevsky
    et al., ImageNet classification with deep convolutional neural networks, 2012.

    Args:
        features: channels of y.
        kernel: entries of the window, for every spatial axis or one integer each.
        stride: s, how far the window moves.
        dilation: d, the distance between its entries.
        padding: zeros around x: "same" (y has ⌈n / s⌉ entries where x has n), "valid" (none), an
            integer, or for each spatial axis an integer or a pair (before, after).
        groups: number of groups of channels that are convolved apart.
        bias: whether there is a b.
        init: initializer of w.

    Raises:
        ValueError: an integer < 1; a padding that is none of the above; groups that do not divide
            features or channels; an x of another rank or number of channels than w was made for,
            or smaller than the window.

    >>> from laminax import nn
    >>> layer = nn.conv(1, (2,), padding="valid")
    >>> params = {"w": jnp.array([-1.0, 1.0]).reshape(2, 1, 1), "b": jnp.zeros(1)}
    >>> layer(nn.Variables(params, {}), jnp.array([1.0, 4.0, 9.0]).reshape(1, 3, 1)).ravel()
    Array([3., 5.], dtype=float32)
    """
    positive("conv", "features", features)
    positive("conv", "groups", groups)
    if features % groups:
        raise ValueError(f"conv: groups must divide features, got {groups=} and {features=}")

    def widths(channels: int) -> tuple[int, int]:
        if channels % groups:
            raise ValueError(
                f"conv: groups must divide the channels of x, got {groups=} and {channels} channels"
            )
        return features, groups

    def channels(w: jax.Array) -> int:
        return w.shape[-2] * groups

    window = Window("conv", kernel, stride, dilation, padding)
    return convolution(window, widths, channels, bias=bias, init=init)


def convolution(
    window: Window,
    widths: Callable[[int], tuple[int, int]],
    channels: Callable[[jax.Array], int],
    *,
    bias: bool,
    init: Initializer,
) -> Layer:
    """Layer that convolves: w (*kernel, channels / groups, features), and b (features,).

    Args:
        window: its geometry.
        widths: features and groups, from the channels of x.
        channels: the channels of x that a w was made for.
        bias: whether there is a b.
        init: initializer of w.
    """
    window.check()
    kind, names, weights = window.kind, ("w", "b") if bias else ("w",), init

    def make(key: jax.Array, x: Any, **side: Any) -> Variables:
        at, inputs = window.on(x), feature_size(kind, x)
        (features, groups), dtype = widths(inputs), default_float()
        params = {"w": weights(key, (*at.size, inputs // groups, features), dtype)}
        return Variables({**params, "b": jnp.zeros(features, dtype)} if bias else params, {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        w = parameter_of(kind, params, *names)[0]
        at, inputs = window.on(x, w.ndim - 2), feature_size(kind, x, channels(w))
        features, groups = widths(inputs)
        check_shape(kind, "w", w, (*at.size, inputs // groups, features))
        x, w, *b = promote(x, *(params[name] for name in names))
        y = convolve(x, w, at.stride, at.dilation, at.around, groups)
        return (y + jnp.expand_dims(b[0], range(y.ndim - 1)) if bias else y), state

    return Layer(make, apply)

"""Depthwise convolution, one window or more of its own for every channel, and what it is used for.

depthwise  y[p, k c + j] = Σ_t x[s p + d t - l, c] w[t, k c + j] + b[k c + j],  0 ≤ j < k
separable  the same without b, and a pointwise (1×1) convolution of it
"""

import jax
from jax.nn.initializers import Initializer, lecun_normal

from .._core._checks import positive
from .._core._combinators import serial
from .._core._factory import factory
from .._core._layer import Layer
from ._conv import conv, convolution
from ._window import Extent, Padding, Window


@factory
def depthwise_conv(
    kernel: Extent,
    multiplier: int = 1,
    *,
    stride: Extent = 1,
    dilation: Extent = 1,
    padding: Padding = "same",
    bias: bool = True,
    init: Initializer = lecun_normal(),
) -> Layer:
    """Convolution of every channel apart: y[p, k c + j] = Σ_t x[s p + d t - l, c] w[t, k c + j].

    b is added where there is one. x is (batch, *spatial, channels). Parameters: w (*kernel, 1,
    multiplier · channels), b (multiplier · channels,), which starts at zero: those of `conv` with
    as many groups as channels.

    Source: Sifre, Rigid-motion scattering for image classification, 2014.

    Args:
        kernel: entries of the window, for every spatial axis or one integer each.
        multiplier: k, channels of y for each of x.
        stride: s, how far the window moves.
        dilation: d, the distance between its entries.
        padding: zeros around x, as in `conv`.
        bias: whether there is a b.
        init: initializer of w.

    Raises:
        ValueError: an integer < 1; an unknown padding; an x of another rank or number of channels
            than w was made for, or smaller than the window.

    >>> import jax.numpy as jnp
    >>> from laminax import nn
    >>> layer = nn.depthwise_conv((2,), padding="valid", bias=False)
    >>> params = {"w": jnp.array([[[1.0, 1.0]], [[1.0, -1.0]]])}  # a sum and a difference
    >>> layer(nn.Variables(params, {}), jnp.array([[[1.0, 1.0], [2.0, 4.0]]]))
    Array([[[ 3., -3.]]], dtype=float32)
    """
    positive("depthwise_conv", "multiplier", multiplier)

    def widths(channels: int) -> tuple[int, int]:
        return multiplier * channels, channels

    def channels(w: jax.Array) -> int:
        return int(w.shape[-1]) // multiplier

    window = Window("depthwise_conv", kernel, stride, dilation, padding)
    return convolution(window, widths, channels, bias=bias, init=init)


@factory
def separable_conv(
    features: int,
    kernel: Extent,
    *,
    stride: Extent = 1,
    dilation: Extent = 1,
    padding: Padding = "same",
    bias: bool = True,
) -> Layer:
    """Convolution of every channel apart, then across channels at every position.

    Entries: "depthwise", a `depthwise_conv` without bias, and "pointwise", a `conv` of one entry.

    Source: Chollet, Xception: deep learning with depthwise separable convolutions, 2017.

    Args:
        features: channels of y.
        kernel: entries of the window, for every spatial axis or one integer each.
        stride: how far the window moves.
        dilation: the distance between its entries.
        padding: zeros around x, as in `conv`.
        bias: whether the pointwise part has a b.

    Raises:
        ValueError: as `depthwise_conv` and `conv` do.

    >>> import jax, jax.numpy as jnp
    >>> from laminax import nn
    >>> variables = nn.separable_conv(8, 3).init(jax.random.key(0), jnp.zeros((1, 5, 5, 4)))
    >>> jax.tree.map(jnp.shape, variables.params)
    {'depthwise': {'w': (3, 3, 1, 4)}, 'pointwise': {'b': (8,), 'w': (1, 1, 4, 8)}}
    """
    return serial(
        depthwise=depthwise_conv(
            kernel, stride=stride, dilation=dilation, padding=padding, bias=False
        ),
        pointwise=conv(features, 1, bias=bias),
    )

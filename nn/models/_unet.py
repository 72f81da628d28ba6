"""U-Net: a label for every pixel, from a path that contracts and one that expands again.

    level_d(x) = e(concat(h, up(level_{d-1}(pool(h))))),   h = c(x)
    level_0(x) = c(x)

with c and e two 3×3 convolutions each, ReLU after both; pool the maximum over 2×2, after which
there are twice the features; up a repetition of every pixel 2×2 and a 2×2 convolution to half the
features. A 1×1 convolution reads the classes out of the uppermost level. Each level holds the one
below, as the figure of the paper does; all of it works alike on lines, images and volumes.
"""

from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.nn import relu
from jax.nn.initializers import he_normal

from .._convolution._conv import conv
from .._convolution._pool import max_pool
from .._convolution._upsample import upsample
from .._convolution._window import spatial
from .._core._checks import fraction, positive
from .._core._combinators import serial
from .._core._compose import compose
from .._core._factory import LayerLike, factory
from .._core._layer import Layer
from .._regularization._dropout import dropout as dropout_layer


@factory
def unet(classes: int, *, depth: int = 4, width: int = 64, dropout: float = 0.0) -> Layer:
    """U-Net: (batch, *spatial, channels) to logits (batch, *spatial, classes), 1 to 3 axes.

    Convolutions keep the size (those of the paper do not pad, and crop instead), so every spatial
    size must be a multiple of 2^depth.

    Sources: Ronneberger, Fischer and Brox, U-Net: convolutional networks for biomedical image
    segmentation, 2015; in three dimensions: Çiçek et al., 3D U-Net, 2016.

    Args:
        classes: number of labels of a pixel.
        depth: how often the resolution is halved.
        width: features of the uppermost level, doubled at each level below.
        dropout: probability that a value at the end of the contracting path is set to zero in
            training, in [0, 1).

    Raises:
        ValueError: an integer < 1; a dropout outside [0, 1); an x with a spatial size that 2^depth
            does not divide.

    >>> import jax
    >>> from laminax import nn
    >>> model = nn.unet(2)
    >>> table = nn.summary(model, jax.ShapeDtypeStruct((1, 512, 512, 1), "float32"))
    >>> table.total.output.shape, table.total.parameters
    ((1, 512, 512, 2), 31030658)
    """
    for name, value in (("classes", classes), ("depth", depth), ("width", width)):
        positive("unet", name, value)
    fraction("unet", "dropout", dropout)

    def forward(c: Any, x: Array) -> Array:
        sizes = spatial("unet", x)
        if any(size % 2**depth for size in sizes):
            raise ValueError(
                f"unet: every spatial size of x must be a multiple of 2^depth = {2**depth}, got "
                f"{sizes}; crop or pad x, or take a smaller depth"
            )
        y: Array = c.head(c.top(x))
        return y

    return compose(forward, top=_level(depth, width, dropout), head=conv(classes, 1))


def _level(depth: int, features: int, dropout: float) -> Layer:
    if not depth:
        return serial(*_twice(features), dropout_layer(dropout))

    def forward(c: Any, x: Array) -> Array:
        h = c.contract(x)
        y: Array = c.expand(jnp.concatenate((h, c.up(c.below(c.pool(h)))), -1))
        return y

    return compose(
        forward,
        contract=serial(*_twice(features)),
        pool=max_pool(2),
        below=_level(depth - 1, 2 * features, dropout),
        up=serial(upsample(2), conv(features, 2, init=he_normal())),
        expand=serial(*_twice(features)),
    )


def _twice(features: int) -> tuple[LayerLike, ...]:
    return (conv(features, 3, init=he_normal()), relu) * 2

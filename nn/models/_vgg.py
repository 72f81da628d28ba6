"""VGG networks: 3×3 convolutions alone, in blocks between which the resolution is halved.

    block i: relu(conv_3×3(...)), n_i times over, then the maximum over 2×2

======  =========================  ===========  ==============
family  convolutions of the blocks  parameters  multiply-adds
======  =========================  ===========  ==============
vgg-11  1, 1, 2, 2, 2              132,863,336  7.6 G
vgg-13  2, 2, 2, 2, 2              133,047,848  11.3 G
vgg-16  2, 2, 3, 3, 3              138,357,544  15.5 G
vgg-19  2, 2, 4, 4, 4              143,667,240  19.6 G
======  =========================  ===========  ==============

with 64, 128, 256, 512 and 512 features, then dense layers of 4096, 4096 and the classes. Numbers
are those of 1000 classes and one image of 224 × 224 × 3.
"""

from jax.nn import relu
from jax.nn.initializers import he_normal

from .._convolution._adaptive_pool import adaptive_avg_pool
from .._convolution._conv import conv
from .._convolution._pool import max_pool
from .._core._checks import fraction, positive
from .._core._combinators import serial
from .._core._factory import LayerLike, factory
from .._core._layer import Layer
from .._layers._linear import dense
from .._layers._shape import flatten
from .._normalization._batch_norm import batch_norm as batch_norm_layer
from .._regularization._dropout import dropout as dropout_layer
from ._depth import stages_of

_BLOCKS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}


@factory
def vgg(
    depth: int | tuple[int, ...] = 16,
    *,
    classes: int = 1000,
    width: int = 64,
    batch_norm: bool = False,
    dropout: float = 0.5,
) -> Layer:
    """VGG of 11 to 19 layers, for images (batch, height, width, channels) of at least 32 × 32.

    Source: Simonyan and Zisserman, Very deep convolutional networks for large-scale image
    recognition, 2015 (configurations A, B, D and E).

    Args:
        depth: number of layers with weights, 11, 13, 16 or 19; or the number of convolutions of
            each block, (1, 1, 2, 2, 2) for 11.
        classes: number of outputs.
        width: features of the first block, in whose multiples the other layers are counted.
        batch_norm: whether batch norm follows each convolution, which the paper has not.
        dropout: probability that an output of a hidden dense layer is set to zero in training.

    Raises:
        ValueError: another depth; classes or a width < 1; a dropout outside [0, 1).

    >>> import jax
    >>> from laminax import nn
    >>> x = jax.ShapeDtypeStruct((1, 224, 224, 3), "float32")
    >>> nn.summary(nn.vgg(19), x).total.parameters
    143667240
    """
    blocks = stages_of("vgg", depth, _BLOCKS)
    positive("vgg", "classes", classes)
    positive("vgg", "width", width)
    fraction("vgg", "dropout", dropout)
    he = he_normal()
    after = (batch_norm_layer(), relu) if batch_norm else (relu,)

    def block(number: int, features: int) -> tuple[LayerLike, ...]:
        return (*(conv(features, 3, init=he), *after) * number, max_pool(2))

    convolutions = [
        layer for i, number in enumerate(blocks) for layer in block(number, width * min(2**i, 8))
    ]
    hidden = (dense(64 * width, init=he), relu, dropout_layer(dropout))
    return serial(*convolutions, adaptive_avg_pool(7), flatten(), *hidden, *hidden, dense(classes))

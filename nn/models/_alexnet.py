"""AlexNet: five convolutions and three dense layers, the network that won ImageNet in 2012.

y = W_8 h(W_7 h(W_6 pool(h(x)))),   h: relu after a linear map, five convolutions at first
"""

from jax.nn import relu
from jax.nn.initializers import he_normal

from .._convolution._adaptive_pool import adaptive_avg_pool
from .._convolution._conv import conv
from .._convolution._pool import max_pool
from .._core._checks import fraction, positive
from .._core._combinators import serial
from .._core._factory import factory
from .._core._layer import Layer
from .._layers._linear import dense
from .._layers._shape import flatten
from .._regularization._dropout import dropout as dropout_layer


@factory
def alexnet(*, classes: int = 1000, width: int = 64, dropout: float = 0.5) -> Layer:
    """AlexNet for images (batch, height, width, channels) of at least 63 × 63.

    61,100,840 parameters and 0.71 G multiply-adds at 224 × 224 × 3. The layout is that of the paper
    of 2014, for which weights are published: on one device, without the local response
    normalization of 2012.

    ===========================  ==============  ===========
    layer                        output          parameters
    ===========================  ==============  ===========
    conv 64, 11×11, stride 4     55 × 55 × 64         23,296
    max pool 3×3, stride 2       27 × 27 × 64
    conv 192, 5×5                27 × 27 × 192       307,392
    max pool 3×3, stride 2       13 × 13 × 192
    conv 384, 3×3                13 × 13 × 384       663,936
    conv 256, 3×3                13 × 13 × 256       884,992
    conv 256, 3×3                13 × 13 × 256       590,080
    max pool 3×3, stride 2       6 × 6 × 256
    dense 4096                   4096             37,752,832
    dense 4096                   4096             16,781,312
    dense 1000                   1000              4,097,000
    ===========================  ==============  ===========

    Sources: Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional
    neural networks, 2012; Krizhevsky, One weird trick for parallelizing convolutional neural
    networks, 2014.

    Args:
        classes: number of outputs.
        width: features of the first convolution, in whose multiples the other layers are counted.
        dropout: probability that an input of a hidden dense layer is set to zero in training.

    Raises:
        ValueError: classes or a width < 1; a dropout outside [0, 1); an x that is too small.

    >>> import jax
    >>> from laminax import nn
    >>> x = jax.ShapeDtypeStruct((1, 224, 224, 3), "float32")
    >>> nn.summary(nn.alexnet(), x).total.parameters
    61100840
    """
    positive("alexnet", "classes", classes)
    positive("alexnet", "width", width)
    fraction("alexnet", "dropout", dropout)
    he = he_normal()
    return serial(
        *(conv(width, 11, stride=4, padding=2, init=he), relu, max_pool(3, stride=2)),
        *(conv(3 * width, 5, init=he), relu, max_pool(3, stride=2)),
        *(conv(6 * width, 3, init=he), relu),
        *(conv(4 * width, 3, init=he), relu),
        *(conv(4 * width, 3, init=he), relu, max_pool(3, stride=2)),
        *(adaptive_avg_pool(6), flatten()),
        *(dropout_layer(dropout), dense(64 * width, init=he), relu),
        *(dropout_layer(dropout), dense(64 * width, init=he), relu),
        dense(classes),
    )

"""A small convolutional network: 3×3 convolutions, ReLU and 2×2 max pooling, then a read-out."""

from jax.nn import relu

from .._convolution._conv import conv
from .._convolution._pool import max_pool
from .._core._checks import positive
from .._core._combinators import serial
from .._core._factory import factory
from .._core._layer import Layer
from .._layers._linear import dense
from .._layers._shape import flatten


@factory
def cnn(*channels: int, classes: int = 10) -> Layer:
    """Convolutional network for images (batch, height, width, channels).

    For each entry of `channels` a valid 3×3 convolution, ReLU and a 2×2 max pooling; then all
    values into one dense layer. 34,826 parameters on (batch, 28, 28, 1).

    Args:
        *channels: the number of feature maps of each convolution; 32, 64 unless given.
        classes: number of outputs.

    Raises:
        ValueError: a number of channels or classes < 1.

    >>> import jax, jax.numpy as jnp
    >>> from laminax import nn
    >>> variables = nn.cnn().init(jax.random.key(0), jnp.zeros((1, 28, 28, 1)))
    >>> {name: leaf["w"].shape for name, leaf in variables.params.items()}
    {'conv_0': (3, 3, 1, 32), 'conv_1': (3, 3, 32, 64), 'dense_0': (1600, 10)}
    """
    channels = channels or (32, 64)
    for size in channels:
        positive("cnn", "each of channels", size)
    positive("cnn", "classes", classes)
    blocks = [
        part for size in channels for part in (conv(size, 3, padding="valid"), relu, max_pool(2))
    ]
    return serial(*blocks, flatten(), dense(classes))

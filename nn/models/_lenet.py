"""LeNet-5 in the form it is trained in today: ReLU and max pooling."""

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
def lenet(classes: int = 10) -> Layer:
    """LeNet-5 for images (batch, 28, 28, channels): 61,706 parameters at 1 channel, 10 classes.

    ReLU for the scaled tanh, max for average pooling, full connections between the feature maps
    and a dense read-out for the radial basis functions of the original.

    ======================  ===============  ==========
    layer                   output           parameters
    ======================  ===============  ==========
    conv 6, 5×5, same       28 × 28 × 6             156
    max pool 2×2            14 × 14 × 6
    conv 16, 5×5, valid     10 × 10 × 16          2,416
    max pool 2×2            5 × 5 × 16
    dense 120               120                  48,120
    dense 84                84                   10,164
    dense 10                10                      850
    ======================  ===============  ==========

    Source: LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document
    recognition, 1998.

    Args:
        classes: number of outputs.

    Raises:
        ValueError: classes < 1.

    >>> import jax, jax.numpy as jnp
    >>> from laminax import nn
    >>> variables = nn.lenet().init(jax.random.key(0), jnp.zeros((1, 28, 28, 1)))
    >>> sum(leaf.size for leaf in jax.tree.leaves(variables.params))
    61706
    """
    positive("lenet", "classes", classes)
    return serial(
        conv(6, 5, padding="same"),
        relu,
        max_pool(2),
        conv(16, 5, padding="valid"),
        relu,
        max_pool(2),
        flatten(),
        dense(120),
        relu,
        dense(84),
        relu,
        dense(classes),
    )

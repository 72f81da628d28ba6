"""Multilayer perceptron: y = h_{n-1} W_n + b_n with h_i = φ(h_{i-1} W_i + b_i), h_0 = x flat."""

import jax

from .._checks import fraction, positive
from .._combinators import serial
from .._core import Layer
from .._dropout import dropout as dropout_layer
from .._factory import LayerLike, factory
from .._linear import dense
from .._shape import flatten


@factory
def mlp(*features: int, activation: LayerLike = jax.nn.relu, dropout: float = 0.0) -> Layer:
    """Multilayer perceptron: dense layers, an activation after each but the last.

    An x (batch, ...) is flattened to (batch, inputs), so images may be given as they are.

    Source: Rumelhart, Hinton and Williams, Learning representations by back-propagating errors,
    1986.

    Args:
        *features: the size of each dense layer; the last is that of y.
        activation: φ.
        dropout: probability that a hidden unit is set to zero in training, in [0, 1).

    Raises:
        ValueError: no features, one < 1, or a dropout outside [0, 1).

    >>> import jax.numpy as jnp
    >>> from laminax import nn
    >>> model = nn.mlp(512, 10)
    >>> variables = model.init(jax.random.key(0), jnp.zeros((1, 28, 28)))
    >>> jax.tree.map(jnp.shape, variables.params)
    {'dense_0': {'b': (512,), 'w': (784, 512)}, 'dense_1': {'b': (10,), 'w': (512, 10)}}
    """
    if not features:
        raise ValueError("mlp: needs the size of at least one layer, got none; for example mlp(10)")
    for size in features:
        positive("mlp", "each of features", size)
    after = (
        [activation, dropout_layer(dropout)]
        if fraction("mlp", "dropout", dropout)
        else [activation]
    )
    hidden = [part for size in features[:-1] for part in (dense(size), *after)]
    return serial(flatten(), *hidden, dense(features[-1]))

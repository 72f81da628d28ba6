"""Multilayer perceptron: y = h_{n-1} W_n + b_n with h_i = φ(h_{i-1} W_i + b_i), h_0 = x flat."""

import jax

from .._core._checks import fraction, positive
from .._core._combinators import residual as residual_block
from .._core._combinators import serial
from .._core._factory import LayerLike, factory
from .._core._layer import Layer
from .._layers._linear import dense
from .._layers._shape import flatten
from .._regularization._dropout import dropout as dropout_layer


@factory
def mlp(
    *features: int,
    activation: LayerLike = jax.nn.relu,
    norm: LayerLike | None = None,
    dropout: float = 0.0,
    residual: bool = False,
) -> Layer:
    """Multilayer perceptron: dense layers, an activation after each but the last.

    A hidden layer is dense, norm, activation, dropout. An x (batch, ...) is flattened to
    (batch, inputs), so images may be given as they are.

    Source: Rumelhart, Hinton and Williams, Learning representations by back-propagating errors,
    1986; norm before φ: Ioffe and Szegedy, Batch normalization, 2015; residual: He et al., Deep
    residual learning for image recognition, 2015.

    Args:
        *features: the size of each dense layer; the last is that of y.
        activation: φ.
        norm: what normalizes a hidden layer before φ, for example `batch_norm()`.
        dropout: probability that a hidden unit is set to zero in training, in [0, 1).
        residual: add to each hidden layer its input, h_i = h_{i-1} + φ(...), where of one size.

    Raises:
        ValueError: no features, one < 1, or a dropout outside [0, 1).

    >>> import jax.numpy as jnp
    >>> from laminax import nn
    >>> model = nn.mlp(512, 10)
    >>> variables = model.init(jax.random.key(0), jnp.zeros((1, 28, 28)))
    >>> jax.tree.map(jnp.shape, variables.params)
    {'dense_0': {'b': (512,), 'w': (784, 512)}, 'dense_1': {'b': (10,), 'w': (512, 10)}}
    >>> list(nn.mlp(64, 64, 64, 10, norm=nn.layer_norm(), residual=True).children)
    ['flatten_0', 'dense_0', 'layer_norm_0', 'relu_0', 'residual_0', 'residual_1', 'dense_1']
    """
    if not features:
        raise ValueError("mlp: needs the size of at least one layer, got none; for example mlp(10)")
    for size in features:
        positive("mlp", "each of features", size)
    before = [] if norm is None else [norm]
    after = [dropout_layer(dropout)] if fraction("mlp", "dropout", dropout) else []
    hidden: list[LayerLike] = []
    for i, size in enumerate(features[:-1]):
        parts = [dense(size), *before, activation, *after]
        same = residual and i > 0 and size == features[i - 1]
        hidden += [residual_block(*parts)] if same else parts
    return serial(flatten(), *hidden, dense(features[-1]))

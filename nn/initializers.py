"""Initializers: JAX's own, each a function `(key, shape, dtype) -> array` or a maker of such.

With the fans n_in and n_out of a weight, its inputs and outputs,

    zeros, ones                      constants
    normal(s), truncated_normal(s)   N(0, s²), the latter cut at two standard deviations
    lecun_normal(), lecun_uniform()  variance 1 / n_in, keeps it through a linear layer
    he_normal(), he_uniform()        variance 2 / n_in, keeps it through ReLU
    glorot_normal(), glorot_uniform()  variance 2 / (n_in + n_out), a middle way for the gradient
    orthogonal()                     orthonormal rows or columns

Sources: LeCun et al., Efficient backprop, 1998; Glorot and Bengio, Understanding the difficulty of
training deep feedforward neural networks, 2010; Saxe et al., Exact solutions to the nonlinear
dynamics of learning in deep linear neural networks, 2014; He et al., Delving deep into rectifiers,
2015.
"""

from jax.nn.initializers import Initializer as Initializer
from jax.nn.initializers import glorot_normal as glorot_normal
from jax.nn.initializers import glorot_uniform as glorot_uniform
from jax.nn.initializers import he_normal as he_normal
from jax.nn.initializers import he_uniform as he_uniform
from jax.nn.initializers import lecun_normal as lecun_normal
from jax.nn.initializers import lecun_uniform as lecun_uniform
from jax.nn.initializers import normal as normal
from jax.nn.initializers import ones as ones
from jax.nn.initializers import orthogonal as orthogonal
from jax.nn.initializers import truncated_normal as truncated_normal
from jax.nn.initializers import zeros as zeros

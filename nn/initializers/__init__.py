"""Initializers: each a function `(key, shape, dtype) -> array`, here a maker of such or the thing.

With the fans n_in and n_out of a weight (..., inputs, outputs), its inputs and outputs times the
positions of its window,

    zeros, ones, constant(c)         constants
    uniform(low, high)               variance (high - low)² / 12
    normal(s)                        N(0, s²)
    truncated_normal(s)              N(0, s²) cut at 2 s, which leaves the variance (0.8796 s)²
    lecun_normal(), lecun_uniform()  variance 1 / n_in, keeps it through a linear layer
    he_normal(), he_uniform()        variance 2 / n_in, keeps it through ReLU
    glorot_normal(), glorot_uniform()  variance 2 / (n_in + n_out), a middle way for the gradient
    orthogonal(g)                    g times orthonormal rows or columns
    identity(g)                      g times the identity, at the center of a kernel's window
    sparse(k, s)                     k non-zeros a unit, N(0, s²)

The normal ones with fans are cut at two standard deviations and scaled to their full variance.
JAX's own but for `uniform`, `identity` and `sparse`.

Sources: LeCun et al., Efficient backprop, 1998; Glorot and Bengio, Understanding the difficulty of
training deep feedforward neural networks, 2010; Martens, Deep learning via Hessian-free
optimization, 2010; Saxe et al., Exact solutions to the nonlinear dynamics of learning in deep
linear neural networks, 2014; He et al., Delving deep into rectifiers, 2015; Le et al., A simple way
to initialize recurrent networks of rectified linear units, 2015.
"""

from jax.nn.initializers import Initializer as Initializer
from jax.nn.initializers import constant as constant
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

from ._initializers import identity as identity
from ._initializers import sparse as sparse
from ._initializers import uniform as uniform

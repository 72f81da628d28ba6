"""Activations: JAX's own functions of arrays, layers as they stand in any combinator.

    relu      max(x, 0)
    gelu      x Φ(x), with Φ(x) ≈ ½ (1 + tanh(√(2/π) (x + 0.044715 x³))); approximate=False: exact
    silu      x σ(x)
    sigmoid   σ(x) = 1 / (1 + exp(-x))
    tanh      (exp(x) - exp(-x)) / (exp(x) + exp(-x))
    softmax   exp(x_i) / Σ_k exp(x_k) over the last axis

All but softmax act on each element by itself.
"""

from jax.nn import gelu as gelu
from jax.nn import relu as relu
from jax.nn import sigmoid as sigmoid
from jax.nn import silu as silu
from jax.nn import softmax as softmax
from jax.numpy import tanh as tanh

"""Activations: functions of arrays, layers as they stand in any combinator.

    heaviside    1 where x ≥ 0, else 0
    sign         -1, 0 or 1 as x is negative, zero or positive
    sigmoid      σ(x) = 1 / (1 + exp(-x))
    tanh         (exp(x) - exp(-x)) / (exp(x) + exp(-x)) = 2 σ(2x) - 1
    relu         max(x, 0)
    leaky_relu   leaky_relu(a): x where x ≥ 0, else a x; it alone is to be called first
    elu          x where x > 0, else exp(x) - 1
    selu         λ x where x > 0, else λ α (exp(x) - 1), with α ≈ 1.6733 and λ ≈ 1.0507
    softplus     log(1 + exp(x))
    gelu         x Φ(x), Φ(x) ≈ ½ (1 + tanh(√(2/π) (x + 0.044715 x³))); approximate=False: exact
    silu         x σ(x)
    softmax      exp(x_i) / Σ_k exp(x_k) over the last axis, the same for x + c
    log_softmax  x_i - log Σ_k exp(x_k) over the last axis

All but the last two act on each element by itself. JAX's own but for `heaviside` and `leaky_relu`.

Sources: McCulloch and Pitts, 1943 (heaviside); Nair and Hinton, 2010 (relu); Maas et al., 2013
(leaky_relu); Clevert et al., 2016 (elu); Klambauer et al., 2017 (selu); Dugas et al., 2001
(softplus); Hendrycks and Gimpel, 2016 (gelu); Elfwing et al., 2018 (silu); Bridle, 1990 (softmax).
"""

from jax.nn import elu as elu
from jax.nn import gelu as gelu
from jax.nn import log_softmax as log_softmax
from jax.nn import relu as relu
from jax.nn import selu as selu
from jax.nn import sigmoid as sigmoid
from jax.nn import silu as silu
from jax.nn import softmax as softmax
from jax.nn import softplus as softplus
from jax.numpy import sign as sign
from jax.numpy import tanh as tanh

from ._activations import heaviside as heaviside
from ._activations import leaky_relu as leaky_relu

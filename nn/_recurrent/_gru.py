"""Gated recurrent unit."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._core._checks import default_float, positive
from .._core._factory import factory
from .._core._layer import Carry, Layer, Params
from ._gru_scan import gru_scan
from ._recurrent import Mask, along_time, project, recurrent, recurrent_weights


@factory
def gru(features: int) -> Layer:
    """Gated recurrent unit over x (batch, time, inputs); y is h (batch, time, features).

        r, z = σ(x_t W_i + h_{t-1} W_h + b)                  reset and update gates
        n    = tanh(x_t W_i + b + r (h_{t-1} W_h + b_h))     each with its own third of W and b
        h_t  = (1 - z) n + z h_{t-1}

    The reset gate acts after the product with W_h, as in the first version of the paper (arXiv,
    v1), so that one product a step serves all three; the final version resets h before it. cuDNN
    and torch compute this form too, so weights may be exchanged with them.

    Parameters: wi (inputs, 3 · features), wh (features, 3 · features), b (3 · features,), in the
    order r, z, n, and bh (features,), the bias inside the reset product; biases start at zero.
    Carry: h (batch, features), zero at the start.
    Side inputs: `mask` (batch, time) or `lengths` (batch,). A step that is not real holds the carry
    and its y is zero. The last carry is to be had by `rnn(gru(...), carry=True)`.

    Source: Cho et al., Learning phrase representations using RNN encoder-decoder for statistical
    machine translation, 2014.

    Args:
        features: size of h.

    Raises:
        ValueError: features < 1; an x that is not (batch, time, inputs) with the inputs that wi
            was made for; both a mask and lengths.

    >>> from laminax import nn
    >>> layer = nn.gru(4)
    >>> x = jnp.ones((2, 5, 3))
    >>> variables = layer.init(jax.random.key(0), x)
    >>> jax.tree.map(jnp.shape, variables.params)
    {'b': (12,), 'bh': (4,), 'wh': (4, 12), 'wi': (3, 12)}
    >>> layer(variables, x).shape
    (2, 5, 4)
    """
    positive("gru", "features", features)

    def make(key: jax.Array, inputs: int) -> Params:
        weights, dtype = recurrent_weights(key, 3, inputs, features), default_float()
        return {**weights, "b": jnp.zeros(3 * features, dtype), "bh": jnp.zeros(features, dtype)}

    def zero(batch: int, dtype: Any) -> Carry:
        return jnp.zeros((batch, features), dtype)

    def scan(params: Params, carry: Carry, x: jax.Array, mask: Mask) -> tuple[Carry, jax.Array]:
        wi, wh, b = (_halved(params[name]) for name in ("wi", "wh", "b"))
        return gru_scan(project(x, wi) + along_time(b), wh, params["bh"], carry, mask)

    return recurrent("gru", make, zero, scan, ("wi", "wh", "b", "bh"))


def _halved(w: jax.Array) -> jax.Array:
    # σ(z) = ½ + ½ tanh(z / 2), the half taken into the weights of r and z.
    halves = np.repeat(np.array([0.5, 0.5, 1], w.dtype), w.shape[-1] // 3)
    return w * jnp.expand_dims(halves, range(w.ndim - 1))

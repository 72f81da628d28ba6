"""Long short-term memory. Stacking is `serial`, both directions `bidirectional`."""

from typing import Any

import jax
import jax.numpy as jnp

from .._core._checks import default_float, positive
from .._core._factory import factory
from .._core._layer import Carry, Layer, Params
from ._lstm_scan import halved, lstm_scan, peephole_scan
from ._recurrent import Mask, along_time, common_dtype, project, recurrent, recurrent_weights


@factory
def lstm(features: int, *, peepholes: bool = False, forget_bias: float = 1.0) -> Layer:
    """Long short-term memory over x (batch, time, inputs); y is h (batch, time, features).

        i, f, o = σ(x_t W_i + h_{t-1} W_h + b)        the gates
        g       = tanh(x_t W_i + h_{t-1} W_h + b)     each with its own quarter of W and b
        c_t     = f c_{t-1} + i g
        h_t     = o tanh(c_t)

    With peepholes, p_i c_{t-1}, p_f c_{t-1} and p_o c_t are added inside the three σ.

    Parameters: wi (inputs, 4 · features), wh (features, 4 · features), b (4 · features,), the
    gates in the order i, f, g, o; with peepholes also wc (3, features), the rows p_i, p_f, p_o.
    Carry: (h, c), each (batch, features) and zero at the start; c in at least float32.
    Side inputs: `mask` (batch, time) or `lengths` (batch,). A step that is not real holds the carry
    and its y is zero. The last carry is to be had by `rnn(lstm(...), carry=True)`.

    Sources: Hochreiter and Schmidhuber, Long short-term memory, 1997; with the forget gate and
    peepholes, Gers and Schmidhuber, Recurrent nets that time and count, 2000; the forget gate's
    bias of 1, Jozefowicz et al., An empirical exploration of recurrent network architectures, 2015.

    Args:
        features: size of h and c.
        peepholes: whether the gates see c.
        forget_bias: the initial value of f's part of b; the rest starts at zero.

    Raises:
        ValueError: features < 1; an x that is not (batch, time, inputs) with the inputs that wi
            was made for; both a mask and lengths.

    >>> from laminax import nn
    >>> model = nn.serial(nn.lstm(8), nn.lstm(4))
    >>> x = jnp.ones((2, 5, 3))
    >>> variables = model.init(jax.random.key(0), x)
    >>> jax.tree.map(jnp.shape, variables.params["lstm_0"])
    {'b': (32,), 'wh': (8, 32), 'wi': (3, 32)}
    >>> y = model(variables, x, lengths=jnp.array([5, 2]))
    >>> y.shape, bool((y[1, 2:] == 0).all())
    ((2, 5, 4), True)
    """
    positive("lstm", "features", features)

    def make(key: jax.Array, inputs: int) -> Params:
        dtype = default_float()
        b = jnp.zeros(4 * features, dtype).at[features : 2 * features].set(forget_bias)
        extra = {"wc": jnp.zeros((3, features), dtype)} if peepholes else {}
        return {**recurrent_weights(key, 4, inputs, features), "b": b, **extra}

    def zero(batch: int, dtype: Any) -> Carry:
        # c is a sum over time: in bfloat16 it would soon stop to grow.
        shape, wide = (batch, features), common_dtype(dtype, jnp.float32)
        return jnp.zeros(shape, dtype), jnp.zeros(shape, wide)

    def scan(params: Params, carry: Carry, x: jax.Array, mask: Mask) -> tuple[Carry, jax.Array]:
        wi, wh, b = params["wi"], params["wh"], params["b"]
        if peepholes:
            z = project(x, wi) + along_time(b)
            return peephole_scan(z, wh, params["wc"], carry, mask)
        z = project(x, halved(wi)) + along_time(halved(b))
        return lstm_scan(z, halved(wh), carry, mask)

    names = ("wi", "wh", "b", "wc") if peepholes else ("wi", "wh", "b")
    return recurrent("lstm", make, zero, scan, names)

"""Simple recurrent network: h_t = φ(x_t W_i + h_{t-1} W_h + b)."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from .._core._checks import default_float, positive
from .._core._factory import factory
from .._core._layer import Carry, Layer, Params
from ._recurrent import (
    Mask,
    along_time,
    project,
    real,
    recurrent,
    recurrent_weights,
    shifted,
)

Activation = Callable[[jax.Array], jax.Array]


@factory
def simple_rnn(features: int, activation: Activation = jnp.tanh) -> Layer:
    """Simple recurrent network over a sequence x (batch, time, inputs).

        h_t = φ(x_t W_i + h_{t-1} W_h + b),    y = h (batch, time, features)

    Parameters: wi (inputs, features), wh (features, features), which starts orthogonal, and
    b (features,), which starts at zero. Carry: h (batch, features), zero at the start.
    Side inputs: `mask` (batch, time) or `lengths` (batch,). A step that is not real holds the carry
    and its y is zero. The last carry is to be had by `rnn(simple_rnn(...), carry=True)`.

    Source: Elman, Finding structure in time, 1990.

    Args:
        features: size of h.
        activation: φ, of each element by itself.

    Raises:
        ValueError: features < 1; an x that is not (batch, time, inputs) with the inputs that wi
            was made for; both a mask and lengths.

    >>> from laminax import nn
    >>> layer = nn.simple_rnn(1, nn.relu)
    >>> params = {"wi": jnp.ones((1, 1)), "wh": jnp.ones((1, 1)), "b": jnp.zeros(1)}
    >>> layer(nn.Variables(params, {}), jnp.array([[[1.0], [2.0], [3.0]]]))[0, :, 0]
    Array([1., 3., 6.], dtype=float32)
    """
    positive("simple_rnn", "features", features)

    def make(key: jax.Array, inputs: int) -> Params:
        weights = recurrent_weights(key, 1, inputs, features)
        return {**weights, "b": jnp.zeros(features, default_float())}

    def zero(batch: int, dtype: Any) -> Carry:
        return jnp.zeros((batch, features), dtype)

    def scan(params: Params, carry: Carry, x: jax.Array, mask: Mask) -> tuple[Carry, jax.Array]:
        z = project(x, params["wi"]) + along_time(params["b"])
        return _scan(activation, z, params["wh"], carry, mask)

    return recurrent("simple_rnn", make, zero, scan)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _scan(
    activation: Activation, z: jax.Array, wh: jax.Array, h: jax.Array, mask: Mask
) -> tuple[jax.Array, jax.Array]:
    """Return the last h and h of each step, for z = x W_i + b (time, batch, features)."""

    def body(h: jax.Array, at: tuple[jax.Array, Mask]) -> tuple[jax.Array, jax.Array]:
        z, mask = at
        h = real(mask, activation(z + h @ wh), h)
        return h, h

    return jax.lax.scan(body, h, (z, mask))


@_scan.defjvp
def _(activation, primals, tangents):  # type: ignore[no-untyped-def]
    # dh_t = φ' (dz_t + h_{t-1} dW_h + dh_{t-1} W_h), with φ' known before the loop: in the
    # transpose, the backward pass, the gradient of W_h is then one product after it.
    z, wh, h, mask = primals
    dz, dwh, dh, _ = tangents

    def body(dh, at):  # type: ignore[no-untyped-def]
        dz, slope, mask = at
        dh = real(mask, slope * (dz + dh @ wh), dh)
        return dh, dh

    last, hs = _scan(activation, z, wh, h, mask)
    before = shifted(h, hs)
    at = z + project(before, wh)
    slope = jax.jvp(activation, (at,), (jnp.ones_like(at),))[1]
    d_last, dhs = jax.lax.scan(body, dh, (dz + project(before, dwh), slope, mask))
    return (last, hs), (d_last, dhs)

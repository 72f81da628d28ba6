"""The loops of the LSTM, time first, and a derivative that keeps the weights out of them.

With z_t = x̂_t + h_{t-1} W_h, where x̂ = x W_i + b is one product before the loop, and the derivative
d of anything,

    dz_t = dx̂_t + h_{t-1} dW_h + dh_{t-1} W_h
    dc_t = f_t dc_{t-1} + Σ_k F_t^k dz_t^k    over the gates k = i, f, g
    dh_t = p_t dc_t + F_t^o dz_t^o

where F and p are known for all steps before the loop starts, and h_{t-1} dW_h is one product. The
transpose of this, which JAX makes, is the backward pass: a loop that carries dh and dc alone, and
one product for the gradient of W_h after it. Forward mode works as well.
"""

from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from ._recurrent import Mask, project, real, shifted

Carry: TypeAlias = tuple[jax.Array, jax.Array]


def halved(w: jax.Array) -> jax.Array:
    """Return the weights of gates i, f, g, o such that one tanh serves all of them.

    σ(z) = ½ + ½ tanh(z / 2): separate sigmoids in one loop are slow.
    """
    return w * jnp.expand_dims(_slope(w.shape[-1], w.dtype), range(w.ndim - 1))


@jax.custom_jvp
def lstm_scan(z: jax.Array, wh: jax.Array, carry: Carry, mask: Mask) -> tuple[Carry, jax.Array]:
    """Return the last carry (h, c) and h of each step.

    Args:
        z: x W_i + b, halved, (time, batch, 4 · features).
        wh: W_h, halved, (features, 4 · features).
        carry: h and c (batch, features); c may be of a higher precision, in which gates are.
        mask: (time, batch), or None.
    """

    def body(carry: Carry, at: tuple[jax.Array, Mask]) -> tuple[Carry, jax.Array]:
        carry, _ = _cell(wh, carry, *at)
        return carry, carry[0]

    return jax.lax.scan(body, carry, (z, mask))


@lstm_scan.defjvp
def _(primals, tangents):  # type: ignore[no-untyped-def]
    z, wh, carry, mask = primals
    dz, dwh, d_carry, _ = tangents

    def body(carry, at):  # type: ignore[no-untyped-def]
        carry, gates = _cell(wh, carry, *at)
        return carry, (*carry, gates)

    def tangent_body(d_carry, at):  # type: ignore[no-untyped-def]
        (dh, dc), (dz, slope, forget, out, mask) = d_carry, at
        di, df, dg, do = jnp.split(slope * (dz + dh @ wh).astype(dc.dtype), 4, -1)
        dc_next = forget * dc + di + df + dg
        dh_next = (out * dc_next + do).astype(dh.dtype)
        d_carry = real(mask, (dh_next, dc_next), d_carry)
        return d_carry, d_carry[0]

    last, (hs, cs, gates) = jax.lax.scan(body, carry, (z, mask))
    slopes = _slopes(gates, cs, shifted(carry[1], cs))
    dz = dz + project(shifted(carry[0], hs), dwh)
    d_last, dhs = jax.lax.scan(tangent_body, d_carry, (dz, *slopes, mask))
    return (last, hs), (d_last, dhs)


def peephole_scan(
    z: jax.Array, wh: jax.Array, wc: jax.Array, carry: Carry, mask: Mask
) -> tuple[Carry, jax.Array]:
    """`lstm_scan` whose gates i, f and o see c through wc (3, features); z and wh not halved."""
    wc = wc.astype(carry[1].dtype)[:, None, :]

    def body(carry: Carry, at: tuple[jax.Array, Mask]) -> tuple[Carry, jax.Array]:
        (h, c), (z, mask) = carry, at
        i, f, g, o = jnp.split((z + h @ wh).astype(c.dtype), 4, -1)
        i, f = jax.nn.sigmoid(i + wc[0] * c), jax.nn.sigmoid(f + wc[1] * c)
        new = f * c + i * jnp.tanh(g)
        y = jax.nn.sigmoid(o + wc[2] * new) * jnp.tanh(new)
        carry = real(mask, (y.astype(h.dtype), new), carry)
        return carry, carry[0]

    return jax.lax.scan(body, carry, (z, mask))


def _cell(wh: jax.Array, carry: Carry, z: jax.Array, mask: Mask) -> tuple[Carry, jax.Array]:
    """Return the next carry and the gates i, f, g, o in a row."""
    h, c = carry
    size = wh.shape[-1]
    t = jnp.tanh((z + h @ wh).astype(c.dtype))
    gates = t * _slope(size, c.dtype)[None] + _middle(size, c.dtype)[None]
    i, f, g, o = jnp.split(gates, 4, -1)
    new = f * c + i * g
    return real(mask, ((o * jnp.tanh(new)).astype(h.dtype), new), carry), gates


def _slopes(
    gates: jax.Array, c: jax.Array, before: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return F, f and p of all steps, from the gates and the memory after and before each."""
    i, f, g, o = jnp.split(gates, 4, -1)
    tanh = jnp.tanh(c)
    # In the halved z: the derivative of σ(2z) is 2 σ (1 - σ).
    slopes = [2 * g * i * (1 - i), 2 * before * f * (1 - f), i * (1 - g * g)]
    return jnp.concatenate([*slopes, 2 * tanh * o * (1 - o)], -1), f, o * (1 - tanh * tanh)


def _slope(size: int, dtype: jnp.dtype) -> np.ndarray:
    return np.repeat(np.array([0.5, 0.5, 1, 0.5], dtype), size // 4)


def _middle(size: int, dtype: jnp.dtype) -> np.ndarray:
    return np.repeat(np.array([0.5, 0.5, 0, 0.5], dtype), size // 4)

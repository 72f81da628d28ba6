"""The loop of the GRU, time first, and a derivative that keeps the weights out of it.

With u_t = h_{t-1} W_h and x̂ = x W_i + b, one product before the loop, and the derivative d,

    dh_t = z_t dh_{t-1} + Σ_k X_t^k dx̂_t^k + Σ_k U_t^k du_t^k    over k = r, z, n
    du_t = h_{t-1} dW_h + dh_{t-1} W_h

where X and U are known for all steps before the loop starts, and h_{t-1} dW_h is one product; see
the loop of the LSTM.
"""

from typing import TypeAlias

import jax
import jax.numpy as jnp

from ._recurrent import Mask, along_time, project, real, shifted

Parts: TypeAlias = tuple[jax.Array, jax.Array, jax.Array]
"""r and z in a row; n; h_{t-1} W_hn + b_hn."""


@jax.custom_jvp
def gru_scan(
    x: jax.Array, wh: jax.Array, bh: jax.Array, h: jax.Array, mask: Mask
) -> tuple[jax.Array, jax.Array]:
    """Return the last h and h of each step.

    Args:
        x: x W_i + b (time, batch, 3 · features), its parts r and z halved.
        wh: W_h (features, 3 · features), so halved.
        bh: the bias inside the reset product (features,).
        h: (batch, features), where it starts.
        mask: (time, batch), or None.
    """

    def body(h: jax.Array, at: tuple[jax.Array, Mask]) -> tuple[jax.Array, jax.Array]:
        h, _ = _cell(wh, bh, h, *at)
        return h, h

    return jax.lax.scan(body, h, (x, mask))


@gru_scan.defjvp
def _(primals, tangents):  # type: ignore[no-untyped-def]
    x, wh, bh, h, mask = primals
    dx, dwh, dbh, dh, _ = tangents

    def body(h, at):  # type: ignore[no-untyped-def]
        h, parts = _cell(wh, bh, h, *at)
        return h, (h, parts)

    def tangent_body(dh, at):  # type: ignore[no-untyped-def]
        source, slope, keep, mask = at
        new = source + keep * dh + _over_gates(slope * (dh @ wh))
        dh = real(mask, new, dh)
        return dh, dh

    last, (hs, parts) = jax.lax.scan(body, h, (x, mask))
    before = shifted(h, hs)
    of_x, of_u, keep = _slopes(parts, before)
    du = project(before, dwh) + along_time(jnp.pad(dbh, (dwh.shape[-1] - dbh.size, 0)))
    source = _over_gates(of_x * dx + of_u * du)
    d_last, dhs = jax.lax.scan(tangent_body, dh, (source, of_u, keep, mask))
    return (last, hs), (d_last, dhs)


def _cell(
    wh: jax.Array, bh: jax.Array, h: jax.Array, x: jax.Array, mask: Mask
) -> tuple[jax.Array, Parts]:
    """Return the next h, and what its derivative is made of."""
    size = h.shape[-1]
    u = h @ wh
    gates = 0.5 + 0.5 * jnp.tanh(x[:, : 2 * size] + u[:, : 2 * size])
    r, z = jnp.split(gates, 2, -1)
    inner = u[:, 2 * size :] + bh[None]
    n = jnp.tanh(x[:, 2 * size :] + r * inner)
    return real(mask, n + z * (h - n), h), (gates, n, inner)


def _slopes(parts: Parts, h: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return X, U and z of all steps, from the parts and the h before each."""
    gates, n, inner = parts
    r, z = jnp.split(gates, 2, -1)
    of_n = (1 - z) * (1 - n * n)
    # In the halved r and z: the derivative of σ(2z) is 2 σ (1 - σ).
    of_gates = [2 * of_n * inner * r * (1 - r), 2 * (h - n) * z * (1 - z)]
    of_x = jnp.concatenate([*of_gates, of_n], -1)
    return of_x, jnp.concatenate([*of_gates, of_n * r], -1), z


def _over_gates(parts: jax.Array) -> jax.Array:
    r, z, n = jnp.split(parts, 3, -1)
    return r + z + n

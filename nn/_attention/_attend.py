"""Scaled dot-product attention as products, the mathematics of the attention layers.

    y_i = Σ_j p_ij v_j,    p_i = softmax_j(q_i · k_j / √d + bias_ij) over the j that i sees

The heads of a group share their keys and values. Scores, exponentials and sums are in at least
float32; the division by Σ_j comes after the product with v, which is smaller. A query that sees no
key answers 0, with gradient 0.
"""

import functools
from collections.abc import Callable, Sequence
from typing import TypeAlias

import jax
import jax.numpy as jnp

from .._core._checks import wide_dtype

Span: TypeAlias = tuple[slice, slice]
"""The queries of a block, and the keys that any of them sees."""

WHOLE: tuple[Span, ...] = ((slice(None), slice(None)),)
"""One block: every query, every key."""

UNSEEN, FLOOR = -1e30, -1e29
"""Scores of keys that are not seen, and the least that the greatest score counts as."""

_LEAST, _MOST = 64, 4


def attend(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    *,
    mask: jax.Array | None = None,
    bias: jax.Array | None = None,
    spans: Sequence[Span] = WHOLE,
    drop: Callable[[int, jax.Array], jax.Array] = lambda block, p: p,
) -> jax.Array:
    """Attend: q (batch, heads, time, d), k and v (batch, kv_heads, time_k, d) to y like q.

    Args:
        q: queries; head h reads the keys of kv head h // (heads / kv_heads).
        k: keys.
        v: values.
        mask: (batch or 1, time or 1, time_k), True where the query sees the key.
        bias: (batch or 1, heads, time, time_k), added to the scores.
        spans: blocks of queries in order, each with the keys outside which the mask is False.
        drop: dropout of a block's p, given the number of the block.
    """
    batch, heads, _, size = q.shape
    groups = heads // k.shape[1]
    q = q * size**-0.5

    def by_rows(x: jax.Array, rows: slice) -> jax.Array:
        """Return (batch, heads, time, n) as rows of each kv head: (batch, kv_heads, rows, n)."""
        x = x[:, :, rows]
        return x.reshape(x.shape[0], x.shape[1] // groups, -1, x.shape[-1])

    def block(number: int, rows: slice, cols: slice) -> jax.Array:
        seen = None if mask is None else mask[:, None, :, cols]
        if seen is not None and seen.shape[2] > 1:
            seen = by_rows(jnp.repeat(seen, groups, 1), rows)
        y = _block(
            by_rows(q, rows),
            k[:, :, cols],
            v[:, :, cols],
            seen,
            None if bias is None else by_rows(bias[..., cols], rows),
            functools.partial(drop, number),
        )
        return y.reshape(batch, heads, -1, size)

    blocks = [block(i, rows, cols) for i, (rows, cols) in enumerate(spans)]
    return jnp.concatenate(blocks, 2) if len(blocks) > 1 else blocks[0]


def causal_spans(time: int, window: int | None) -> list[Span]:
    """Return a few blocks of queries, whose later keys (and those before a window) are left out."""
    size = max(_LEAST, -(-time // _MOST))
    stops = [(at, min(at + size, time)) for at in range(0, time, size)]
    reach = time if window is None else window - 1
    return [(slice(at, stop), slice(max(0, at - reach), stop)) for at, stop in stops]


def split_heads(x: jax.Array, heads: int) -> jax.Array:
    """Return (batch, time, heads · d) as (batch, heads, time, d)."""
    return jnp.swapaxes(x.reshape(*x.shape[:2], heads, -1), 1, 2)


def join_heads(y: jax.Array) -> jax.Array:
    """Return (batch, heads, time, d) as (batch, time, heads · d)."""
    return jnp.swapaxes(y, 1, 2).reshape(y.shape[0], y.shape[2], -1)


def _block(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    mask: jax.Array | None,
    bias: jax.Array | None,
    drop: Callable[[jax.Array], jax.Array],
) -> jax.Array:
    """Attend of rows, the queries of all the heads that share the keys of a kv head."""
    wide = wide_dtype(q)
    s = jnp.matmul(q, jnp.swapaxes(k, 2, 3), preferred_element_type=wide)
    if bias is not None:
        s = s + bias.astype(wide)
    if mask is not None:
        s = jnp.where(mask, s, UNSEEN)
    # Not below the floor, so that where nothing is seen every exponential is 0, and not 1.
    top = jax.lax.stop_gradient(jnp.maximum(s.max(-1, keepdims=True), FLOOR))
    e = jnp.exp(s - top)
    total = e.sum(-1, keepdims=True)
    y = jnp.matmul(drop(e).astype(v.dtype), v, preferred_element_type=wide)
    return (y / jnp.where(total == 0, 1, total)).astype(v.dtype)

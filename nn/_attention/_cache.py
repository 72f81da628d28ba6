"""The key-value cache of causal attention: what its carry holds of the steps so far.

Keys and values stand head by head, as the products read them, in arrays as long as the longest
sequence, so that no step copies or reorders what the steps before have written.
"""

from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

Cache: TypeAlias = dict[str, jax.Array]
"""keys, values (batch, kv_heads, length, d); real, positions (batch, length); at, steps so far."""


def empty_cache(batch: int, kv_heads: int, length: int, size: int, dtype: DTypeLike) -> Cache:
    """Return the cache before the first step."""
    return {
        "keys": jnp.zeros((batch, kv_heads, length, size), dtype),
        "values": jnp.zeros((batch, kv_heads, length, size), dtype),
        "real": jnp.zeros((batch, length), bool),
        "positions": jnp.zeros((batch, length), jnp.int32),
        "at": jnp.zeros((), jnp.int32),
    }


def extended(
    cache: Cache, k: jax.Array, v: jax.Array, real: jax.Array | None, positions: jax.Array
) -> Cache:
    """Return the cache with a stretch of time written after what is there.

    Raises:
        ValueError: a stretch longer than the cache.
    """
    (batch, length), time = cache["real"].shape, k.shape[2]
    if time > length:
        raise ValueError(
            f"attention: the cache holds {length} steps, got a stretch of {time}; "
            "start with an x_spec as long as the whole sequence"
        )
    at = cache["at"]
    real = jnp.ones((batch, time), bool) if real is None else real
    positions = jnp.broadcast_to(positions, (batch, time)).astype(jnp.int32)

    def written(name: str, new: Any, axis: int) -> jax.Array:
        new = new.astype(cache[name].dtype)
        return jax.lax.dynamic_update_slice_in_dim(cache[name], new, at, axis)

    return {
        "keys": written("keys", k, 2),
        "values": written("values", v, 2),
        "real": written("real", real, 1),
        "positions": written("positions", positions, 1),
        "at": at + time,
    }


def answered(cache: Cache, y: jax.Array) -> jax.Array:
    """Return y, or NaN where the cache has run over, which no compiled program can report."""
    return jnp.where(cache["at"] > cache["real"].shape[1], jnp.nan, y)

"""Ring attention: keys and values travel round the devices, queries stay where they are.

Device i of n holds the i-th part of a sequence. At turn r it meets the keys of device i - r mod n
and adds their block of scores s to what it has, with m the greatest score so far:

    m' = max(m, max_j s_j),    e_j = e^{s_j - m'},    r = e^{m - m'}
    l ← r l + Σ_j e_j,         y ← r y + Σ_j e_j v_j,     m ← m'

After n turns y / l is the answer and L = m + log l all that the way back needs to make each block
of p = e^{s - L} again, while the gradients of keys and values travel round with these:

    dv = pᵀ dy,    ds = p (dy vᵀ - Σ dy y),    dq = ds k / √d,    dk = dsᵀ q / √d

So no device ever holds more keys than two parts, or scores than one block (time / n)². Where
dropout multiplies p by d, which is 0 or 1 / keep, v meets d e on the way and dp is d (dy vᵀ) on the
way back; each block of d is drawn twice from the key of the block.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from .._core._checks import wide_dtype
from ._attend import FLOOR, UNSEEN


class Places(NamedTuple):
    """Steps of a sequence: their numbers (time,), positions (batch or 1, time), which are real."""

    steps: jax.Array
    positions: jax.Array
    real: jax.Array | None  # (batch, time)


Look: TypeAlias = Callable[[Places, Places], tuple[jax.Array | None, jax.Array | None]]
"""`look(queries, keys)`: the mask and the bias of a block, as `attend` takes them."""

Drop: TypeAlias = Callable[[jax.Array, jax.Array], jax.Array]
"""`drop(key, p)`: dropout of a block of weights."""


class Ring(NamedTuple):
    """What is the same for every device and turn."""

    look: Look
    drop: Drop
    axis: str  # of the mesh, along which time is cut
    ways: int
    batch: Any  # the axes of the mesh along which examples are cut


def ring_attend(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    places: Places,
    look: Look,
    sharding: NamedSharding,
    drop: Drop = lambda key, p: p,
    key: jax.Array | None = None,
) -> jax.Array:
    """Attend as `attend` does: q (batch, heads, time, d), k and v of kv heads, to y like q.

    Nothing is dropped where there is no key. Which weights are depends on how the sequence is cut.
    """
    batch, axis = sharding.spec[:2]
    ways = _ways(sharding, axis)
    if q.shape[2] % ways:
        raise ValueError(
            f"attention: a sequence of {q.shape[2]} steps cannot be cut into {ways} equal parts, "
            f"along {axis!r}; pad it to a multiple of {ways}, or leave out ring_attention"
        )
    if q.shape[0] % _ways(sharding, batch):
        batch = None  # a few examples, as to predict: every device has them all
    heads = PartitionSpec(batch, None, axis)
    apart = PartitionSpec(batch if places.positions.shape[0] > 1 else None, axis)
    real = None if places.real is None else PartitionSpec(batch, axis)
    lie = Places._make((PartitionSpec(axis), apart, real))
    run = jax.shard_map(
        functools.partial(_ring, Ring(look, drop, axis, ways, batch)),
        mesh=sharding.mesh,
        in_specs=(heads, heads, heads, lie, None if key is None else PartitionSpec()),
        out_specs=heads,
        check_vma=False,
    )
    answer: jax.Array = run(q, k, v, places, key)
    return answer


def _ways(sharding: NamedSharding, axes: str | tuple[str, ...] | None) -> int:
    names = (axes,) if isinstance(axes, str) else axes or ()
    return math.prod(sharding.mesh.shape[name] for name in names)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _ring(
    ring: Ring, q: jax.Array, k: jax.Array, v: jax.Array, places: Places, key: jax.Array | None
) -> jax.Array:
    """On each device: from its own parts of q, k and v to its own part of y."""
    return _forward(ring, q, k, v, places, key)[0]


def _forward(
    ring: Ring, q: jax.Array, k: jax.Array, v: jax.Array, places: Places, key: jax.Array | None
) -> tuple[jax.Array, Any]:
    rows = _grouped(q * q.shape[-1] ** -0.5, k.shape[1])
    wide = wide_dtype(q)

    def meet(met: Any, keys: Any) -> tuple[Any, Any]:
        top, total, y = met
        k, v, there = keys
        s = _scores(rows, k, ring.look, places, there)
        higher = jnp.maximum(top, s.max(-1, keepdims=True))
        e, less = jnp.exp(s - higher), jnp.exp(top - higher)
        kept = _dropped(ring, key, places, there, e)
        more = _product("bkgts,bksd->bkgtd", kept.astype(v.dtype), v, wide)
        met = higher, total * less + e.sum(-1, keepdims=True), y * less + more
        return met, keys

    nothing = jnp.full((*rows.shape[:-1], 1), FLOOR, wide)
    met = nothing, jnp.zeros_like(nothing), jnp.zeros(rows.shape, wide)
    (top, total, y), _ = _round(meet, met, (k, v, places), ring.axis, ring.ways)
    seen = jnp.where(total == 0, 1, total)
    y = (y / seen).reshape(q.shape).astype(v.dtype)
    # Where nothing is seen every score is so low that e^{s - L} is 0, whatever L.
    return y, (q, k, v, places, key, y, top + jnp.log(seen))


def _backward(ring: Ring, kept: Any, dy: jax.Array) -> tuple[Any, ...]:
    q, k, v, places, key, y, log_total = kept
    scale, wide = q.shape[-1] ** -0.5, wide_dtype(q)
    rows, dy_rows = _grouped(q * scale, k.shape[1]), _grouped(dy, k.shape[1])
    along = (dy.astype(wide) * y.astype(wide)).sum(-1).reshape(log_total.shape)

    def meet(dq: jax.Array, keys: Any) -> tuple[jax.Array, Any]:
        k, v, there, dk, dv = keys
        p = jnp.exp(_scores(rows, k, ring.look, places, there) - log_total)
        dp = _product("bkgtd,bksd->bkgts", dy_rows, v, wide)
        drop = functools.partial(_dropped, ring, key, places, there)
        ds = (p * (drop(dp) - along)).astype(k.dtype)
        dv = dv + _product("bkgts,bkgtd->bksd", drop(p).astype(v.dtype), dy_rows, wide)
        dk = dk + _product("bkgts,bkgtd->bksd", ds, rows, wide)
        return dq + _product("bkgts,bksd->bkgtd", ds, k, wide), (k, v, there, dk, dv)

    none = jnp.zeros(k.shape, wide)
    keys = k, v, places, none, none
    dq, (*_, dk, dv) = _round(meet, jnp.zeros(rows.shape, wide), keys, ring.axis, ring.ways)
    dk, dv = _passed((dk, dv), ring.axis, ring.ways)  # the last turn, home
    dq = (dq * scale).reshape(q.shape).astype(q.dtype)
    return dq, dk.astype(k.dtype), dv.astype(v.dtype), None, None


_ring.defvjp(_forward, _backward)


def _dropped(
    ring: Ring, key: jax.Array | None, here: Places, there: Places, p: jax.Array
) -> jax.Array:
    """Drop weights of a block, by a key of its own: of its examples, queries and keys."""
    if key is None:
        return p
    names = (ring.batch,) if isinstance(ring.batch, str) else ring.batch or ()
    parts = [jax.lax.axis_index(name) for name in names]
    for number in (*parts, here.steps[0], there.steps[0]):
        key = jax.random.fold_in(key, number)
    return ring.drop(key, p)


def _round(
    meet: Callable[[Any, Any], tuple[Any, Any]], met: Any, keys: Any, axis: str, ways: int
) -> tuple[Any, Any]:
    """Let every device meet the keys of every other, its own first."""

    def turn(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], None]:
        met, keys = carry
        return meet(met, _passed(keys, axis, ways)), None

    # What depends on places alone, the masks, would else be made beforehand, for all turns at once.
    keys = jax.lax.optimization_barrier(keys)
    return jax.lax.scan(turn, meet(met, keys), length=ways - 1)[0]


def _passed(keys: Any, axis: str, ways: int) -> Any:
    """Give the keys to the next device in the ring, and get those of the one before."""
    ring = [(i, (i + 1) % ways) for i in range(ways)]
    return jax.tree.map(lambda a: jax.lax.ppermute(a, axis, ring), keys)


def _grouped(x: jax.Array, kv_heads: int) -> jax.Array:
    """Return (batch, heads, time, d) as (batch, kv_heads, heads / kv_heads, time, d)."""
    return x.reshape(x.shape[0], kv_heads, -1, *x.shape[2:])


def _scores(rows: jax.Array, k: jax.Array, look: Look, here: Places, there: Places) -> jax.Array:
    """Return a block of scores (batch, kv_heads, group, time, time_k)."""
    s = _product("bkgtd,bksd->bkgts", rows, k, wide_dtype(rows))
    mask, bias = look(here, there)
    if bias is not None:
        s = s + _grouped(bias, k.shape[1]).astype(s.dtype)
    return s if mask is None else jnp.where(mask[:, None, None], s, UNSEEN)


def _product(axes: str, a: jax.Array, b: jax.Array, wide: Any) -> jax.Array:
    return jnp.einsum(axes, a, b, preferred_element_type=wide)

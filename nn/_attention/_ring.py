"""Ring attention: keys and values travel round the devices, queries stay where they are.

Device i of n holds the i-th part of a sequence. At turn r it meets the keys of device i - r mod n
and adds their block of scores s to what it has, with m the greatest score so far:

    m' = max(m, max_j s_j),    e_j = e^{s_j - m'},    r = e^{m - m'}
    l ← r l + Σ_j e_j,         y ← r y + Σ_j e_j v_j,     m ← m'

After n turns y / l is the answer and L = m + log l all that the way back needs to make each block
of p = e^{s - L} again, while the gradients of keys and values travel round with these:

    dv = pᵀ dy,    ds = p (dy vᵀ - Σ dy y),    dq = ds k / √d,    dk = dsᵀ q / √d

So no device ever holds more keys than two parts, or scores than one block (time / n)².
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from .._core._checks import wide_dtype
from .._core._factory import LayerLike, as_layer, wrapper
from .._core._layer import Context, Layer, Params, State
from .._core._wrappers import around
from ._attend import FLOOR, UNSEEN


class Places(NamedTuple):
    """Steps of a sequence: their numbers (time,), positions (batch or 1, time), which are real."""

    steps: jax.Array
    positions: jax.Array
    real: jax.Array | None  # (batch, time)


Look: TypeAlias = Callable[[Places, Places], tuple[jax.Array | None, jax.Array | None]]
"""`look(queries, keys)`: the mask and the bias of a block, as `attend` takes them."""


@wrapper
def ring_attention(layer: LayerLike, sharding: NamedSharding, /) -> Layer:
    """Layer whose self-attentions pass keys and values round the devices that share a sequence.

    For sequences too long for one device: x (batch, time, ...) lies in parts along both axes, and
    no device ever holds the keys of the others, or a block of scores longer than its own part, on
    the way back either. Answers and gradients are those of `attention` up to the order of sums, and
    the more devices, the longer the sequence may be. A cell's steps are those of the layer itself;
    cross-attention is left to the compiler, which gathers the memory.

    Args:
        layer: a model, whatever it is made of; each `attention` inside is meant.
        sharding: `NamedSharding(mesh, PartitionSpec(batch axis, time axis))`, how x lies; that of
            a run is `train.sequence_parallel(mesh).sequences`.

    Raises:
        TypeError: no `NamedSharding`.
        ValueError: one that does not name an axis of the mesh for time; when called, a time that
            this axis does not divide; training with dropout of the attention weights.

    Source: Liu, Zaharia and Abbeel, Ring attention with blockwise transformers for near-infinite
    context, 2023.

    >>> from jax.sharding import AxisType
    >>> from laminax import nn
    >>> mesh = jax.make_mesh((1, 1), ("data", "time"), axis_types=(AxisType.Auto,) * 2)
    >>> plain = nn.gpt(5, layers=2, heads=2, features=8, context=16)
    >>> model = nn.ring_attention(plain, NamedSharding(mesh, PartitionSpec("data", "time")))
    >>> x = jnp.arange(8)[None] % 5
    >>> variables = model.init(jax.random.key(0), x)
    >>> bool(jnp.allclose(model(variables, x), plain(variables, x), atol=1e-5))
    True
    """
    if not isinstance(sharding, NamedSharding):
        raise TypeError(
            f"ring_attention: sharding must be a NamedSharding, got {type(sharding).__name__}; as "
            "NamedSharding(mesh, PartitionSpec('data', 'time'))"
        )
    if len(sharding.spec) < 2 or not isinstance(sharding.spec[1], str):
        raise ValueError(
            f"ring_attention: sharding must name one axis of the mesh for time, got "
            f"{sharding.spec}; as PartitionSpec('data', 'time')"
        )
    inner = as_layer(layer)

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[Any, State]:
        return inner.apply(params, state, x, dataclasses.replace(ctx, _sequence=sharding))

    return around(inner, apply=apply)


def ring_attend(
    q: jax.Array, k: jax.Array, v: jax.Array, places: Places, look: Look, sharding: NamedSharding
) -> jax.Array:
    """Attend as `attend` does: q (batch, heads, time, d), k and v of kv heads, to y like q."""
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
        functools.partial(_ring, look, axis, ways),
        mesh=sharding.mesh,
        in_specs=(heads, heads, heads, lie),
        out_specs=heads,
        check_vma=False,
    )
    answer: jax.Array = run(q, k, v, places)
    return answer


def _ways(sharding: NamedSharding, axes: str | tuple[str, ...] | None) -> int:
    names = (axes,) if isinstance(axes, str) else axes or ()
    return math.prod(sharding.mesh.shape[name] for name in names)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _ring(
    look: Look, axis: str, ways: int, q: jax.Array, k: jax.Array, v: jax.Array, places: Places
) -> jax.Array:
    """On each device: from its own parts of q, k and v to its own part of y."""
    return _forward(look, axis, ways, q, k, v, places)[0]


def _forward(
    look: Look, axis: str, ways: int, q: jax.Array, k: jax.Array, v: jax.Array, places: Places
) -> tuple[jax.Array, Any]:
    rows = _grouped(q * q.shape[-1] ** -0.5, k.shape[1])
    wide = wide_dtype(q)

    def meet(met: Any, keys: Any) -> tuple[Any, Any]:
        top, total, y = met
        k, v, there = keys
        s = _scores(rows, k, look, places, there)
        higher = jnp.maximum(top, s.max(-1, keepdims=True))
        e, less = jnp.exp(s - higher), jnp.exp(top - higher)
        more = _product("bkgts,bksd->bkgtd", e.astype(v.dtype), v, wide)
        met = higher, total * less + e.sum(-1, keepdims=True), y * less + more
        return met, keys

    nothing = jnp.full((*rows.shape[:-1], 1), FLOOR, wide)
    met = nothing, jnp.zeros_like(nothing), jnp.zeros(rows.shape, wide)
    (top, total, y), _ = _round(meet, met, (k, v, places), axis, ways)
    seen = jnp.where(total == 0, 1, total)
    y = (y / seen).reshape(q.shape).astype(v.dtype)
    # Where nothing is seen every score is so low that e^{s - L} is 0, whatever L.
    return y, (q, k, v, places, y, top + jnp.log(seen))


def _backward(look: Look, axis: str, ways: int, kept: Any, dy: jax.Array) -> tuple[Any, ...]:
    q, k, v, places, y, log_total = kept
    scale, wide = q.shape[-1] ** -0.5, wide_dtype(q)
    rows, dy_rows = _grouped(q * scale, k.shape[1]), _grouped(dy, k.shape[1])
    along = (dy.astype(wide) * y.astype(wide)).sum(-1).reshape(log_total.shape)

    def meet(dq: jax.Array, keys: Any) -> tuple[jax.Array, Any]:
        k, v, there, dk, dv = keys
        p = jnp.exp(_scores(rows, k, look, places, there) - log_total)
        ds = p * (_product("bkgtd,bksd->bkgts", dy_rows, v, wide) - along)
        p, ds = p.astype(v.dtype), ds.astype(k.dtype)
        dv = dv + _product("bkgts,bkgtd->bksd", p, dy_rows, wide)
        dk = dk + _product("bkgts,bkgtd->bksd", ds, rows, wide)
        return dq + _product("bkgts,bksd->bkgtd", ds, k, wide), (k, v, there, dk, dv)

    none = jnp.zeros(k.shape, wide)
    keys = k, v, places, none, none
    dq, (*_, dk, dv) = _round(meet, jnp.zeros(rows.shape, wide), keys, axis, ways)
    dk, dv = _passed((dk, dv), axis, ways)  # the last turn, home
    dq = (dq * scale).reshape(q.shape).astype(q.dtype)
    return dq, dk.astype(k.dtype), dv.astype(v.dtype), None


_ring.defvjp(_forward, _backward)


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

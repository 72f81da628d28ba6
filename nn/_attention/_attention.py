"""Self-attention: each step of a sequence reads the steps that it sees.

    q, k, v = x W + b,    y = attend(q, k, v) W_o + b_o

Causal attention is a cell: its carry holds the keys and values of the steps so far, in arrays as
long as the longest sequence, and a mask says which are there; a window is part of the mask.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn.initializers import Initializer, lecun_normal

from .._core._checks import fraction, positive
from .._core._compose import compose
from .._core._factory import factory
from .._core._layer import Carry, Context, Layer, Params, State, Variables
from .._core._masks import padding_mask
from .._core._sized import sized
from .._core._specs import describe
from .._layers._linear import dense
from .._regularization._dropout import dropout as dropped
from ._attend import WHOLE, attend, causal_spans, join_heads, split_heads
from ._cache import answered, empty_cache, extended
from ._positions import positions_of
from ._ring import Drop, Places, ring_attend
from ._rotary import Position


@factory
def attention(
    heads: int,
    *,
    kv_heads: int | None = None,
    causal: bool = False,
    window: int | None = None,
    position: Position | None = None,
    bias: bool = True,
    dropout: float = 0.0,
    init: Initializer = lecun_normal(),
    out_init: Initializer | None = None,
) -> Layer:
    """Multi-head self-attention of x (batch, time, features): softmax(q kᵀ / √d) v of each head.

    Parameters: qkv/{w, b}, one product for all heads with columns ordered queries, keys, values and
    head by head within each, d = features / heads, which is the layout of GPT-2's `c_attn` and the
    transpose of torch's `in_proj_weight`; out/{w, b}. Side inputs: `mask` (batch, time), True where
    x is real, or `lengths` (batch,): no step reads padding, and one that sees nothing answers b_o;
    `positions` (batch, time), for `position`.

    Causal attention is a cell whose carry is the key-value cache, as long as the sequence it is
    started for; a step beyond that answers NaN. Masks and positions are those of the stretch.

    Sources: Vaswani et al., Attention is all you need, 2017; Shazeer, Fast transformer decoding:
    one write-head is all you need, 2019; Ainslie et al., GQA: training generalized multi-query
    transformer models from multi-head checkpoints, 2023.

    Args:
        heads: number of query heads; divides the features.
        kv_heads: number of key and value heads, each shared by heads / kv_heads query heads; as
            many as heads unless given, 1 is multi-query attention.
        causal: whether a step sees itself and the past alone.
        window: of a causal attention, how many steps are seen, the own included.
        position: `rotary()` or `alibi()`.
        bias: whether the two maps have a b.
        dropout: rate of dropout of the attention weights, in [0, 1).
        init: initializer of qkv/w.
        out_init: of out/w; `init` unless given.

    Raises:
        ValueError: heads that do not divide the features, or kv_heads the heads; a window without
            causal; an x without a time axis; training with dropout and without a key; `start` of an
            attention that is not causal.

    >>> import jax, jax.numpy as jnp
    >>> from laminax import nn
    >>> layer = nn.attention(2, causal=True)
    >>> x = jax.random.normal(jax.random.key(1), (1, 3, 4))
    >>> variables = layer.init(jax.random.key(0), x)
    >>> jax.tree.map(jnp.shape, variables.params)["qkv"]
    {'b': (12,), 'w': (4, 12)}
    >>> later = x.at[:, 2].set(9.0)                       # the past does not read the future
    >>> bool(jnp.allclose(layer(variables, x)[:, :2], layer(variables, later)[:, :2]))
    True
    """
    kv_heads = check_heads("attention", heads, kv_heads)
    fraction("attention", "dropout", dropout)
    if window is not None:
        positive("attention", "window", window)
    if window is not None and not causal:
        raise ValueError(
            f"attention: a window looks back, so needs causal=True, got window={window}, "
            "causal=False; give causal=True or no window"
        )
    if not isinstance(position, Position | None):
        raise TypeError(
            f"attention: position must be rotary() or alibi(), got {position!r}; forgot ()?"
        )
    mix = _mix(heads, kv_heads, causal, window, position or Position(), dropout)

    def make(features: int) -> Layer:
        size = head_size("attention", features, heads)
        return compose(
            lambda c, x: c.out(c.mix(c.qkv(x))),
            qkv=dense((heads + 2 * kv_heads) * size, bias=bias, init=init),
            mix=mix,
            out=dense(features, bias=bias, init=out_init or init),
        )

    return sized("attention", make)


def check_heads(kind: str, heads: int, kv_heads: int | None) -> int:
    """Return the number of key and value heads."""
    positive(kind, "heads", heads)
    kv_heads = heads if kv_heads is None else positive(kind, "kv_heads", kv_heads)
    if heads % kv_heads:
        raise ValueError(
            f"{kind}: kv_heads must divide heads, got {heads} heads and {kv_heads} kv_heads"
        )
    return kv_heads


def head_size(kind: str, features: int, heads: int) -> int:
    """Return the features of a head."""
    if features % heads:
        raise ValueError(
            f"{kind}: heads must divide the features of x, got {features} features and {heads} "
            "heads; choose another number of heads"
        )
    return features // heads


def weight_dropout(rate: float, ctx: Context) -> Callable[[int, jax.Array], jax.Array]:
    """Return dropout of the attention weights, with a key a block."""
    layer = dropped(rate)
    return lambda block, p: layer.apply({}, {}, p, ctx.child(f"block_{block}"))[0]


def block_dropout(rate: float, ctx: Context) -> tuple[Drop, jax.Array | None]:
    """Return dropout given a key, and the key to make others of; None where nothing is dropped."""
    layer = dropped(rate)

    def drop(key: jax.Array, p: jax.Array) -> jax.Array:
        kept: jax.Array = layer.apply({}, {}, p, Context(key, train=True))[0]
        return kept

    return drop, ctx.child("blocks").key_for("attention") if rate and ctx.train else None


def _mix(
    heads: int,
    kv_heads: int,
    causal: bool,
    window: int | None,
    position: Position,
    rate: float,
) -> Layer:
    """Layer from queries, keys and values joined to the joined answers of the heads."""
    turn = position.turn or (lambda x, positions: x)

    def split(qkv: jax.Array, positions: jax.Array) -> tuple[jax.Array, ...]:
        size = qkv.shape[-1] // (heads + 2 * kv_heads)
        at = (heads * size, (heads + kv_heads) * size)
        q, k, v = jnp.split(qkv, at, axis=-1)
        q, k, v = split_heads(q, heads), split_heads(k, kv_heads), split_heads(v, kv_heads)
        return turn(q, positions), turn(k, positions), v

    def bias(queries: jax.Array, keys: jax.Array) -> jax.Array | None:
        return position.bias(heads, queries, keys) if position.bias else None

    def look(rows: Places, cols: Places) -> tuple[jax.Array | None, jax.Array | None]:
        mask = _visible(rows.steps, cols.steps, causal, window, cols.real)
        return mask, bias(rows.positions, cols.positions)

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        return Variables({}, {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        time, positions = _time(x), positions_of("attention", ctx, x)
        steps, real = jnp.arange(time, dtype=jnp.int32), padding_mask("attention", ctx, x)
        places = Places(steps, positions, real)
        q, k, v = split(x, positions)
        if ctx._sequence is not None:
            y = ring_attend(q, k, v, places, look, ctx._sequence, *block_dropout(rate, ctx))
            return join_heads(y), state
        mask, added = look(places, places)
        spans = causal_spans(time, window) if causal else WHOLE
        drop = weight_dropout(rate, ctx)
        return join_heads(attend(q, k, v, mask=mask, bias=added, spans=spans, drop=drop)), state

    def start(variables: Variables, x: Any, ctx: Context) -> Carry:
        size = x.shape[-1] // (heads + 2 * kv_heads)
        return empty_cache(x.shape[0], kv_heads, _time(x), size, x.dtype)

    def step(variables: Variables, carry: Carry, x: Any, ctx: Context) -> tuple[Carry, jax.Array]:
        steps = carry["at"] + jnp.arange(_time(x), dtype=jnp.int32)
        positions = positions_of("attention", ctx, x, carry["at"])
        q, k, v = split(x, positions)
        cache = extended(carry, k, v, padding_mask("attention", ctx, x), positions)
        real = cache["real"]
        all_steps = jnp.arange(real.shape[1], dtype=jnp.int32)
        y = attend(
            q,
            cache["keys"],
            cache["values"],
            mask=_visible(steps, all_steps, True, window, real),
            bias=bias(positions, cache["positions"]),
            drop=weight_dropout(rate, ctx),
        )
        return cache, join_heads(answered(cache, y))

    layer = Layer(init, apply, "attention")
    return dataclasses.replace(layer, start=start, step=step) if causal else layer


def _time(x: Any) -> int:
    if len(x.shape) != 3:
        raise ValueError(f"attention: x must be (batch, time, features), got {describe(x)}")
    return int(x.shape[1])


def _visible(
    rows: jax.Array, cols: jax.Array, causal: bool, window: int | None, real: jax.Array | None
) -> jax.Array | None:
    """Return which steps (rows) see which (cols), (batch or 1, rows, cols); None where all do."""
    seen = None if real is None else real[:, None, :]
    if not causal:
        return seen
    back = (rows[:, None] - cols[None, :])[None]
    past = back >= 0 if window is None else (back >= 0) & (back < window)
    return past if seen is None else past & seen

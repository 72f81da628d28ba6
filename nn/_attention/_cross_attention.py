"""Cross-attention: each step of a sequence reads all of another, the memory.

    q = x W_q + b_q,    k, v = m W_kv + b_kv,    y = attend(q, k, v) W_o + b_o

As a cell it projects the memory once, in `start`, and carries its keys and values.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.nn.initializers import Initializer, lecun_normal

from .._core._checks import fraction
from .._core._compose import compose
from .._core._factory import factory
from .._core._layer import Context, Layer, Params, State, Variables, pointwise
from .._core._sized import sized
from .._layers._linear import dense
from ._attend import attend, join_heads, split_heads
from ._attention import check_heads, head_size, weight_dropout
from ._memory import held


@factory
def cross_attention(
    heads: int,
    *,
    kv_heads: int | None = None,
    bias: bool = True,
    dropout: float = 0.0,
    init: Initializer = lecun_normal(),
    out_init: Initializer | None = None,
) -> Layer:
    """Multi-head attention of x (batch, time, features) to side input `memory`.

    Side inputs: `memory` (batch, time_m, features_m), and `memory_mask` (batch, time_m), True where
    it is real, or `memory_lengths` (batch,). Parameters: q/{w, b}, kv/{w, b} with the columns of
    the keys before those of the values, out/{w, b}.

    As a cell it is given the memory, and which of it is real, in `start`, which projects it once;
    `step` reads none.

    Source: Vaswani et al., Attention is all you need, 2017.

    Args:
        heads: number of query heads; divides the features.
        kv_heads: number of key and value heads, as many as heads unless given.
        bias: whether the maps have a b.
        dropout: rate of dropout of the attention weights, in [0, 1).
        init: initializer of q/w and kv/w.
        out_init: of out/w; `init` unless given.

    Raises:
        ValueError: heads that do not divide the features, or kv_heads the heads; no memory, or one
            of another batch; training with dropout and without a key.

    >>> import jax, jax.numpy as jnp
    >>> from laminax import nn
    >>> x, memory = jnp.ones((1, 2, 4)), jnp.ones((1, 5, 6))
    >>> layer = nn.cross_attention(2)
    >>> variables = layer.init(jax.random.key(0), x, memory=memory)
    >>> layer(variables, x, memory=memory).shape
    (1, 2, 4)
    """
    kv_heads = check_heads("cross_attention", heads, kv_heads)
    fraction("cross_attention", "dropout", dropout)

    def keys_values(memory: jax.Array, kv: jax.Array) -> dict[str, jax.Array]:
        k, v = jnp.split(kv, 2, axis=-1)
        return {"keys": split_heads(k, kv_heads), "values": split_heads(v, kv_heads)}

    def make(features: int) -> Layer:
        size = head_size("cross_attention", features, heads)
        projection = dense(2 * kv_heads * size, bias=bias, init=init)
        return compose(
            lambda c, x: c.out(c.mix((c.q(x), c.kv(x)))),
            q=dense(features, bias=bias, init=init),
            kv=held("cross_attention", keys_values, projection),
            mix=_mix(heads, dropout),
            out=dense(features, bias=bias, init=out_init or init),
        )

    return sized("cross_attention", make)


def _mix(heads: int, rate: float) -> Layer:
    """Layer from queries and a projected memory to the joined answers of the heads."""

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        return Variables({}, {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        q, kv = x
        y = attend(
            split_heads(q, heads),
            kv["keys"],
            kv["values"],
            mask=kv["mask"][:, None, :],
            drop=weight_dropout(rate, ctx),
        )
        return join_heads(y), state

    return pointwise(init, apply, "cross_attention")

"""BERT: a transformer encoder that learns by filling in masked tokens."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn.initializers import truncated_normal, zeros

from .._attention._attention import attention
from .._attention._feed_forward import feed_forward
from .._attention._positions import learned_positions
from .._core._combinators import serial
from .._core._compose import compose
from .._core._factory import factory
from .._core._layer import Layer
from .._core._repeat import repeat
from .._layers._embed import embedding
from .._layers._linear import dense, parameter
from .._normalization._norm import layer_norm
from .._regularization._dropout import dropout as dropped
from ._blocks import encoder_block


@factory
def bert(
    vocabulary: int = 30522,
    *,
    layers: int = 12,
    heads: int = 12,
    features: int = 768,
    context: int = 512,
    dropout: float = 0.0,
) -> Layer:
    """BERT: tokens (batch, time) integers to (h, pooled), a vector a token and one a sequence.

        h = blocks(drop(norm(T[x] + S[segment] + P))),    pooled = tanh(h_0 W + b)

    with post-norm blocks of attention and a feed-forward layer of 4 features and exact GELU. Side
    inputs: `segments` (batch, time), 0 or 1, all 0 unless given; `mask` or `lengths`. Weights start
    at a truncated N(0, 0.02²). `bert_mlm` is its read-out for masked tokens.

    =====  ======  ========  =====  ===========
    model  layers  features  heads   parameters
    =====  ======  ========  =====  ===========
    base   12      768       12     109,482,240
    large  24      1024      16     335,141,888
    =====  ======  ========  =====  ===========

    Source: Devlin et al., BERT: pre-training of deep bidirectional transformers for language
    understanding, 2019.

    Args:
        vocabulary: number of tokens.
        layers: number of blocks.
        heads: of each attention.
        features: of each step.
        context: the longest sequence.
        dropout: rate of dropout of the embedding, the attention weights and each branch, in [0, 1).

    Raises:
        ValueError: sizes < 1; heads that do not divide features; more tokens than context.

    >>> from laminax import nn
    >>> model = nn.bert(5, layers=2, heads=2, features=8, context=16)
    >>> variables = model.init(jax.random.key(0), jnp.zeros((1, 3), int))
    >>> [y.shape for y in model(variables, jnp.zeros((4, 6), int), lengths=jnp.array([6, 1, 2, 3]))]
    [(4, 6, 8), (4, 8)]
    """

    def forward(c: Any, tokens: Any) -> Any:
        h = _hidden(c, tokens)
        return h, jnp.tanh(c.pooler(h[:, 0]))

    parts = _parts(vocabulary, layers, heads, features, context, dropout)
    return compose(forward, **parts, pooler=dense(features, init=_INIT))


@factory
def bert_mlm(
    vocabulary: int = 30522,
    *,
    layers: int = 12,
    heads: int = 12,
    features: int = 768,
    context: int = 512,
    dropout: float = 0.0,
) -> Layer:
    """BERT as a masked language model: tokens (batch, time) to logits (batch, time, vocabulary).

        y = norm(gelu(h W + b)) Tᵀ + c,

    h as of `bert`, whose entries of the parameters it shares but for `pooler`.

    Source: Devlin et al., BERT: pre-training of deep bidirectional transformers for language
    understanding, 2019.

    Args:
        vocabulary: number of tokens.
        layers: number of blocks.
        heads: of each attention.
        features: of each step.
        context: the longest sequence.
        dropout: rate, in [0, 1).

    Raises:
        ValueError: sizes < 1; heads that do not divide features; more tokens than context.

    >>> from laminax import nn
    >>> model = nn.bert_mlm(5, layers=2, heads=2, features=8, context=16)
    >>> variables = model.init(jax.random.key(0), jnp.zeros((1, 3), int))
    >>> model(variables, jnp.zeros((4, 6), int)).shape
    (4, 6, 5)
    """

    def forward(c: Any, tokens: Any) -> Any:
        h = c.readout(_hidden(c, tokens))
        return h @ c.embed.params["table"].T + c.readout_bias()[None, None]

    return compose(
        forward,
        **_parts(vocabulary, layers, heads, features, context, dropout),
        readout=serial(dense(features, init=_INIT), exact_gelu, layer_norm(epsilon=_EPSILON)),
        readout_bias=parameter((vocabulary,), zeros),
    )


def exact_gelu(x: jax.Array) -> jax.Array:
    """Return x Φ(x), with Φ itself and not its approximation by tanh."""
    return jax.nn.gelu(x, approximate=False)


_INIT = truncated_normal(0.02)
_EPSILON = 1e-12


def _parts(
    vocabulary: int, layers: int, heads: int, features: int, context: int, dropout: float
) -> dict[str, Layer]:
    norm = functools.partial(layer_norm, epsilon=_EPSILON)
    block = encoder_block(
        attention(heads, dropout=dropout, init=_INIT),
        feed_forward(4 * features, exact_gelu, init=_INIT),
        norm=norm,
        dropout=dropout,
        post_norm=True,
    )
    return {
        "embed": embedding(vocabulary, features, init=_INIT),
        "segments": embedding(2, features, init=_INIT),
        "positions": learned_positions(context, init=_INIT),
        "norm": norm(),
        "dropout": dropped(dropout),
        "blocks": repeat(block, layers),
    }


def _hidden(c: Any, tokens: Any) -> Any:
    segments = c.ctx.side.get("segments")
    segments = jnp.zeros_like(tokens) if segments is None else segments
    x = c.positions(c.embed(tokens) + c.segments(segments))
    return c.blocks(c.dropout(c.norm(x)))

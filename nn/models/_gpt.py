"""GPT: a stack of causal transformer blocks that tells the next token."""

from typing import Any

from jax.nn.initializers import normal

from .._attention._attention import attention
from .._attention._feed_forward import feed_forward
from .._attention._positions import learned_positions
from .._core._checks import positive
from .._core._compose import compose
from .._core._factory import factory
from .._core._layer import Layer
from .._core._repeat import repeat
from .._layers._embed import embedding
from .._normalization._norm import layer_norm
from .._regularization._dropout import dropout as dropped
from ._blocks import encoder_block


@factory
def gpt(
    vocabulary: int = 50257,
    *,
    layers: int = 12,
    heads: int = 12,
    features: int = 768,
    context: int = 1024,
    dropout: float = 0.0,
) -> Layer:
    """GPT-2: tokens (batch, time) integers to logits (batch, time, vocabulary) of the next token.

        h = blocks(drop(T[x] + P)),    y = norm(h) Tᵀ

    with pre-norm blocks of causal attention and a feed-forward layer of 4 features, GELU in its
    tanh form, and the table T read twice. Weights start at N(0, 0.02²), those that end a branch at
    0.02 / √(2 layers). A cell, whose carry holds keys and values.

    ======  ======  ========  =====  =============
    model   layers  features  heads     parameters
    ======  ======  ========  =====  =============
    small   12      768       12       124,439,808
    medium  24      1024      16       354,823,168
    large   36      1280      20       774,030,080
    XL      48      1600      25     1,557,611,200
    ======  ======  ========  =====  =============

    Source: Radford et al., Language models are unsupervised multitask learners, 2019.

    Args:
        vocabulary: number of tokens.
        layers: number of blocks.
        heads: of each attention.
        features: of each step.
        context: the longest sequence.
        dropout: rate of dropout of the embedding, the attention weights and each branch, in [0, 1).

    Raises:
        ValueError: sizes < 1; heads that do not divide features; more tokens than context.

    >>> import jax, jax.numpy as jnp
    >>> from laminax import nn
    >>> model = nn.gpt(5, layers=2, heads=2, features=8, context=16)
    >>> variables = model.init(jax.random.key(0), jnp.zeros((1, 3), int))
    >>> model(variables, jnp.zeros((4, 16), int)).shape
    (4, 16, 5)
    """
    start, end = normal(0.02), normal(0.02 / (2 * positive("gpt", "layers", layers)) ** 0.5)
    block = encoder_block(
        attention(heads, causal=True, dropout=dropout, init=start, out_init=end),
        feed_forward(4 * features, init=start, out_init=end),
        dropout=dropout,
    )

    def forward(c: Any, tokens: Any) -> Any:
        x = c.dropout(c.positions(c.embed(tokens)))
        return c.norm(c.blocks(x)) @ c.embed.params["table"].T

    return compose(
        forward,
        embed=embedding(vocabulary, features, init=start),
        positions=learned_positions(context, init=start),
        dropout=dropped(dropout),
        blocks=repeat(block, layers),
        norm=layer_norm(),
    )

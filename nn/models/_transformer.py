"""The transformer: an encoder of one sequence and a decoder of another that reads it."""

import math
from typing import Any

from jax.nn import relu
from jax.nn.initializers import normal

from .._attention._attention import attention
from .._attention._cross_attention import cross_attention
from .._attention._feed_forward import feed_forward
from .._attention._positions import sinusoidal_positions
from .._core._combinators import serial
from .._core._compose import compose
from .._core._factory import factory
from .._core._layer import Layer
from .._core._repeat import repeat
from .._layers._embed import embedding
from .._normalization._norm import layer_norm
from .._regularization._dropout import dropout as dropped
from ._blocks import decoder_block, encoder_block


@factory
def encoder(
    layers: int, heads: int, hidden: int, *, dropout: float = 0.0, post_norm: bool = False
) -> Layer:
    """Transformer encoder of vectors x (batch, time, features): y = norm(f_n(... f_1(x))).

    Side input `mask` or `lengths` says which steps are real. Post-norm has no last norm, since each
    block ends in one.

    Source: Vaswani et al., Attention is all you need, 2017.

    Args:
        layers: number of blocks.
        heads: of each attention.
        hidden: of each feed-forward layer, whose activation is ReLU.
        dropout: rate of dropout of each sublayer, in [0, 1).
        post_norm: as published; pre-norm unless given.

    >>> import jax, jax.numpy as jnp
    >>> from laminax import nn
    >>> model = nn.encoder(2, 2, 16)
    >>> variables = model.init(jax.random.key(0), jnp.zeros((1, 5, 4)))
    >>> jax.tree.map(jnp.shape, variables.params["blocks"]["attention"]["out"])
    {'b': (2, 4), 'w': (2, 4, 4)}
    """
    block = encoder_block(
        attention(heads), feed_forward(hidden, relu), dropout=dropout, post_norm=post_norm
    )
    return _stack(block, layers, post_norm)


@factory
def decoder(
    layers: int, heads: int, hidden: int, *, dropout: float = 0.0, post_norm: bool = False
) -> Layer:
    """Transformer decoder of vectors x (batch, time, features), which reads side input `memory`.

    Side inputs: those of `attention` and `cross_attention`. A cell, whose `start` is given the
    memory.

    Source: Vaswani et al., Attention is all you need, 2017.

    Args:
        layers: number of blocks.
        heads: of each attention.
        hidden: of each feed-forward layer, whose activation is ReLU.
        dropout: rate of dropout of each sublayer, in [0, 1).
        post_norm: as published; pre-norm unless given.

    >>> import jax, jax.numpy as jnp
    >>> from laminax import nn
    >>> model, x, memory = nn.decoder(2, 2, 16), jnp.zeros((1, 5, 4)), jnp.zeros((1, 3, 4))
    >>> model(model.init(jax.random.key(0), x, memory=memory), x, memory=memory).shape
    (1, 5, 4)
    """
    block = decoder_block(
        attention(heads, causal=True),
        cross_attention(heads),
        feed_forward(hidden, relu),
        dropout=dropout,
        post_norm=post_norm,
    )
    return _stack(block, layers, post_norm)


@factory
def transformer(
    source_vocabulary: int,
    target_vocabulary: int,
    *,
    layers: int = 6,
    heads: int = 8,
    features: int = 512,
    hidden: int = 2048,
    dropout: float = 0.0,
    post_norm: bool = True,
) -> Layer:
    """Encoder–decoder: x, a pair of integers (source, target) (batch, time), to logits of target.

    embed(t) = √d T[t] + P, memory = encoder(embed(source)), h = decoder(embed(target)), y = h Tᵀ.
    At each step y tells the next token from the target so far. Side inputs: `memory_mask` or
    `memory_lengths` of the source; `mask` or `lengths` of the target.

    Its children are `encoder`, from tokens to a memory, and `decoder`, from tokens and side
    `memory` to logits, a cell: to translate, apply the one and step the other, with their entries
    of the parameters.

    =====  ======  ========  =====  ======  =======
    model  layers  features  heads  hidden  dropout
    =====  ======  ========  =====  ======  =======
    base   6       512       8      2048    0.1
    big    6       1024      16     4096    0.3
    =====  ======  ========  =====  ======  =======

    Source: Vaswani et al., Attention is all you need, 2017, whose two tables are one.

    Args:
        source_vocabulary: number of source tokens.
        target_vocabulary: number of target tokens, and of logits.
        layers: number of blocks of the encoder, and of the decoder.
        heads: of each attention.
        features: of each step.
        hidden: of each feed-forward layer.
        dropout: rate, in [0, 1).
        post_norm: as published; False is easier to train deep.

    >>> import jax, jax.numpy as jnp
    >>> from laminax import nn
    >>> model = nn.transformer(11, 7, layers=1, heads=2, features=8, hidden=16)
    >>> x = jnp.zeros((1, 4), int), jnp.zeros((1, 3), int)
    >>> variables = model.init(jax.random.key(0), x)
    >>> memory = model.children["encoder"](nn.Variables(variables.params["encoder"], {}), x[0])
    >>> logits = model.children["decoder"](
    ...     nn.Variables(variables.params["decoder"], {}), x[1], memory=memory)
    >>> bool(jnp.allclose(logits, model(variables, x), atol=1e-6))
    True
    """
    size: dict[str, Any] = {"heads": heads, "hidden": hidden, "dropout": dropout}
    size["post_norm"] = post_norm

    def embedded(vocabulary: int, blocks: Layer) -> dict[str, Layer]:
        table = embedding(vocabulary, features, init=normal(features**-0.5))
        return {
            "embed": table,
            "positions": sinusoidal_positions(),
            "dropout": dropped(dropout),
            "blocks": blocks,
        }

    def hidden_states(c: Any, tokens: Any) -> Any:
        x = c.positions(c.embed(tokens) * math.sqrt(features))
        return c.blocks(c.dropout(x))

    def logits(c: Any, tokens: Any) -> Any:
        return hidden_states(c, tokens) @ c.embed.params["table"].T

    def forward(c: Any, x: Any) -> Any:
        source, target = x
        side = c.ctx.side
        real = {"mask": side.get("memory_mask"), "lengths": side.get("memory_lengths")}
        memory = c.encoder(source, positions=None, **real)
        return c.decoder(target, memory=memory)

    return compose(
        forward,
        encoder=compose(hidden_states, **embedded(source_vocabulary, encoder(layers, **size))),
        decoder=compose(logits, **embedded(target_vocabulary, decoder(layers, **size))),
    )


def _stack(block: Layer, layers: int, post_norm: bool) -> Layer:
    blocks = repeat(block, layers)
    return serial(blocks=blocks) if post_norm else serial(blocks=blocks, norm=layer_norm())

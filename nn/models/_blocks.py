"""The blocks of transformers: sublayers f, each around a shortcut.

pre-norm    x ← x + drop(f(norm(x)))     easier to train deep; the stack ends in a norm
post-norm   x ← norm(x + drop(f(x)))     as published
"""

from collections.abc import Callable
from typing import Any

from .._core._compose import compose
from .._core._factory import LayerLike, as_layer, factory
from .._core._layer import Layer
from .._normalization._norm import layer_norm
from .._regularization._dropout import dropout as dropped

Norm = Callable[[], Layer]


@factory
def encoder_block(
    attention: LayerLike,
    feed_forward: LayerLike,
    *,
    norm: Norm = layer_norm,
    dropout: float = 0.0,
    post_norm: bool = False,
) -> Layer:
    """Transformer block: attention, then a feed-forward layer, each around a shortcut.

    x (batch, time, features). Parameters: attention_norm, attention, feed_forward_norm,
    feed_forward. With causal attention it is the block of GPT; with `rms_norm`, rotary positions
    and `swiglu` that of Llama.

    Sources: Vaswani et al., Attention is all you need, 2017; Xiong et al., On layer normalization
    in the transformer architecture, 2020.

    Args:
        attention: a layer, `attention(heads)`.
        feed_forward: a layer, `feed_forward(hidden)`.
        norm: makes the norms.
        dropout: rate of dropout before each sum, in [0, 1).
        post_norm: norm(x + f(x)), as published, for x + f(norm(x)).

    >>> import jax, jax.numpy as jnp
    >>> from laminax import nn
    >>> block = nn.encoder_block(nn.attention(2), nn.feed_forward(16))
    >>> variables = block.init(jax.random.key(0), jnp.zeros((1, 5, 4)))
    >>> sorted(variables.params)
    ['attention', 'attention_norm', 'feed_forward', 'feed_forward_norm']
    """
    parts = {"attention": attention, "feed_forward": feed_forward}
    return _block(parts, norm, dropout, post_norm)


@factory
def decoder_block(
    attention: LayerLike,
    cross_attention: LayerLike,
    feed_forward: LayerLike,
    *,
    norm: Norm = layer_norm,
    dropout: float = 0.0,
    post_norm: bool = False,
) -> Layer:
    """Transformer block that also reads side input `memory`, between attention and feed-forward.

    x (batch, time, features). Parameters: those of `encoder_block`, cross_attention_norm and
    cross_attention.

    Source: Vaswani et al., Attention is all you need, 2017.

    Args:
        attention: a layer, `attention(heads, causal=True)`.
        cross_attention: a layer, `cross_attention(heads)`.
        feed_forward: a layer, `feed_forward(hidden)`.
        norm: makes the norms.
        dropout: rate of dropout before each sum, in [0, 1).
        post_norm: norm(x + f(x)), as published, for x + f(norm(x)).

    >>> import jax, jax.numpy as jnp
    >>> from laminax import nn
    >>> attends = nn.attention(2, causal=True), nn.cross_attention(2)
    >>> block = nn.decoder_block(*attends, nn.feed_forward(16))
    >>> x, memory = jnp.zeros((1, 5, 4)), jnp.zeros((1, 3, 6))
    >>> block(block.init(jax.random.key(0), x, memory=memory), x, memory=memory).shape
    (1, 5, 4)
    """
    parts = {
        "attention": attention,
        "cross_attention": cross_attention,
        "feed_forward": feed_forward,
    }
    return _block(parts, norm, dropout, post_norm)


def _block(parts: dict[str, LayerLike], norm: Norm, dropout: float, post_norm: bool) -> Layer:
    layers: dict[str, Layer] = {}
    for name, part in parts.items():
        layers |= {
            name: as_layer(part),
            f"{name}_norm": norm(),
            f"{name}_dropout": dropped(dropout),
        }

    def forward(c: Any, x: Any) -> Any:
        for name in parts:
            f, norm, drop = c[name], c[f"{name}_norm"], c[f"{name}_dropout"]
            x = norm(x + drop(f(x))) if post_norm else x + drop(f(norm(x)))
        return x

    return compose(forward, **layers)

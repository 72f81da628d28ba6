"""Sequence to sequence: one recurrent net reads the source, another writes the target."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.nn.initializers import normal

from .._core._combinators import serial
from .._core._compose import compose
from .._core._factory import factory
from .._core._layer import Carry, Context, Layer, Params, State, Variables, relabel
from .._core._sized import sized
from .._layers._embed import embedding
from .._layers._linear import dense
from .._recurrent._rnn import rnn


@factory
def seq2seq(
    source_vocabulary: int,
    target_vocabulary: int,
    cell: Layer,
    *,
    features: int,
    attention: Layer | None = None,
) -> Layer:
    """Encoder–decoder of cells: x, a pair of integers (source, target) (batch, time), to logits.

        m, carry = cell_e(T_e[source])                     memory, and the carry of its last step
        h        = cell_d(T_d[target])                     started from that carry
        h̃        = tanh([h, attention(h, m)] W_c + b_c)    with attention, else h̃ = h
        y        = h̃ W + b

    At each step y tells the next token from the target so far. Attention comes after the cell, as
    in the second paper, so that both cells run as one product a step and attention over the whole
    sequence at once. Tables start at N(0, 1), the scale of x that a cell's weights are made for:
    smaller, attention is learned later. Side inputs: `memory_mask` or `memory_lengths` of the
    source, whose last real step gives the carry; `mask` or `lengths` of the target.

    Its children are `encoder`, from tokens to (memory, carry), and `decoder`, from tokens and side
    `memory` and `carry` to logits, a cell: to translate, apply the one and let `decoding` step the
    other, with their entries of the parameters.

    Sources: Sutskever, Vinyals and Le, Sequence to sequence learning with neural networks, 2014;
    Luong, Pham and Manning, Effective approaches to attention-based neural machine translation,
    2015.

    Args:
        source_vocabulary: number of source tokens.
        target_vocabulary: number of target tokens, and of logits.
        cell: `lstm(128)`, or several in a `serial`; encoder and decoder each get their own.
        features: of each embedded token.
        attention: a layer that reads side `memory`, such as `additive_attention(128)`,
            `dot_attention()` or `cross_attention(4)`; without one the decoder knows the source by
            the carry alone.

    Raises:
        ValueError: sizes < 1; a cell that is none; a decoder started without a carry.

    >>> from laminax import nn
    >>> model = nn.seq2seq(11, 7, nn.gru(8), features=4, attention=nn.dot_attention())
    >>> source, start = jnp.array([[1, 2, 3], [4, 5, 0]]), jnp.zeros((2, 1), int)
    >>> lengths = jnp.array([3, 2])
    >>> params, _ = model.init(jax.random.key(0), (source, start))
    >>> encoder, decoder = model.children["encoder"], model.children["decoder"]
    >>> memory, carry = encoder(nn.Variables(params["encoder"], {}), source, lengths=lengths)
    >>> nn.decoding.generate(
    ...     decoder, nn.Variables(params["decoder"], {}), start, 4,
    ...     memory=memory, memory_lengths=lengths, carry=carry).tokens.shape
    (2, 5)
    """
    start = normal(1.0)
    read = {} if attention is None else {"read": _read(attention)}

    def forward(c: Any, x: Any) -> Any:
        source, target = x
        side = c.ctx.side
        real = {"mask": side.get("memory_mask"), "lengths": side.get("memory_lengths")}
        memory, carry = c.encoder(source, **real)
        return c.decoder(target, memory=memory, carry=carry)

    return compose(
        forward,
        encoder=serial(
            embed=embedding(source_vocabulary, features, init=start),
            cell=rnn(cell, carry=True),
        ),
        decoder=serial(
            embed=embedding(target_vocabulary, features, init=start),
            cell=_continued(cell),
            **read,
            readout=dense(target_vocabulary),
        ),
    )


def _continued(cell: Layer) -> Layer:
    """Return the cell that starts from side input `carry`, which must be given."""
    layer = rnn(cell)

    def check(ctx: Context) -> None:
        if ctx.side.get("carry") is None:
            raise ValueError(
                "seq2seq: the decoder needs side input carry, the encoder's last, got "
                f"{', '.join(ctx.side) or 'none'}; give it both that the encoder returns: "
                "memory, carry = encoder(...)"
            )

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[Any, State]:
        check(ctx)
        return layer.apply(params, state, x, ctx)

    def begin(variables: Variables, x: Any, ctx: Context) -> Carry:
        check(ctx)
        assert layer.start is not None
        return layer.start(variables, x, ctx)

    return relabel(layer, apply=apply, start=begin)


def _read(attention: Layer) -> Layer:
    """Layer from h to tanh([h, attention(h)] W + b), of as many features."""

    def forward(c: Any, h: Any) -> jax.Array:
        return jnp.tanh(c.combine(jnp.concatenate([h, c.attention(h)], -1)))

    return sized(
        "read", lambda features: compose(forward, attention=attention, combine=dense(features))
    )

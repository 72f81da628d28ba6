"""Dropout: in training a value is kept with probability 1 - p and then scaled by 1 / (1 - p)."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from .._core._checks import feature_size, fraction
from .._core._factory import factory
from .._core._layer import Context, Layer, Params, State, Variables, pointwise

_LEVELS = 2**16


@factory
def dropout(rate: float) -> Layer:
    """Dropout: y = x · m / (1 - p) with m ~ Bernoulli(1 - p) in training, y = x in evaluation.

    The rate is met to 2⁻¹⁷: 16 random bits are drawn for a unit.

    Source: Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting,
    2014.

    Args:
        rate: p, the probability that a unit is set to zero, in [0, 1).

    Raises:
        ValueError: a rate outside [0, 1); training without a key.

    >>> from laminax import nn
    >>> ctx = nn.Context(key=jax.random.key(0), train=True)
    >>> y, _ = nn.dropout(0.5).apply({}, {}, jnp.ones(1000), ctx)
    >>> bool(abs(y.mean() - 1) < 0.1)
    True
    """
    p = fraction("dropout", "rate", rate)

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        return Variables({}, {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        return dropped("dropout", p, x, ctx), state

    return pointwise(init, apply)


@factory
def channel_dropout(rate: float) -> Layer:
    """Dropout of whole channels: y = x · m / (1 - p), one m ~ Bernoulli(1 - p) a channel.

    x is (batch, ..., channels). A channel of an example is zero at every position or at none: the
    neighbors of a position say so much about it that dropping it alone would change little. In a
    sequence the same channels are dropped at every time step. The rate is met to 2⁻¹⁷.

    Source: Tompson et al., Efficient object localization using convolutional networks, 2015; in
    sequences: Gal and Ghahramani, A theoretically grounded application of dropout in recurrent
    neural networks, 2016.

    Args:
        rate: p, the probability that a channel is set to zero, in [0, 1).

    Raises:
        ValueError: a rate outside [0, 1); an x without a batch axis; training without a key.

    >>> from laminax import nn
    >>> ctx = nn.Context(key=jax.random.key(0), train=True)
    >>> y, _ = nn.channel_dropout(0.5).apply({}, {}, jnp.ones((1, 9, 50)), ctx)
    >>> bool((y == y[:, :1]).all())
    True
    """
    p = fraction("channel_dropout", "rate", rate)

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        feature_size("channel_dropout", x, least_rank=2)
        return Variables({}, {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        channels = feature_size("channel_dropout", x, least_rank=2)
        shape = (x.shape[0], *(1,) * (x.ndim - 2), channels)
        return dropped("channel_dropout", p, x, ctx, shape), state

    # A cell, though a mask spans the time steps: it depends on the key and not on the stretch.
    return pointwise(init, apply)


def dropped(
    kind: str, rate: float, x: jax.Array, ctx: Context, shape: Sequence[int] | None = None
) -> jax.Array:
    """Return x · m / (1 - p) in training, with m of `shape`, that of x unless given; else x."""
    if not ctx.train or rate == 0:
        return x
    drop = bernoulli(ctx.key_for(kind), rate, x.shape if shape is None else shape)
    return jnp.where(drop, jnp.zeros((), x.dtype), x / jnp.asarray(1 - rate, x.dtype))


def bernoulli(key: jax.Array, rate: float, shape: Sequence[int]) -> jax.Array:
    """Return booleans that are true with probability `rate`, to the nearest multiple of 2⁻¹⁶.

    Each word of 32 random bits serves two of them, since drawing is what dropout costs.
    """
    *rows, columns = shape or (1,)
    words = jax.random.bits(key, (*rows, (columns + 1) // 2), jnp.uint32)
    halves: jax.Array = jax.lax.bitcast_convert_type(words, jnp.uint16).reshape(*rows, -1)
    threshold = min(round(rate * _LEVELS), _LEVELS - 1)
    low: jax.Array = halves[..., :columns] < jnp.uint16(threshold)
    return low.reshape(shape)

"""Dropout: in training each unit is kept with probability 1 - p and scaled by 1 / (1 - p)."""

from typing import Any

import jax
import jax.numpy as jnp

from ._checks import fraction
from ._core import Context, Layer, Params, State, Variables, pointwise
from ._factory import factory


@factory
def dropout(rate: float) -> Layer:
    """Dropout: y = x · m / (1 - p) with m ~ Bernoulli(1 - p) in training, y = x in evaluation.

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
        if not ctx.train or p == 0:
            return x, state
        keep = jax.random.bernoulli(ctx.key_for("dropout"), 1 - p, x.shape)
        return jnp.where(keep, x / jnp.asarray(1 - p, x.dtype), jnp.zeros((), x.dtype)), state

    return pointwise(init, apply)

"""Pooling over the real steps of a sequence: (batch, time, ...) to (batch, ...).

last    y = x_n, n the last real step        mean    y = Σ_t x_t / n        max    y = max_t x_t

Side input `mask` or `lengths` says which steps are real, all of them unless given. Where none is,
y is zero.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from .._core._checks import feature_size, wide_dtype
from .._core._factory import factory
from .._core._layer import Context, Layer, Params, State, Variables
from .._core._masks import padding_mask


@factory
def last_step() -> Layer:
    """The last real step of x (batch, time, ...), which in a recurrent net has read all others.

    Side inputs: `mask` (batch, time) or `lengths` (batch,). After `bidirectional` take
    `mean_over_time` or `max_over_time` instead: there the backward half has, at the last step,
    read that step alone.

    Raises:
        ValueError: an x without a time axis; both a mask and lengths.

    >>> from laminax import nn
    >>> classifier = nn.serial(nn.embedding(9, 4), nn.lstm(8), nn.last_step(), nn.dense(2))
    >>> tokens = jnp.array([[3, 1, 4, 1], [5, 9, 0, 0]]) % 9
    >>> variables = classifier.init(jax.random.key(0), tokens)
    >>> y = classifier(variables, tokens, lengths=jnp.array([4, 2]))
    >>> alone = classifier(variables, tokens[1:, :2])     # padding changes nothing
    >>> y.shape, bool(jnp.allclose(y[1:], alone, atol=1e-6))
    ((2, 2), True)
    """
    return _over_time("last_step", _last)


@factory
def mean_over_time() -> Layer:
    """The mean of the real steps of x (batch, time, ...), summed in at least float32.

    Side inputs: `mask` (batch, time) or `lengths` (batch,).

    Raises:
        ValueError: an x without a time axis; both a mask and lengths.

    >>> from laminax import nn
    >>> x = jnp.array([[[2.0], [4.0], [9.0]]])
    >>> nn.mean_over_time()(nn.Variables({}, {}), x, lengths=jnp.array([2]))
    Array([[3.]], dtype=float32)
    """
    return _over_time("mean_over_time", _mean)


@factory
def max_over_time() -> Layer:
    """The largest of the real steps of x (batch, time, ...), each feature by itself.

    Side inputs: `mask` (batch, time) or `lengths` (batch,).

    Source: Collobert et al., Natural language processing (almost) from scratch, 2011.

    Raises:
        ValueError: an x without a time axis; both a mask and lengths.

    >>> from laminax import nn
    >>> x = jnp.array([[[-2.0], [-4.0], [9.0]]])
    >>> nn.max_over_time()(nn.Variables({}, {}), x, lengths=jnp.array([2]))
    Array([[-2.]], dtype=float32)
    """
    return _over_time("max_over_time", _max)


def _over_time(kind: str, pool: Callable[[jax.Array, jax.Array], jax.Array]) -> Layer:
    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        return Variables({}, {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        feature_size(kind, x, least_rank=2)
        mask = padding_mask(kind, ctx, x)
        mask = jnp.ones(x.shape[:2], bool) if mask is None else mask
        return pool(jnp.asarray(x), mask), state

    return Layer(init, apply)


def _last(x: jax.Array, mask: jax.Array) -> jax.Array:
    time = x.shape[1]
    after = jnp.argmax(jnp.flip(mask, 1), 1)  # padding steps behind the last real one
    y = jnp.take_along_axis(x, _aligned(time - 1 - after[:, None], x), 1)[:, 0]
    return jnp.where(_aligned(mask.any(1), y), y, jnp.zeros_like(y))


def _mean(x: jax.Array, mask: jax.Array) -> jax.Array:
    dtype = wide_dtype(x)
    total = jnp.where(_aligned(mask, x), x, jnp.zeros_like(x)).sum(1, dtype=dtype)
    count = jnp.maximum(mask.sum(1), 1).astype(dtype)
    return (total / _aligned(count, total)).astype(x.dtype)


def _max(x: jax.Array, mask: jax.Array) -> jax.Array:
    y = jnp.where(_aligned(mask, x), x, -jnp.inf).max(1)
    return jnp.where(_aligned(mask.any(1), y), y, jnp.zeros_like(y))


def _aligned(a: jax.Array, x: jax.Array) -> jax.Array:
    return a.reshape(a.shape + (1,) * (x.ndim - a.ndim))

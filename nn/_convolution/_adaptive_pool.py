"""Pooling to a given size, whatever that of x.

Along an axis of n entries, bin i of m holds every entry p of

    ⌊i n / m⌋ ≤ p < ⌈(i + 1) n / m⌉,

so bins overlap where m does not divide n. A bin over several axes is reduced one axis at a time.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax

from .._core._factory import factory
from .._core._layer import Context, Layer, Params, State, Variables
from ._window import Extent, accumulator, check_extent, each_axis, floating, spatial

_Reduce: TypeAlias = Callable[[jax.Array, int], jax.Array]


@factory
def adaptive_avg_pool(size: Extent) -> Layer:
    """Mean of each of `size` bins: (batch, *spatial, channels) to (batch, *size, channels).

    Source: He et al., Spatial pyramid pooling in deep convolutional networks, 2014.

    Args:
        size: m, entries of y along every spatial axis, or one integer each.

    Raises:
        ValueError: an integer < 1; an x that is not (batch, *spatial, channels).

    >>> from laminax import nn
    >>> x = jnp.array([1.0, 2.0, 6.0]).reshape(1, 3, 1)
    >>> nn.adaptive_avg_pool(2)(nn.Variables({}, {}), x).ravel()
    Array([1.5, 4. ], dtype=float32)
    """

    def mean(x: jax.Array, size: tuple[int, ...]) -> jax.Array:
        x = floating(x)
        return _binned(x.astype(accumulator(x.dtype)), size, jnp.mean).astype(x.dtype)

    return _adaptive("adaptive_avg_pool", size, mean)


@factory
def adaptive_max_pool(size: Extent) -> Layer:
    """Maximum of each of `size` bins: (batch, *spatial, channels) to (batch, *size, channels).

    Equal entries share the gradient.

    Source: He et al., Spatial pyramid pooling in deep convolutional networks, 2014.

    Args:
        size: m, entries of y along every spatial axis, or one integer each.

    Raises:
        ValueError: an integer < 1; an x that is not (batch, *spatial, channels).

    >>> from laminax import nn
    >>> x = jnp.array([1.0, 2.0, 6.0]).reshape(1, 3, 1)
    >>> nn.adaptive_max_pool(2)(nn.Variables({}, {}), x).ravel()
    Array([2., 6.], dtype=float32)
    """
    return _adaptive("adaptive_max_pool", size, lambda x, size: _binned(x, size, jnp.max))


def _adaptive(
    kind: str, size: Extent, pool: Callable[[jax.Array, tuple[int, ...]], jax.Array]
) -> Layer:
    check_extent(kind, "size", size)
    of_rank = len(size) if isinstance(size, tuple) else None

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        return Variables({}, {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        rank = len(spatial(kind, x, of_rank))
        return pool(x, each_axis(kind, "size", size, rank)), state

    return Layer(init, apply)


def _binned(x: jax.Array, size: tuple[int, ...], reduce: _Reduce) -> jax.Array:
    for axis, count in enumerate(size, 1):
        x = _bins(x, axis, count, reduce)
    return x


def _bins(x: jax.Array, axis: int, count: int, reduce: _Reduce) -> jax.Array:
    n = x.shape[axis]
    if n % count == 0:
        return reduce(x.reshape(*x.shape[:axis], count, n // count, *x.shape[axis + 1 :]), axis + 1)
    edges = [(i * n // count, -(-(i + 1) * n // count)) for i in range(count)]
    return jnp.stack([reduce(lax.slice_in_dim(x, *edge, axis=axis), axis) for edge in edges], axis)

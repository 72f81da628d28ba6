"""Pooling: the largest or the mean entry of every window, channel by channel.

A window's maximum and sum are those along one axis after another, so each axis takes its window's
strided slices and reduces them; no window over all axes is ever formed.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._core._factory import factory
from .._core._layer import Context, Layer, Params, State, Variables
from ._window import Axes, Extent, Padding, Sides, Window, accumulator, floating, pad, spatial, taps


@factory
def max_pool(window: Extent, *, stride: Extent | None = None, padding: Padding = "valid") -> Layer:
    """Maximum of every window: y[p, c] = max_t x[s p + t - l, c], over 1 to 3 spatial axes.

    x is (batch, *spatial, channels). Padding never wins. Of equal entries the first, in row-major
    order, takes the whole gradient; NaN wins over numbers.

    Source: Ranzato et al., Unsupervised learning of invariant feature hierarchies, 2007.

    Args:
        window: its entries, for every spatial axis or one integer each.
        stride: s, how far it moves; by default the window's own size.
        padding: "valid" (none), "same", an integer, or for each spatial axis an integer or a pair
            (before, after); less than the window.

    Raises:
        ValueError: an integer < 1; a padding that is none of the above; an x that is not (batch,
            *spatial, channels), or smaller than the window.

    >>> from laminax import nn
    >>> x = jnp.array([[1.0, 2.0], [4.0, 3.0]]).reshape(1, 2, 2, 1)
    >>> nn.max_pool(2)(nn.Variables({}, {}), x).ravel()
    Array([4.], dtype=float32)
    """

    def largest(x: jax.Array, around: Sides, size: Axes, stride: Axes) -> jax.Array:
        x = pad(x, around, _lowest(x.dtype))
        for axis in range(len(size), 0, -1):  # the last first: ties go to the first in row order
            x = functools.reduce(_first_largest, taps(x, axis, size[axis - 1], stride[axis - 1]))
        return x

    return _pool("max_pool", largest, window, stride, padding)


@factory
def avg_pool(window: Extent, *, stride: Extent | None = None, padding: Padding = "valid") -> Layer:
    """Mean of every window: y[p, c] = mean_t x[s p + t - l, c], over 1 to 3 spatial axes.

    x is (batch, *spatial, channels). The mean is over the entries of x alone: padding adds nothing
    and is not counted (`count_include_pad=False` in torch).

    Source: LeCun et al., Gradient-based learning applied to document recognition, 1998.

    Args:
        window: its entries, for every spatial axis or one integer each.
        stride: s, how far it moves; by default the window's own size.
        padding: "valid" (none), "same", an integer, or for each spatial axis an integer or a pair
            (before, after); less than the window.

    Raises:
        ValueError: an integer < 1; a padding that is none of the above; an x that is not (batch,
            *spatial, channels), or smaller than the window.

    >>> from laminax import nn
    >>> layer = nn.avg_pool(2, stride=1, padding=((0, 1),))
    >>> layer(nn.Variables({}, {}), jnp.array([1.0, 3.0]).reshape(1, 2, 1)).ravel()
    Array([2., 3.], dtype=float32)
    """

    def mean(x: jax.Array, around: Sides, size: Axes, stride: Axes) -> jax.Array:
        x = floating(x)
        dtype, sizes = x.dtype, x.shape[1:-1]
        x = pad(x.astype(accumulator(dtype)), around)
        for axis in range(len(size), 0, -1):
            i = axis - 1
            x = functools.reduce(jnp.add, taps(x, axis, size[i], stride[i]))
            count = jnp.asarray(_counts(sizes[i], around[i], size[i], stride[i]), x.dtype)
            x = x / jnp.expand_dims(count, [other for other in range(x.ndim) if other != axis])
        return x.astype(dtype)

    return _pool("avg_pool", mean, window, stride, padding)


@factory
def global_max_pool() -> Layer:
    """Maximum over all spatial axes: (batch, *spatial, channels) to (batch, channels).

    Equal entries share the gradient.

    Raises:
        ValueError: an x that is not (batch, *spatial, channels).

    >>> from laminax import nn
    >>> nn.global_max_pool()(nn.Variables({}, {}), jnp.array([1.0, 4.0, 3.0]).reshape(1, 3, 1))
    Array([[4.]], dtype=float32)
    """
    return _whole("global_max_pool", jnp.max)


@factory
def global_avg_pool() -> Layer:
    """Mean over all spatial axes: (batch, *spatial, channels) to (batch, channels).

    Source: Lin et al., Network in network, 2014.

    Raises:
        ValueError: an x that is not (batch, *spatial, channels).

    >>> from laminax import nn
    >>> nn.global_avg_pool()(nn.Variables({}, {}), jnp.array([1.0, 5.0, 3.0]).reshape(1, 3, 1))
    Array([[3.]], dtype=float32)
    """
    return _whole("global_avg_pool", lambda x, axes: jnp.mean(floating(x), axes))


def _pool(
    kind: str,
    reduce: Callable[[jax.Array, Sides, Axes, Axes], jax.Array],
    window: Extent,
    stride: Extent | None,
    padding: Padding,
) -> Layer:
    moved = window if stride is None else stride
    windows = Window(kind, window, moved, padding=padding, label="window")
    windows.check()

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        size, steps, _, around = windows.on(x)
        if any(max(pair) >= k for pair, k in zip(around, size, strict=True)):
            raise ValueError(
                f"{kind}: padding must be less than the window, or some windows hold nothing of x, "
                f"got padding {around} with window {size}"
            )
        return reduce(x, around, size, steps), state

    return Layer(_nothing, apply)


def _whole(kind: str, reduce: Callable[[jax.Array, Axes], jax.Array]) -> Layer:
    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        rank = len(spatial(kind, x))
        return reduce(x, tuple(range(1, rank + 1))), state

    return Layer(_nothing, apply)


def _nothing(key: jax.Array, x: Any, **side: Any) -> Variables:
    return Variables({}, {})


def _first_largest(a: jax.Array, b: jax.Array) -> jax.Array:
    # A selection, not `maximum`, whose gradient divides: selecting is cheaper and splits no tie.
    return jnp.where((b > a) | (b != b), b, a)


def _lowest(dtype: jnp.dtype) -> Any:
    return -np.inf if jnp.issubdtype(dtype, jnp.floating) else np.iinfo(dtype).min


def _counts(n: int, around: tuple[int, int], size: int, stride: int) -> list[int]:
    """Return how many entries of x each window along an axis of n holds."""
    before, after = around
    starts = range(-before, n + after - size + 1, stride)
    return [min(start + size, n) - max(start, 0) for start in starts]

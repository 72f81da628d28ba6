"""Sliding windows over the spatial axes of (batch, *spatial, channels): arguments, padding, taps.

Along one axis of n entries, a window of k entries d apart, moved by s, padded by (l, h), gives

    ⌊(l + n + h - d (k - 1) - 1) / s⌋ + 1

outputs, and its i-th tap is the strided slice that starts at i d. Windows are taken apart into taps
because slices, unlike `reduce_window` and transposed convolutions, differentiate into operations
that are fast on every back end, inside `lax.scan` too.
"""

from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax

from ._checks import feature_size, positive
from ._specs import describe

Extent: TypeAlias = int | tuple[int, ...]
"""One integer for all spatial axes, or one each."""
Padding: TypeAlias = str | int | tuple[int | tuple[int, int], ...]
"""`"same"`, `"valid"`, one integer for all sides, or one integer or pair for each spatial axis."""

_RANKS = {1: "length", 2: "height, width", 3: "depth, height, width"}


def check_extent(kind: str, name: str, value: Any) -> None:
    """Raise unless `value` is an integer of at least 1, or a tuple of one to three."""
    if not isinstance(value, tuple):
        positive(kind, name, value)
    elif not 1 <= len(value) <= 3:
        raise ValueError(f"{kind}: {name} must hold one to three integers, got {value!r}")
    else:
        for part in value:
            positive(kind, f"each of {name}", part)


def check_padding(kind: str, padding: Any) -> None:
    """Raise unless `padding` is one that `sides` can read."""
    each = padding if isinstance(padding, tuple) else (padding,)
    pairs = [part if isinstance(part, tuple) else (part, part) for part in each]
    amounts = [amount for pair in pairs for amount in pair]
    good = all(isinstance(a, int) and not isinstance(a, bool) and a >= 0 for a in amounts)
    if padding not in ("same", "valid") and not (good and all(len(pair) == 2 for pair in pairs)):
        raise ValueError(
            f'{kind}: padding must be "same", "valid", an integer of at least 0, or a tuple of '
            f"integers and pairs (before, after), one a spatial axis, got {padding!r}"
        )


def spatial(kind: str, x: Any, rank: int | None = None) -> tuple[int, ...]:
    """Return the spatial sizes of `x`, whose shape must be (batch, *spatial, channels)."""
    feature_size(kind, x)
    got = len(x.shape) - 2
    if got not in _RANKS or rank not in (None, got):
        axes = "*spatial" if rank is None else _RANKS[rank]
        raise ValueError(
            f"{kind}: x must have shape (batch, {axes}, channels), got {describe(x)} with "
            f"{len(x.shape)} axes; add the missing axis, or flatten later"
        )
    return tuple(x.shape[1:-1])


def each_axis(kind: str, name: str, value: Extent, rank: int) -> tuple[int, ...]:
    """Return `value` as one integer a spatial axis."""
    value = (value,) * rank if isinstance(value, int) else value
    if len(value) != rank:
        raise ValueError(
            f"{kind}: {name} must hold one integer for each of the {rank} spatial axes of x, "
            f"got {value!r}"
        )
    return value


def sides(
    kind: str,
    padding: Padding,
    sizes: tuple[int, ...],
    window: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[tuple[int, int], ...]:
    """Return the padding (before, after) of each spatial axis; the window must fit in."""
    spans = [d * (k - 1) + 1 for k, d in zip(window, dilation, strict=True)]
    if padding == "same":
        total = [
            max((-(-n // s) - 1) * s + span - n, 0)
            for n, s, span in zip(sizes, stride, spans, strict=True)
        ]
        pairs = tuple((t // 2, t - t // 2) for t in total)
    elif isinstance(padding, tuple):
        each_axis(kind, "padding", tuple(0 for _ in padding), len(sizes))
        pairs = tuple(p if isinstance(p, tuple) else (p, p) for p in padding)
    else:
        amount = 0 if isinstance(padding, str) else padding
        pairs = ((amount, amount),) * len(sizes)
    for n, span, (before, after) in zip(sizes, spans, pairs, strict=True):
        if before + n + after < span:
            raise ValueError(
                f"{kind}: a window of {span} entries does not fit in {n} + padding "
                f"{(before, after)}, of spatial sizes {sizes}; use a smaller one, or more padding"
            )
    return pairs


def pad(x: jax.Array, pairs: tuple[tuple[int, int], ...], value: Any = 0) -> jax.Array:
    """Return `x` with `value` put around its spatial axes."""
    if not any(amount for pair in pairs for amount in pair):
        return x
    config = [(0, 0, 0), *((before, after, 0) for before, after in pairs), (0, 0, 0)]
    return lax.pad(x, jnp.asarray(value, x.dtype), config)


def taps(x: jax.Array, axis: int, size: int, stride: int = 1, dilation: int = 1) -> list[jax.Array]:
    """Return the entries of every window along `axis`: its `size` strided slices."""
    if size == 1 and stride == 1:
        return [x]
    count = (x.shape[axis] - dilation * (size - 1) - 1) // stride + 1
    if size == stride and dilation == 1:  # windows side by side: a reshape, not a copy
        x = lax.slice_in_dim(x, 0, count * size, axis=axis)
        x = x.reshape(*x.shape[:axis], count, size, *x.shape[axis + 1 :])
        return [lax.index_in_dim(x, i, axis + 1, keepdims=False) for i in range(size)]
    starts = [i * dilation for i in range(size)]
    stop = (count - 1) * stride + 1
    return [lax.slice_in_dim(x, start, start + stop, stride, axis) for start in starts]


def accumulator(dtype: jnp.dtype) -> jnp.dtype:
    """Return the dtype in which to add up many values of a floating `dtype`: at least float32."""
    return jnp.dtype(jnp.float32) if dtype.itemsize < 4 else dtype

"""Sliding windows over the spatial axes of (batch, *spatial, channels): arguments, padding, taps.

Along one axis of n entries, a window of k entries d apart, moved by s, padded by (l, h), gives

    ⌊(l + n + h - d (k - 1) - 1) / s⌋ + 1

outputs, and its i-th tap is the strided slice that starts at i d. Windows are taken apart into taps
because slices, unlike `reduce_window` and transposed convolutions, differentiate into operations
that are fast on every back end, inside `lax.scan` too.
"""

from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax

from .._core._checks import default_float, feature_size, positive
from .._core._specs import describe

Extent: TypeAlias = int | tuple[int, ...]
"""One integer for all spatial axes, or one each."""
Padding: TypeAlias = str | int | tuple[int | tuple[int, int], ...]
"""`"same"`, `"valid"`, one integer for all sides, or one integer or pair for each spatial axis."""

Axes: TypeAlias = tuple[int, ...]
"""One integer for each spatial axis."""
Sides: TypeAlias = tuple[tuple[int, int], ...]
"""One pair (before, after) for each spatial axis."""

_RANKS = {1: "length", 2: "height, width", 3: "depth, height, width"}


class Placed(NamedTuple):
    """A window over arrays of known spatial sizes: everything once for each axis."""

    size: Axes
    stride: Axes
    dilation: Axes
    around: Sides


class Window(NamedTuple):
    """A sliding window as the arguments of the layer `kind` say it; `label` is that of its size."""

    kind: str
    size: Extent
    stride: Extent = 1
    dilation: Extent = 1
    padding: Padding = "valid"
    label: str = "kernel"

    def check(self) -> None:
        """Raise where the arguments are wrong, whatever x."""
        for name, value in (
            (self.label, self.size),
            ("stride", self.stride),
            ("dilation", self.dilation),
        ):
            check_extent(self.kind, name, value)
        check_padding(self.kind, self.padding)

    def on(self, x: Any, rank: int | None = None) -> Placed:
        """Return the window over `x`, which may have to have `rank` spatial axes."""
        kind, size = self.kind, self.size
        sizes = spatial(kind, x, len(size) if isinstance(size, tuple) else rank)
        size = each_axis(kind, self.label, size, len(sizes))
        stride = each_axis(kind, "stride", self.stride, len(sizes))
        dilation = each_axis(kind, "dilation", self.dilation, len(sizes))
        around = sides(kind, self.padding, sizes, size, stride, dilation)
        return Placed(size, stride, dilation, around)


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


def spatial(kind: str, x: Any, rank: int | None = None) -> Axes:
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


def each_axis(kind: str, name: str, value: Extent, rank: int) -> Axes:
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
    sizes: Axes,
    window: Axes,
    stride: Axes,
    dilation: Axes,
) -> Sides:
    """Return the padding (before, after) of each spatial axis; the window must fit in."""
    spans = [d * (k - 1) + 1 for k, d in zip(window, dilation, strict=True)]
    if padding == "same":
        total = [
            max((-(-n // s) - 1) * s + span - n, 0)
            for n, s, span in zip(sizes, stride, spans, strict=True)
        ]
        pairs = tuple((t // 2, t - t // 2) for t in total)
    else:
        pairs = amounts(kind, padding, len(sizes))
    for n, span, (before, after) in zip(sizes, spans, pairs, strict=True):
        if before + n + after < span:
            raise ValueError(
                f"{kind}: a window of {span} entries does not fit in {n} + padding "
                f"{(before, after)}, of spatial sizes {sizes}; use a smaller one, or more padding"
            )
    return pairs


def amounts(kind: str, padding: Padding, rank: int) -> Sides:
    """Return what a padding that is not "same" says for each spatial axis."""
    if isinstance(padding, tuple):
        each_axis(kind, "padding", tuple(0 for _ in padding), rank)
        return tuple(part if isinstance(part, tuple) else (part, part) for part in padding)
    amount = 0 if isinstance(padding, str) else padding
    return ((amount, amount),) * rank


def pad(x: jax.Array, pairs: Sides, value: Any = 0) -> jax.Array:
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


def floating(x: jax.Array) -> jax.Array:
    """Return `x` with integers as numbers of JAX's default float dtype."""
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(default_float())

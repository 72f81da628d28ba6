"""Transposed convolution: the adjoint of convolution, which undoes its change of size.

    y[n, p, f] = Σ_{s q + t - l = p} Σ_c x[n, q, c] w[t, c, f] + b[f],

with stride s and l entries cut off before: x[q] lays down w, times its value, from s q - l on. With
p + l = s m + r and t = s j + r, the outputs of a phase 0 ≤ r < s are a convolution without stride,

    y[s m + r - l] = Σ_j x[m - j] w[s j + r],

so all phases are one convolution with s times as many features along each axis, laid side by side
(the sub-pixel form): no zero is put between the entries of x, and derivatives are those of `conv`.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.nn.initializers import Initializer, lecun_normal

from .._core._checks import (
    check_shape,
    default_float,
    feature_size,
    parameter_of,
    positive,
    promote,
)
from .._core._factory import factory
from .._core._layer import Context, Layer, Params, State, Variables
from ._convolve import convolve
from ._window import (
    Axes,
    Extent,
    Padding,
    Sides,
    amounts,
    check_extent,
    check_padding,
    each_axis,
    spatial,
)


@factory
def conv_transpose(
    features: int,
    kernel: Extent,
    stride: Extent = 1,
    *,
    padding: Padding = "same",
    groups: int = 1,
    bias: bool = True,
    init: Initializer = lecun_normal(),
) -> Layer:
    """Transposed convolution: y[p] = Σ x[q] W[t] + b over all s q + t - l = p, on 1 to 3 axes.

    x is (batch, *spatial, channels). Parameters: w (*kernel, channels / groups, features), b
    (features,), which starts at zero. As in torch it is the adjoint of the convolution with the
    same window, which is laid down as it is, not flipped: torch's (channels, features / groups,
    *kernel) is w with its axes moved. Windows that overlap unevenly (a kernel that the stride does
    not divide) leave checkerboards; `upsample` and `conv` leave none.

    Source: Zeiler et al., Deconvolutional networks, 2010.

    Args:
        features: channels of y.
        kernel: entries k of the window, for every spatial axis or one integer each.
        stride: s, how far the window moves for each entry of x.
        padding: what is cut off the (n - 1) s + k entries that n windows cover: "valid" nothing,
            "same" down to n s (or up, where k < s: the last are b alone), an integer, or for each
            spatial axis an integer or a pair (before, after); less than the window. torch's
            padding p with output_padding o is the pair (p, p - o).
        groups: number of groups of channels that are convolved apart.
        bias: whether there is a b.
        init: initializer of w.

    Raises:
        ValueError: an integer < 1; a padding that is none of the above, or leaves nothing; groups
            that do not divide features or channels; an x of another rank or number of channels than
            w was made for.

    >>> from laminax import nn
    >>> layer = nn.conv_transpose(1, (2,), 2, bias=False)
    >>> params = {"w": jnp.array([1.0, 10.0]).reshape(2, 1, 1)}
    >>> layer(nn.Variables(params, {}), jnp.array([1.0, 2.0]).reshape(1, 2, 1)).ravel()
    Array([ 1., 10.,  2., 20.], dtype=float32)
    """
    kind = "conv_transpose"
    positive(kind, "features", features)
    positive(kind, "groups", groups)
    check_extent(kind, "kernel", kernel)
    check_extent(kind, "stride", stride)
    check_padding(kind, padding)
    if features % groups:
        raise ValueError(f"{kind}: groups must divide features, got {groups=} and {features=}")
    names, weights = ("w", "b") if bias else ("w",), init
    of_rank = len(kernel) if isinstance(kernel, tuple) else None

    def laid(x: Any, rank: int | None = of_rank) -> _Laid:
        sizes = spatial(kind, x, of_rank or rank)
        size = each_axis(kind, "kernel", kernel, len(sizes))
        steps = each_axis(kind, "stride", stride, len(sizes))
        return _Laid(size, steps, *_cuts(kind, padding, sizes, size, steps))

    def make(key: jax.Array, x: Any, **side: Any) -> Variables:
        at, channels, dtype = laid(x), feature_size(kind, x), default_float()
        if channels % groups:
            raise ValueError(
                f"{kind}: groups must divide the channels of x, got {groups=} and {channels} "
                "channels"
            )
        params = {"w": weights(key, (*at.size, channels // groups, features), dtype)}
        return Variables({**params, "b": jnp.zeros(features, dtype)} if bias else params, {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        w = parameter_of(kind, params, *names)[0]
        at = laid(x, w.ndim - 2)
        feature_size(kind, x, w.shape[-2] * groups)
        check_shape(kind, "w", w, (*at.size, w.shape[-2], features))
        x, w, *b = promote(x, *(params[name] for name in names))
        y = _lay(x, w, at, groups)
        return (y + jnp.expand_dims(b[0], range(y.ndim - 1)) if bias else y), state

    return Layer(make, apply)


class _Laid(NamedTuple):
    """The windows on arrays of known sizes: what is cut off before, and what is left, by axis."""

    size: Axes
    stride: Axes
    before: Axes
    outputs: Axes


def _cuts(kind: str, padding: Padding, sizes: Axes, size: Axes, stride: Axes) -> tuple[Axes, Axes]:
    """Return the entries cut off before those of y, and the number of these, for each axis."""
    if padding == "same":
        before = tuple(max(k - s, 0) // 2 for k, s in zip(size, stride, strict=True))
        return before, tuple(n * s for n, s in zip(sizes, stride, strict=True))
    pairs = amounts(kind, padding, len(sizes))
    outputs = tuple(
        (n - 1) * s + k - sum(pair)
        for n, s, k, pair in zip(sizes, stride, size, pairs, strict=True)
    )
    if min(outputs) < 1 or any(max(pair) >= k for pair, k in zip(pairs, size, strict=True)):
        raise ValueError(
            f"{kind}: padding must be less than the window, and leave something of y, got "
            f"padding {pairs} with kernel {size} on spatial sizes {sizes}"
        )
    return tuple(before for before, _ in pairs), outputs


def _lay(x: jax.Array, w: jax.Array, at: _Laid, groups: int) -> jax.Array:
    rank = len(at.size)
    overlaps = tuple(-(-k // s) for k, s in zip(at.size, at.stride, strict=True))
    y = convolve(
        x,
        _phases(w, overlaps, at.stride, groups),
        (1,) * rank,
        (1,) * rank,
        _around(x.shape[1:-1], overlaps, at),
        groups,
    )
    y = _side_by_side(y, at.stride, groups)
    for axis, (cut, step, n) in enumerate(zip(at.before, at.stride, at.outputs, strict=True), 1):
        y = lax.slice_in_dim(y, cut % step, cut % step + n, axis=axis)
    return y


def _phases(w: jax.Array, overlaps: Axes, stride: Axes, groups: int) -> jax.Array:
    """Return (*kernel, in, out) as (*overlaps, in, groups · phases · out / groups), turned over."""
    rank, inputs = len(stride), w.shape[-2]
    short = [j * s - k for j, s, k in zip(overlaps, stride, w.shape, strict=False)]
    w = jnp.pad(w, [*((0, n) for n in short), (0, 0), (0, 0)])
    split = [part for pair in zip(overlaps, stride, strict=True) for part in pair]
    w = jnp.flip(w.reshape(*split, inputs, groups, -1), range(0, 2 * rank, 2))
    windows, phases = range(0, 2 * rank, 2), range(1, 2 * rank, 2)
    w = w.transpose(*windows, 2 * rank, 2 * rank + 1, *phases, 2 * rank + 2)
    return w.reshape(*overlaps, inputs, -1)


def _around(sizes: Axes, overlaps: Axes, at: _Laid) -> Sides:
    """Return the padding with which the convolution yields what y holds, and no more."""
    axes = zip(sizes, overlaps, at.before, at.outputs, at.stride, strict=True)
    return tuple(
        (overlap - 1 - before // step, -(-(before + n) // step) - size)
        for size, overlap, before, n, step in axes
    )


def _side_by_side(y: jax.Array, stride: Axes, groups: int) -> jax.Array:
    """Lay (batch, *positions, groups · phases · out) out as (batch, *phased positions, out)."""
    rank, sizes = len(stride), y.shape[1:-1]
    width = y.shape[-1] // (groups * math.prod(stride))
    y = y.reshape(y.shape[0], *sizes, groups, *stride, width)
    order = [axis for i in range(1, rank + 1) for axis in (i, rank + 1 + i)]
    y = y.transpose(0, *order, rank + 1, 2 * rank + 2)
    outputs = (n * s for n, s in zip(sizes, stride, strict=True))
    return y.reshape(y.shape[0], *outputs, groups * width)

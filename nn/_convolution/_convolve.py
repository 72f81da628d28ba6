"""Convolution of (batch, *spatial, channels) by (*kernel, in, out), in the form that is fast.

    y[n, p, f] = Σ_{t, c} x[n, s p + d t - l, c] w[t, c, f],

with stride s, dilation d and l entries of padding before. Accelerators take the library's
convolution. On CPU its gradients are some twenty times slower inside `lax.scan` than outside, so
there it is a product over patches made of slices, which derivatives of every order and mode, and
`vmap`, turn into slices and products again.
"""

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ._window import Axes, Placed, Sides, accumulator, pad, taps

_CACHE = 4 << 20
"""Bytes of patches that are made at a time: about what a core's caches hold."""


def convolve(
    x: jax.Array, w: jax.Array, stride: Axes, dilation: Axes, around: Sides, groups: int
) -> jax.Array:
    """Return the convolution in the form that is fast where it will run."""

    def in_form(form: Callable[..., jax.Array]) -> Callable[[jax.Array, jax.Array], jax.Array]:
        return lambda x, w: form(x, w, stride, dilation, around, groups)

    def forward(x: jax.Array, w: jax.Array) -> Any:
        return lax.platform_dependent(x, w, cpu=in_form(by_patches), default=in_form(by_library))

    # Patches are many times larger than x, so the backward pass makes them anew.
    y: jax.Array = jax.checkpoint(forward, prevent_cse=False)(x, w)
    return y


def by_library(
    x: jax.Array, w: jax.Array, stride: Axes, dilation: Axes, around: Sides, groups: int
) -> jax.Array:
    """Return the convolution as one call of the library, for accelerators."""
    letters = "DHW"[-len(stride) :]
    return lax.conv_general_dilated(
        x,
        w,
        stride,
        around,
        rhs_dilation=dilation,
        dimension_numbers=(f"N{letters}C", f"{letters}IO", f"N{letters}C"),
        feature_group_count=groups,
    )


def by_patches(
    x: jax.Array, w: jax.Array, stride: Axes, dilation: Axes, around: Sides, groups: int
) -> jax.Array:
    """Return the convolution as products over patches made of slices, for the CPU.

    Where patches outgrow both the caches and y, some examples are taken at a time: it is faster,
    and the patches of all never exist at once.
    """

    def some(x: jax.Array) -> jax.Array:
        return _of_some(pad(x, around), w, stride, dilation, groups)

    turns = _turns(x, w, stride)
    if turns == 1:
        return some(x)
    parts = x.reshape(turns, x.shape[0] // turns, *x.shape[1:])
    return lax.collapse(lax.map(jax.checkpoint(some, prevent_cse=False), parts), 0, 2)


def _turns(x: Any, w: jax.Array, stride: Axes) -> int:
    """Return in how many turns to take the batch: a divisor of it, near to what would be best."""
    window, n = math.prod(w.shape[:-2]), x.shape[0]
    if window == 1 or window * x.shape[-1] < 2 * w.shape[-1]:
        return 1
    if not isinstance(n, int):  # exported for a batch of any size
        return 1
    positions = math.prod(-(-size // s) for size, s in zip(x.shape[1:-1], stride, strict=True))
    wanted = max(n * positions * window * x.shape[-1] * x.dtype.itemsize / _CACHE, 1)
    divisors = (k for k in range(1, n + 1) if n % k == 0)
    return min(divisors, key=lambda k: abs(math.log(k / wanted)), default=1)


def _of_some(x: jax.Array, w: jax.Array, stride: Axes, dilation: Axes, groups: int) -> jax.Array:
    if groups == 1:
        return _ungrouped(x, w, stride, dilation)
    if groups == x.shape[-1]:
        return _depthwise(x, w, stride, dilation)
    x = jnp.moveaxis(x.reshape(*x.shape[:-1], groups, x.shape[-1] // groups), -2, 0)
    w = jnp.moveaxis(w.reshape(*w.shape[:-1], groups, -1), -2, 0)
    y = jax.vmap(lambda x, w: _ungrouped(x, w, stride, dilation))(x, w)
    return lax.collapse(jnp.moveaxis(y, 0, -2), y.ndim - 2)


def patches(x: jax.Array, at: Placed) -> jax.Array:
    """Return every window of x as one row: (batch, *outputs, kernel · channels)."""
    x = pad(x, at.around)
    for axis in range(len(at.size), 0, -1):
        x = _gather(x, axis, at.size[axis - 1], at.stride[axis - 1], at.dilation[axis - 1])
    return x


def _ungrouped(x: jax.Array, w: jax.Array, stride: Axes, dilation: Axes) -> jax.Array:
    """Gather the window into the channels, axis by axis from the last, and take one product."""
    window, features = w.shape[:-2], w.shape[-1]
    for axis in range(len(window), 1, -1):
        x = _gather(x, axis, window[axis - 1], stride[axis - 1], dilation[axis - 1])
    first = (window[0], stride[0], dilation[0])
    if _product_first(x.shape[1], *first, inputs=x.shape[-1], features=features):
        return _sum_of_rows(x, w, dilation[0])
    x = _gather(x, 1, *first)
    return _product(x, w.reshape(-1, features)).astype(x.dtype)


def _depthwise(x: jax.Array, w: jax.Array, stride: Axes, dilation: Axes) -> jax.Array:
    """Add up the entries of the window, each times its own row of w: there is nothing to gather."""
    dtype, wide, each = x.dtype, accumulator(x.dtype), w.shape[-1] // x.shape[-1]
    x = jnp.broadcast_to(x[..., None], (*x.shape, each)).reshape(*x.shape[:-1], w.shape[-1])
    return _weighed(x.astype(wide), w.astype(wide), stride, dilation).astype(dtype)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def _weighed(x: jax.Array, w: jax.Array, stride: Axes, dilation: Axes) -> jax.Array:
    return _sum_of_slices(x, w, stride, dilation)


@_weighed.defjvp
def _weighed_jvp(stride: Axes, dilation: Axes, primals: Any, tangents: Any) -> Any:
    # Slices are fast and their transposes slow, so what is to be transposed is the transpose.
    (x, w), (dx, dw) = primals, tangents
    dy = _sum_of_pads(dx, w, stride, dilation) + _sum_of_slices(x, dw, stride, dilation)
    return _weighed(x, w, stride, dilation), dy


def _sum_of_slices(x: jax.Array, w: jax.Array, stride: Axes, dilation: Axes) -> jax.Array:
    parts = [x]
    for axis, geometry in enumerate(zip(w.shape[:-2], stride, dilation, strict=True), 1):
        parts = [tap for part in parts for tap in taps(part, axis, *geometry)]
    return functools.reduce(jnp.add, map(jnp.multiply, parts, _rows(w)))


def _sum_of_pads(x: jax.Array, w: jax.Array, stride: Axes, dilation: Axes) -> jax.Array:
    """Return the same sum: what is moved is each product, over a wider x, of which y is cut out."""
    reach = [d * (k - 1) for k, d in zip(w.shape, dilation, strict=False)]
    places = itertools.product(*(range(0, r + 1, d) for r, d in zip(reach, dilation, strict=True)))
    moved = (
        pad(x * row, tuple((r - t, t) for r, t in zip(reach, place, strict=True)))
        for place, row in zip(places, _rows(w), strict=True)
    )
    wide = functools.reduce(jnp.add, moved)
    return lax.slice(wide, (0, *reach, 0), (len(x), *x.shape[1:-1], x.shape[-1]), (1, *stride, 1))


def _rows(w: jax.Array) -> list[jax.Array]:
    """Return the weights of each entry of the window, of as many axes as x."""
    rows = w.reshape(math.prod(w.shape[:-2]), *(1,) * (w.ndim - 1), w.shape[-1])
    return list(rows)


def _gather(x: jax.Array, axis: int, size: int, stride: int, dilation: int) -> jax.Array:
    return jnp.concatenate(taps(x, axis, size, stride, dilation), -1)


def _product_first(
    entries: int, size: int, stride: int, dilation: int, *, inputs: int, features: int
) -> bool:
    """Whether all rows times all of the window's rows take less room than the patches."""
    outputs = entries - dilation * (size - 1)
    return stride == 1 and features * entries <= inputs * outputs and 2 * entries <= 3 * outputs


def _sum_of_rows(x: jax.Array, w: jax.Array, dilation: int) -> jax.Array:
    """Multiply each row by every row of the window, and add the products up, shifted."""
    size, features = w.shape[0], w.shape[-1]
    outputs = x.shape[1] - dilation * (size - 1)
    y = _product(x, jnp.moveaxis(w.reshape(size, -1, features), 0, 1).reshape(-1, size * features))
    parts = (
        lax.slice_in_dim(part, i * dilation, i * dilation + outputs, axis=1)
        for i, part in enumerate(jnp.split(y, size, -1))
    )
    return functools.reduce(jnp.add, parts).astype(x.dtype)


def _product(x: jax.Array, w: jax.Array) -> jax.Array:
    """Return x w over the last axis, as one matrix: the products are faster than of many axes."""
    y = jnp.matmul(x.reshape(-1, x.shape[-1]), w, preferred_element_type=accumulator(x.dtype))
    return y.reshape(*x.shape[:-1], w.shape[-1])

"""Convolution over one to three spatial axes: (batch, *spatial, channels), (*kernel, in, out).

    y[n, p, f] = Σ_{t, c} x[n, s p + d t - l, c] w[t, c, f] + b[f],

with stride s, dilation d and l entries of padding before. Accelerators take the library's
convolution. On CPU its gradients are some twenty times slower inside `lax.scan` than outside, so
there it is a product over patches made of slices, which derivatives of every order and mode, and
`vmap`, turn into slices and products again.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.nn.initializers import Initializer, lecun_normal

from ._checks import default_float, feature_size, parameter_of, positive, promote
from ._core import Context, Layer, Params, State, Variables
from ._factory import factory
from ._window import (
    Extent,
    Padding,
    accumulator,
    check_extent,
    check_padding,
    each_axis,
    pad,
    sides,
    spatial,
    taps,
)


@factory
def conv(
    features: int,
    kernel: Extent,
    *,
    stride: Extent = 1,
    dilation: Extent = 1,
    padding: Padding = "same",
    groups: int = 1,
    bias: bool = True,
    init: Initializer = lecun_normal(),
) -> Layer:
    """Convolution (cross-correlation): y[p] = Σ_t x[s p + d t - l] W[t] + b, over 1 to 3 axes.

    x is (batch, *spatial, channels). Parameters: w (*kernel, channels / groups, features), b
    (features,), which starts at zero. `groups=channels` is a depthwise convolution.

    Source: LeCun et al., Gradient-based learning applied to document recognition, 1998; dilation:
    Yu and Koltun, Multi-scale context aggregation by dilated convolutions, 2016; groups: Krizhevsky
    et al., ImageNet classification with deep convolutional neural networks, 2012.

    Args:
        features: channels of y.
        kernel: entries of the window, for every spatial axis or one integer each.
        stride: s, how far the window moves.
        dilation: d, the distance between its entries.
        padding: zeros around x: "same" (y has ⌈n / s⌉ entries where x has n), "valid" (none), an
            integer, or for each spatial axis an integer or a pair (before, after).
        groups: number of groups of channels that are convolved apart.
        bias: whether there is a b.
        init: initializer of w.

    Raises:
        ValueError: an integer < 1; a padding that is none of the above; groups that do not divide
            features or channels; an x of another rank or number of channels than w was made for,
            or smaller than the window.

    >>> from laminax import nn
    >>> layer = nn.conv(1, (2,), padding="valid")
    >>> params = {"w": jnp.array([-1.0, 1.0]).reshape(2, 1, 1), "b": jnp.zeros(1)}
    >>> layer(nn.Variables(params, {}), jnp.array([1.0, 4.0, 9.0]).reshape(1, 3, 1)).ravel()
    Array([3., 5.], dtype=float32)
    """
    positive("conv", "features", features)
    positive("conv", "groups", groups)
    for name, value in (("kernel", kernel), ("stride", stride), ("dilation", dilation)):
        check_extent("conv", name, value)
    check_padding("conv", padding)
    if features % groups:
        raise ValueError(f"conv: groups must divide features, got {groups=} and {features=}")
    weights = init
    names = ("w", "b") if bias else ("w",)
    of_rank = len(kernel) if isinstance(kernel, tuple) else None

    def make(key: jax.Array, x: Any, **side: Any) -> Variables:
        rank, channels = len(spatial("conv", x, of_rank)), feature_size("conv", x)
        if channels % groups:
            raise ValueError(
                f"conv: groups must divide the channels of x, got {groups=} and {channels} channels"
            )
        window, dtype = each_axis("conv", "kernel", kernel, rank), default_float()
        params = {"w": weights(key, (*window, channels // groups, features), dtype)}
        return Variables({**params, "b": jnp.zeros(features, dtype)} if bias else params, {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        w = parameter_of("conv", params, *names)[0]
        sizes = spatial("conv", x, of_rank or w.ndim - 2)
        window = each_axis("conv", "kernel", kernel, len(sizes))
        feature_size("conv", x, w.shape[-2] * groups)
        if w.shape != (*window, w.shape[-2], features):
            raise ValueError(
                f"conv: w must be {(*window, x.shape[-1] // groups, features)}, got {w.shape}; "
                "are these the parameters of another model?"
            )
        steps = each_axis("conv", "stride", stride, len(sizes))
        spread = each_axis("conv", "dilation", dilation, len(sizes))
        around = sides("conv", padding, sizes, window, steps, spread)
        x, w, *b = promote(x, *(params[name] for name in names))
        y = _convolve(x, w, steps, spread, around, groups)
        return (y + jnp.expand_dims(b[0], range(y.ndim - 1)) if bias else y), state

    return Layer(make, apply)


_Axes = tuple[int, ...]
_Sides = tuple[tuple[int, int], ...]


def _convolve(
    x: jax.Array, w: jax.Array, stride: _Axes, dilation: _Axes, around: _Sides, groups: int
) -> jax.Array:
    """Return the convolution in the form that is fast where it will run."""

    def in_form(form: Callable[..., jax.Array]) -> Callable[[jax.Array, jax.Array], jax.Array]:
        return lambda x, w: form(x, w, stride, dilation, around, groups)

    def forward(x: jax.Array, w: jax.Array) -> Any:
        return lax.platform_dependent(x, w, cpu=in_form(_by_patches), default=in_form(_by_library))

    # Patches are many times larger than x, so the backward pass makes them anew.
    y: jax.Array = jax.checkpoint(forward, prevent_cse=False)(x, w)
    return y


def _by_library(
    x: jax.Array, w: jax.Array, stride: _Axes, dilation: _Axes, around: _Sides, groups: int
) -> jax.Array:
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


def _by_patches(
    x: jax.Array, w: jax.Array, stride: _Axes, dilation: _Axes, around: _Sides, groups: int
) -> jax.Array:
    x = pad(x, around)
    if groups == 1:
        return _ungrouped(x, w, stride, dilation)
    if groups == x.shape[-1]:
        return _depthwise(x, w, stride, dilation)
    x = jnp.moveaxis(x.reshape(*x.shape[:-1], groups, -1), -2, 0)
    w = jnp.moveaxis(w.reshape(*w.shape[:-1], groups, -1), -2, 0)
    y = jax.vmap(lambda x, w: _ungrouped(x, w, stride, dilation))(x, w)
    return lax.collapse(jnp.moveaxis(y, 0, -2), y.ndim - 2)


def _ungrouped(x: jax.Array, w: jax.Array, stride: _Axes, dilation: _Axes) -> jax.Array:
    """Gather the window into the channels, axis by axis from the last, and take one product."""
    window, features = w.shape[:-2], w.shape[-1]
    for axis in range(len(window), 1, -1):
        x = _gather(x, axis, window[axis - 1], stride[axis - 1], dilation[axis - 1])
    first = (window[0], stride[0], dilation[0])
    if _product_first(x.shape[1], *first, inputs=x.shape[-1], features=features):
        return _sum_of_rows(x, w, dilation[0])
    x = _gather(x, 1, *first)
    return _product(x, w.reshape(-1, features)).astype(x.dtype)


def _depthwise(x: jax.Array, w: jax.Array, stride: _Axes, dilation: _Axes) -> jax.Array:
    """Add up the entries of the window, each times its own row of w: there is nothing to gather."""
    each = w.shape[-1] // x.shape[-1]
    x = jnp.broadcast_to(x[..., None], (*x.shape, each)).reshape(*x.shape[:-1], w.shape[-1])
    parts = [x]
    for axis, geometry in enumerate(zip(w.shape[:-2], stride, dilation, strict=True), 1):
        parts = [tap for part in parts for tap in taps(part, axis, *geometry)]
    wide = accumulator(x.dtype)
    rows = jnp.expand_dims(w.reshape(len(parts), -1).astype(wide), range(1, x.ndim))
    products = (part.astype(wide) * row for part, row in zip(parts, rows, strict=True))
    y: jax.Array = functools.reduce(jnp.add, products)
    return y.astype(x.dtype)


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
    return y.reshape(*x.shape[:-1], -1)

"""Upsampling by whole factors f, channel by channel, one axis after another.

nearest    y[f m + r] = x[m]
linear     y[f m + r] = (1 - |c|) x[m] + |c| x[m + sign c],    c = (r + ½) / f - ½,

with 0 ≤ r < f: both grids share their outer edges, and x is continued by its outermost entries.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .._core._factory import factory
from .._core._layer import Context, Layer, Params, State, Variables
from ._window import Extent, accumulator, check_extent, each_axis, floating, spatial


@factory
def upsample(factor: Extent, method: str = "nearest") -> Layer:
    """Upsampling: (batch, *spatial, channels) to f times as many entries along each spatial axis.

    Before a convolution it takes the place of `conv_transpose`, without its checkerboards.

    Source: Odena et al., Deconvolution and checkerboard artifacts, 2016.

    Args:
        factor: f, for every spatial axis or one integer each.
        method: "nearest" repeats entries, "linear" is (bi-, tri-) linear between their centers.

    Raises:
        ValueError: a factor < 1; an unknown method; an x that is not (batch, *spatial, channels).

    >>> from laminax import nn
    >>> x = jnp.array([0.0, 4.0]).reshape(1, 2, 1)
    >>> nn.upsample(2)(nn.Variables({}, {}), x).ravel()
    Array([0., 0., 4., 4.], dtype=float32)
    >>> nn.upsample(2, "linear")(nn.Variables({}, {}), x).ravel()
    Array([0., 1., 3., 4.], dtype=float32)
    """
    check_extent("upsample", "factor", factor)
    if method not in ("nearest", "linear"):
        raise ValueError(f'upsample: method must be "nearest" or "linear", got {method!r}')
    along = _repeated if method == "nearest" else _interpolated
    of_rank = len(factor) if isinstance(factor, tuple) else None

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        return Variables({}, {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        rank = len(spatial("upsample", x, of_rank))
        y = x if method == "nearest" else floating(x)
        dtype = y.dtype
        y = y if method == "nearest" else y.astype(accumulator(dtype))
        for axis, times in enumerate(each_axis("upsample", "factor", factor, rank), 1):
            y = along(y, axis, times)
        return y.astype(dtype), state

    return Layer(init, apply)


def _repeated(x: jax.Array, axis: int, times: int) -> jax.Array:
    shape = list(x.shape)
    y = jnp.broadcast_to(
        jnp.expand_dims(x, axis + 1), (*shape[: axis + 1], times, *shape[axis + 1 :])
    )
    return _joined(y, axis)


def _interpolated(x: jax.Array, axis: int, times: int) -> jax.Array:
    """Weigh every entry and its two neighbors, for all of its outputs at once."""
    n = x.shape[axis]
    first, last = (lax.slice_in_dim(x, i, i + 1, axis=axis) for i in (0, n - 1))
    x = jnp.concatenate([first, x, last], axis)
    shift = (np.arange(times) + 0.5) / times - 0.5
    weights = np.maximum(-shift, 0), 1 - np.abs(shift), np.maximum(shift, 0)
    others = [other for other in range(x.ndim + 1) if other != axis + 1]
    parts = [
        jnp.expand_dims(lax.slice_in_dim(x, i, i + n, axis=axis), axis + 1)
        * jnp.expand_dims(jnp.asarray(w, x.dtype), others)
        for i, w in enumerate(weights)
    ]
    return _joined(parts[0] + parts[1] + parts[2], axis)


def _joined(y: jax.Array, axis: int) -> jax.Array:
    return lax.collapse(y, axis, axis + 2)

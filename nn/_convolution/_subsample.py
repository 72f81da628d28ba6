"""Trainable subsampling: y[p, c] = w[c] Σ_t x[k p + t, c] + b[c], over windows side by side."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp

from .._core._checks import default_float, feature_size, parameter_of, promote
from .._core._factory import factory
from .._core._layer import Context, Layer, Params, State, Variables
from ._window import Extent, Window, accumulator, taps


@factory
def subsample(window: Extent) -> Layer:
    """Sum of every window, with a trained gain and offset a channel: y = w_c Σ_t x[k p + t] + b_c.

    x is (batch, *spatial, channels); entries left over at the end of an axis are dropped. The
    squashing that follows in LeNet-5 is a layer of its own. Parameters: w (channels,), which starts
    at one over the window's entries, so that y is their mean, and b (channels,), at zero.

    Source: LeCun et al., Gradient-based learning applied to document recognition, 1998.

    Args:
        window: k, its entries, for every spatial axis or one integer each.

    Raises:
        ValueError: an integer < 1; an x of another number of channels than w was made for, or
            smaller than the window.

    >>> from laminax import nn
    >>> params = {"w": jnp.array([0.5]), "b": jnp.array([1.0])}
    >>> nn.subsample(2)(nn.Variables(params, {}), jnp.array([1.0, 3.0]).reshape(1, 2, 1)).ravel()
    Array([3.], dtype=float32)
    """
    windows = Window("subsample", window, window, label="window")
    windows.check()

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        channels, dtype = feature_size("subsample", x), default_float()
        w = jnp.full(channels, 1 / math.prod(windows.on(x).size), dtype)
        return Variables({"w": w, "b": jnp.zeros(channels, dtype)}, {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        size = windows.on(x).size
        feature_size("subsample", x, parameter_of("subsample", params, "w", "b")[0].shape[0])
        x, w, b = promote(x, params["w"], params["b"])
        total = x.astype(accumulator(x.dtype))
        for axis in range(len(size), 0, -1):
            total = functools.reduce(jnp.add, taps(total, axis, size[axis - 1], size[axis - 1]))
        w, b = (jnp.expand_dims(p, range(x.ndim - 1)) for p in (w, b))
        return total.astype(x.dtype) * w + b, state

    return Layer(init, apply)

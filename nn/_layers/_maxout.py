"""Maxout: the largest of several affine maps, y_j = max_k (x W_k + b_k)_j."""

from typing import Any

import jax
import jax.numpy as jnp
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
from .._core._layer import Context, Layer, Params, State, Variables, pointwise


@factory
def maxout(features: int, pieces: int = 2, *, init: Initializer = lecun_normal()) -> Layer:
    """Largest of k affine maps of the last axis: y_j = max_k (x W_k + b_k)_j.

    A convex function, piecewise linear in `pieces` pieces. Parameters: w (inputs, pieces,
    features), b (pieces, features), which starts at zero. Equal pieces share the gradient.

    Source: Goodfellow et al., Maxout networks, 2013.

    Args:
        features: size of the last axis of y.
        pieces: number of affine maps.
        init: initializer of w, which makes (inputs, pieces · features).

    Raises:
        ValueError: an integer < 1; an x whose last axis is not the one w was made for.

    >>> from laminax import nn
    >>> params = {"w": jnp.array([-1.0, 1.0]).reshape(1, 2, 1), "b": jnp.zeros((2, 1))}
    >>> nn.maxout(1)(nn.Variables(params, {}), jnp.array([[-3.0], [2.0]]))  # the absolute value
    Array([[3.],
           [2.]], dtype=float32)
    """
    positive("maxout", "features", features)
    positive("maxout", "pieces", pieces)
    weights = init

    def make(key: jax.Array, x: Any, **side: Any) -> Variables:
        inputs, dtype = feature_size("maxout", x), default_float()
        w = weights(key, (inputs, pieces * features), dtype).reshape(inputs, pieces, features)
        return Variables({"w": w, "b": jnp.zeros((pieces, features), dtype)}, {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        w, _ = parameter_of("maxout", params, "w", "b")
        feature_size("maxout", x, w.shape[0])
        check_shape("maxout", "w", w, (w.shape[0], pieces, features))
        x, w, b = promote(x, w, params["b"])
        y = (x @ w.reshape(len(w), -1)).reshape(*x.shape[:-1], pieces, features)
        return (y + jnp.expand_dims(b, range(x.ndim - 1))).max(-2), state

    return pointwise(make, apply)

"""Affine maps, y = x W + b, bilinear ones, y_k = x1ᵀ W_k x2 + b_k, and the bare parameter."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.nn.initializers import Initializer, lecun_normal, normal

from .._core._checks import default_float, feature_size, parameter_of, positive, promote
from .._core._factory import factory
from .._core._layer import Context, Layer, Params, State, Variables, pointwise
from .._core._specs import describe


@factory
def dense(features: int, *, bias: bool = True, init: Initializer = lecun_normal()) -> Layer:
    """Affine map of the last axis: y = x W + b.

    Parameters: w (inputs, features), b (features,), which starts at zero.

    Args:
        features: size of the last axis of y.
        bias: whether there is a b.
        init: initializer of w.

    Raises:
        ValueError: features < 1; an x whose last axis is not the one w was made for.

    >>> from laminax import nn
    >>> layer = nn.dense(2)
    >>> params = {"w": jnp.array([[1.0, 2.0], [3.0, 4.0]]), "b": jnp.array([0.5, 0.0])}
    >>> layer(nn.Variables(params, {}), jnp.array([1.0, 1.0]))
    Array([4.5, 6. ], dtype=float32)
    """
    positive("dense", "features", features)
    weights = init
    names = ("w", "b") if bias else ("w",)

    def make(key: jax.Array, x: Any, **side: Any) -> Variables:
        dtype = default_float()
        params = {"w": weights(key, (feature_size("dense", x), features), dtype)}
        return Variables({**params, "b": jnp.zeros(features, dtype)} if bias else params, {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        feature_size("dense", x, parameter_of("dense", params, *names)[0].shape[0])
        x, w, *b = promote(x, *(params[name] for name in names))
        # Over rows: with more axes, the gradient of w transposes a copy of that of y on CPU. Not
        # where both batch and time lie in parts: these are no parts of the rows.
        rows = x if ctx._sequence is not None else x.reshape(-1, x.shape[-1])
        y = (rows @ w).reshape(*x.shape[:-1], w.shape[1])
        return (y + jnp.expand_dims(b[0], range(y.ndim - 1)) if bias else y), state

    return pointwise(make, apply)


@factory
def bilinear(features: int, *, bias: bool = True, init: Initializer = lecun_normal()) -> Layer:
    """Bilinear map of a pair: y_k = x1ᵀ W_k x2 + b_k, over the last axes of x = (x1, x2).

    x1 is (..., n), x2 (..., m), with the same leading axes. Parameters: w (n, m, features), b
    (features,), which starts at zero.

    Source: Tenenbaum and Freeman, Separating style and content with bilinear models, 2000.

    Args:
        features: size of the last axis of y.
        bias: whether there is a b.
        init: initializer of w; its inputs are the n · m products.

    Raises:
        ValueError: features < 1; leading axes that differ; last axes that are not those w was made
            for.
        TypeError: an x that is no pair of arrays.

    >>> from laminax import nn
    >>> params = {"w": jnp.eye(2).reshape(2, 2, 1)}  # the inner product
    >>> x = jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0])
    >>> nn.bilinear(1, bias=False)(nn.Variables(params, {}), x)
    Array([11.], dtype=float32)
    """
    positive("bilinear", "features", features)
    weights = init
    names = ("w", "b") if bias else ("w",)

    def make(key: jax.Array, x: Any, **side: Any) -> Variables:
        dtype, inputs = default_float(), [feature_size("bilinear", part) for part in _pair(x)]
        params = {"w": weights(key, (*inputs, features), dtype)}
        return Variables({**params, "b": jnp.zeros(features, dtype)} if bias else params, {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        w = parameter_of("bilinear", params, *names)[0]
        for part, inputs in zip(_pair(x), w.shape, strict=False):
            feature_size("bilinear", part, inputs)
        x1, x2, w, *b = promote(*x, *(params[name] for name in names))
        products = lax.collapse(x1[..., :, None] * x2[..., None, :], x1.ndim - 1)
        y = products @ lax.collapse(w, 0, 2)
        return (y + jnp.expand_dims(b[0], range(y.ndim - 1)) if bias else y), state

    return pointwise(make, apply)


@factory
def parameter(shape: tuple[int, ...], init: Initializer = normal(0.02)) -> Layer:
    """One array as a layer: y = θ, whatever x. Its entry in the tree is the array itself.

    In `compose`, `c.token()` is its value.

    Source: the class token of Dosovitskiy et al., An image is worth 16x16 words, 2021.

    Args:
        shape: of the array.
        init: its initializer.

    >>> from laminax import nn
    >>> model = nn.compose(lambda c, x: x + c.shift(), shift=nn.parameter((3,)))
    >>> variables = model.init(jax.random.key(0), jnp.zeros(3))
    >>> jax.tree.map(jnp.shape, variables.params)
    {'shift': (3,)}
    """

    def make(key: jax.Array, x: Any = None, **side: Any) -> Variables:
        return Variables(init(key, shape, default_float()), {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        if jnp.shape(params) != tuple(shape):
            raise ValueError(
                f"parameter: must have shape {tuple(shape)}, got {jnp.shape(params)}; "
                "are these the parameters of another model?"
            )
        return params, state

    return pointwise(make, apply)


def _pair(x: Any) -> tuple[Any, Any]:
    if not isinstance(x, tuple | list) or len(x) != 2:
        raise TypeError(f"bilinear: x must be a pair (x1, x2) of arrays, got {describe(x)}")
    x1, x2 = x
    for part in (x1, x2):
        feature_size("bilinear", part)
    if x1.shape[:-1] != x2.shape[:-1]:
        raise ValueError(
            "bilinear: x1 and x2 must have the same leading axes, got "
            f"{describe(x1)} and {describe(x2)}; broadcast one to the other"
        )
    return x1, x2

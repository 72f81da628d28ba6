"""Affine maps: y = x W + b, and the bare parameter."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.nn.initializers import Initializer, lecun_normal, normal

from ._checks import default_float, feature_size, parameter_of, positive, promote
from ._core import Context, Layer, Params, State, Variables, pointwise
from ._factory import factory


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
        y = x @ w
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

"""Changes of shape, without parameters."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from .._core._checks import feature_size
from .._core._factory import factory
from .._core._layer import Context, Layer, Params, State, Variables


@factory
def flatten() -> Layer:
    """Flattening: (batch, ...) to (batch, features), in row-major order.

    Raises:
        ValueError: an x without a batch axis.

    >>> from laminax import nn
    >>> nn.flatten()(nn.Variables({}, {}), jnp.zeros((2, 3, 4, 5))).shape
    (2, 60)
    """

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        return Variables({}, {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        feature_size("flatten", x)
        return jnp.reshape(x, (x.shape[0], math.prod(x.shape[1:]))), state

    return Layer(init, apply)

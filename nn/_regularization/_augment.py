"""Augmentation: inputs changed at random in training, in ways that leave their meaning alone."""

from typing import Any

import jax
import jax.numpy as jnp

from .._core._checks import feature_size
from .._core._factory import factory
from .._core._layer import Context, Layer, Params, State, Variables


@factory
def random_shift(size: int) -> Layer:
    """Random shift of images: y[i] = x[i + s] with s uniform in {-n ... n} a spatial axis.

    x is (batch, *space, channels), with one s an example in training; y = x in evaluation. What
    comes in from outside is 0.

    Source: Simard, Steinkraus and Platt, Best practices for convolutional neural networks applied
    to visual document analysis, 2003.

    Args:
        size: n, in pixels, at least 0.

    Raises:
        ValueError: a size < 0; an x without space; training without a key.

    >>> from laminax import nn
    >>> ctx = nn.Context(key=jax.random.key(0), train=True)
    >>> x = jnp.zeros((3, 5, 5, 1)).at[:, 2, 2].set(1.0)
    >>> y, _ = nn.random_shift(1).apply({}, {}, x, ctx)
    >>> y.sum((1, 2, 3)).tolist(), y[:, 1:4, 1:4].sum((1, 2, 3)).tolist()
    ([1.0, 1.0, 1.0], [1.0, 1.0, 1.0])
    """
    n = size
    if not isinstance(n, int) or isinstance(n, bool) or n < 0:
        raise ValueError(f"random_shift: size must be an integer of at least 0, got {n!r}")

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        feature_size("random_shift", x, least_rank=3)
        return Variables({}, {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        feature_size("random_shift", x, least_rank=3)
        if not ctx.train or n == 0:
            return x, state
        space = x.ndim - 2
        wide = jnp.pad(x, ((0, 0), *((n, n),) * space, (0, 0)))
        key = ctx.key_for("random_shift")
        corners = jax.random.randint(key, (x.shape[0], space), 0, 2 * n + 1)

        def cut(image: jax.Array, corner: jax.Array) -> jax.Array:
            return jax.lax.dynamic_slice(image, (*corner, 0), x.shape[1:])

        return jax.vmap(cut)(wide, corners), state

    return Layer(init, apply)

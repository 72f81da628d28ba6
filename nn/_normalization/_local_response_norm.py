"""Local response normalization: y_i = x_i / (k + α Σ_j x_j²)^β over channels j near i."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._core._checks import feature_size, positive
from .._core._factory import factory
from .._core._layer import Context, Layer, Params, State, Variables, pointwise
from ._normalize import at_least_float32


@factory
def local_response_norm(
    size: int = 5, *, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0
) -> Layer:
    """Local response normalization: y_i = x_i / (k + α Σ_j x_j²)^β, over `size` channels near i.

    The last axis holds the channels, beyond which x counts as zero. The equation and the constants
    are the paper's; where α is divided by the size of the window, as in torch and Caffe, give
    α / size here. An even window reaches one channel further before i than after it.

    Source: Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural
    networks, 2012.

    Args:
        size: number of channels in the window.
        alpha: α, the weight of the squares.
        beta: β, the exponent.
        k: added to the sum, above 0.

    Raises:
        ValueError: size < 1; k ≤ 0.

    >>> from laminax import nn
    >>> layer = nn.local_response_norm(3, alpha=1.0, beta=0.5, k=2.0)
    >>> layer(nn.Variables({}, {}), jnp.array([1.0, 1.0, 0.0]))  # 1 / √(2 + 1 + 1)
    Array([0.5, 0.5, 0. ], dtype=float32)
    """
    positive("local_response_norm", "size", size)
    if not k > 0:
        raise ValueError(f"local_response_norm: k must be above 0, got {k!r}; the paper has k=2.0")

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        return Variables({}, {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        feature_size("local_response_norm", x)
        wide = at_least_float32(x)
        total = _windowed_sum(jnp.square(wide), size)
        # The logarithm and the exponential are vectorized on CPU, where a power is not.
        return (wide * jnp.exp(-beta * jnp.log(k + alpha * total))).astype(x.dtype), state

    return pointwise(init, apply)


def _windowed_sum(x: jax.Array, size: int) -> jax.Array:
    # The gradient is a windowed sum again, with no slow select-and-scatter as that of a maximum;
    # that of slices computes everything it reads anew for each of them.
    window, before = (1,) * (x.ndim - 1) + (size,), [(0, 0)] * (x.ndim - 1)
    around = [*before, (size // 2, (size - 1) // 2)]
    zero = np.zeros((), x.dtype)
    y: jax.Array = jax.lax.reduce_window(x, zero, jax.lax.add, window, (1,) * x.ndim, around)
    return y

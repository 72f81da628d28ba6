"""Elastic deformation: every pixel moves by a random field smoothed so that neighbors go together.

y(p) = x(p + α (G_σ * u)(p)),    u(p) uniform in [-1, 1]², zero outside the image
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ._affine import resampled
from ._draw import (
    checked_images,
    checked_mode,
    checked_number,
    checked_positive,
    like,
    wide,
    within,
)


def elastic(
    key: jax.Array,
    x: jax.Array,
    alpha: ArrayLike = 34.0,
    sigma: ArrayLike = 4.0,
    *,
    mode: str = "constant",
) -> jax.Array:
    """Deform images as if drawn on rubber: y(p) = x(p + α (G_σ * u)(p)), each by its own field u.

    Source: Simard, Steinkraus and Platt, Best practices for convolutional neural networks applied
    to visual document analysis, 2003; the defaults are theirs, for digits of 29×29 pixels.

    Args:
        key: decides the fields.
        x: images (batch, height, width, channels); the dtype is kept, integers rounded.
        alpha: how far pixels move, in pixels before smoothing takes most of it.
        sigma: over how many pixels the field is smoothed.
        mode: what lies around an image, as in `affine`.

    Raises:
        TypeError, ValueError: x is no images; a number out of range.

    >>> import numpy as np
    >>> elastic(jax.random.key(0), np.ones((2, 29, 29, 1), np.uint8)).dtype
    dtype('uint8')
    """
    x, mode = checked_images("elastic", x), checked_mode("elastic", mode)
    alpha = checked_number("elastic", "alpha", alpha, 0)
    sigma = checked_positive("elastic", "sigma", sigma)
    values = wide(x)
    batch, height, width, _ = x.shape
    field = within(key, (2, batch, height, width), jnp.ones(()), values)
    down, right = alpha.astype(values.dtype) * smoothed(field, sigma.astype(values.dtype))
    rows = jnp.arange(height, dtype=values.dtype)[None, :, None] + down
    columns = jnp.arange(width, dtype=values.dtype)[None, None, :] + right
    return like(x, resampled(values, rows, columns, mode))


def smoothed(field: jax.Array, sigma: jax.Array) -> jax.Array:
    """Return a field (..., height, width) convolved with a Gaussian, zeros around it."""
    height, width = field.shape[-2:]
    down, right = (_gaussian(side, sigma) for side in (height, width))
    return jnp.einsum("ij,...jk,lk->...il", down, field, right, precision="highest")


def _gaussian(side: int, sigma: jax.Array) -> jax.Array:
    """Return the matrix of a convolution: entry (i, j) weighs j for i."""
    distance = jnp.arange(1 - side, side).astype(sigma.dtype)
    weights = jnp.exp(-0.5 * jnp.square(distance / sigma))
    at = jnp.arange(side)
    return (weights / weights.sum())[at[:, None] - at[None] + side - 1]

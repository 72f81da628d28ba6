"""Images mirrored, cropped and cut into: pixels change place or are blanked, none is computed."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ._draw import an_example, checked_images, checked_number, checked_size


def flip(key: jax.Array, x: jax.Array, probability: ArrayLike = 0.5, *, axis: int = 2) -> jax.Array:
    """Mirror images with that probability, each by its own draw.

    Args:
        key: decides the draws.
        x: images (batch, height, width, channels) of any dtype, which is kept.
        probability: of being mirrored.
        axis: 2 swaps left and right, 1 top and bottom.

    Raises:
        TypeError, ValueError: x is no images; a probability outside [0, 1]; another axis.

    >>> import numpy as np
    >>> flip(jax.random.key(0), np.array([[[[1], [2]]]]), 1.0)[0, 0, :, 0].tolist()
    [2, 1]
    """
    x = checked_images("flip", x)
    probability = checked_number("flip", "probability", probability, 0, 1)
    if axis not in (1, 2):
        raise ValueError(f"flip: axis must be 1 (top and bottom) or 2 (left and right), got {axis}")
    chosen = jax.random.bernoulli(key, probability, (len(x),))
    return jnp.where(an_example(chosen), jnp.flip(x, axis), x)


def crop(key: jax.Array, x: jax.Array, padding: int = 4, *, mode: str = "constant") -> jax.Array:
    """Pad images on every side and cut one of their own size out, each at its own place.

    Args:
        key: decides the places, each equally likely.
        x: images (batch, height, width, channels) of any dtype, which is kept.
        padding: pixels on each side, so also how far an image moves at most.
        mode: of the padding, as in `jax.numpy.pad`: "constant" (zeros), "reflect", "edge".

    Raises:
        TypeError, ValueError: x is no images; a padding that is no size.

    >>> import numpy as np
    >>> crop(jax.random.key(0), np.ones((2, 32, 32, 3), np.uint8)).shape
    (2, 32, 32, 3)

    Source: Lee et al., Deeply-supervised nets, 2015.
    """
    x = checked_images("crop", x)
    padding = checked_size("crop", "padding", padding, 0)
    around = (padding, padding)
    padded = jnp.pad(x, ((0, 0), around, around, (0, 0)), mode=mode)
    corners = jax.random.randint(key, (len(x), 2), 0, 2 * padding + 1)

    def cut(image: jax.Array, corner: jax.Array) -> jax.Array:
        start = (corner[0], corner[1], jnp.zeros_like(corner[0]))
        return jax.lax.dynamic_slice(image, start, x.shape[1:])

    return jax.vmap(cut)(padded, corners)


def cutout(key: jax.Array, x: jax.Array, size: ArrayLike, *, fill: ArrayLike = 0) -> jax.Array:
    """Blank a square in each image, around a pixel of its own; what lies outside is left off.

    Args:
        key: decides the pixels, each equally likely.
        x: images (batch, height, width, channels) of any dtype, which is kept.
        size: side of the square in pixels.
        fill: what it is filled with: 0, or the mean where pixels are not centered.

    Raises:
        TypeError, ValueError: x is no images; a size below 0.

    >>> import numpy as np
    >>> x = cutout(jax.random.key(1), np.ones((1, 9, 9, 1), np.uint8), 3)
    >>> int(x.sum()) in {72, 75, 77}    # all of the square, at an edge, or at a corner
    True

    Source: DeVries and Taylor, Improved regularization of convolutional neural networks with
    cutout, 2017.
    """
    x = checked_images("cutout", x)
    size = checked_number("cutout", "size", size, 0)
    _, height, width, _ = x.shape
    of_rows, of_columns = jax.random.split(key)
    row = jax.random.randint(of_rows, (len(x),), 0, height)
    column = jax.random.randint(of_columns, (len(x),), 0, width)
    inside = (
        _band(height, row, size)[:, :, None, None] & _band(width, column, size)[:, None, :, None]
    )
    return jnp.where(inside, jnp.asarray(fill).astype(x.dtype), x)


def _band(side: int, center: jax.Array, size: jax.Array) -> jax.Array:
    """Return which of the pixels [0, side) the square covers, (batch, side)."""
    first = center - (size // 2).astype(center.dtype)
    at = jnp.arange(side, dtype=center.dtype)[None]
    return (at >= first[:, None]) & (at < (first + size.astype(center.dtype))[:, None])

"""Images moved, turned and scaled: each pixel p of y is read off x by bilinear interpolation.

    y(p) = x(c + R(-θ) (p - c - t) / s),    c = the center, R(θ) a turn to the left

All of it in one interpolation, since every further one blurs.
"""

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates
from jax.typing import ArrayLike

from ._draw import checked_images, checked_mode, checked_number, like, wide, within


def affine(
    key: jax.Array,
    x: jax.Array,
    *,
    shift: ArrayLike = 0.0,
    degrees: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    mode: str = "constant",
) -> jax.Array:
    """Shift, turn and scale images about their center, each by its own draw.

    Args:
        key: decides the draws.
        x: images (batch, height, width, channels); the dtype is kept, integers rounded.
        shift: at most that share of the height and of the width, up or down, left or right.
        degrees: at most so far, left or right.
        scale: between 1 / scale and scale, evenly in its logarithm.
        mode: what lies around an image: "constant" (zeros), "nearest" (its last pixels), "reflect"
            and "mirror" (itself, with and without its last pixels twice), "wrap".

    Raises:
        TypeError, ValueError: x is no images; a number out of range.

    >>> import numpy as np
    >>> x = np.eye(5, dtype=np.uint8)[None, :, :, None]
    >>> affine(jax.random.key(0), x, degrees=10, scale=1.1).shape
    (1, 5, 5, 1)
    """
    return _drawn(
        key,
        checked_images("affine", x),
        checked_number("affine", "shift", shift, 0),
        checked_number("affine", "degrees", degrees, 0),
        checked_number("affine", "scale", scale, 1),
        checked_mode("affine", mode),
    )


def shift(
    key: jax.Array, x: jax.Array, fraction: ArrayLike = 0.1, *, mode: str = "constant"
) -> jax.Array:
    """Shift images by at most that share of their sides: `affine` with `shift=fraction`.

    >>> import numpy as np
    >>> shift(jax.random.key(0), np.ones((2, 8, 8, 3), np.float32), 0.2).shape
    (2, 8, 8, 3)
    """
    x, mode = checked_images("shift", x), checked_mode("shift", mode)
    fraction = checked_number("shift", "fraction", fraction, 0)
    return _drawn(key, x, fraction, jnp.zeros(()), jnp.ones(()), mode)


def rotate(
    key: jax.Array, x: jax.Array, degrees: ArrayLike = 15.0, *, mode: str = "constant"
) -> jax.Array:
    """Turn images by at most so many degrees, left or right: `affine` with `degrees`.

    >>> import numpy as np
    >>> rotate(jax.random.key(0), np.ones((2, 8, 8, 3), np.float32), 30).shape
    (2, 8, 8, 3)
    """
    x, mode = checked_images("rotate", x), checked_mode("rotate", mode)
    degrees = checked_number("rotate", "degrees", degrees, 0)
    return _drawn(key, x, jnp.zeros(()), degrees, jnp.ones(()), mode)


def scale(
    key: jax.Array, x: jax.Array, factor: ArrayLike = 1.1, *, mode: str = "constant"
) -> jax.Array:
    """Scale images by 1 / factor to factor about their center: `affine` with `scale=factor`.

    >>> import numpy as np
    >>> scale(jax.random.key(0), np.ones((2, 8, 8, 3), np.float32), 1.2).shape
    (2, 8, 8, 3)
    """
    x, mode = checked_images("scale", x), checked_mode("scale", mode)
    factor = checked_number("scale", "factor", factor, 1)
    return _drawn(key, x, jnp.zeros(()), jnp.zeros(()), factor, mode)


def _drawn(
    key: jax.Array,
    x: jax.Array,
    shift: jax.Array,
    degrees: jax.Array,
    scale: jax.Array,
    mode: str,
) -> jax.Array:
    batch, *sides, _ = x.shape
    values = wide(x)
    of_shift, of_angle, of_scale = jax.random.split(key, 3)
    offset = within(of_shift, (batch, 2), shift, values) * jnp.array([sides], values.dtype)
    angle = within(of_angle, (batch,), jnp.deg2rad(degrees.astype(values.dtype)), values)
    factor = jnp.exp(within(of_scale, (batch,), jnp.log(scale.astype(values.dtype)), values))
    return like(x, moved(values, offset, angle, factor, mode))


def moved(
    x: jax.Array, offset: jax.Array, angle: jax.Array, factor: jax.Array, mode: str
) -> jax.Array:
    """Return images moved by `offset` (batch, 2) pixels, turned by `angle`, scaled by `factor`."""
    _, height, width, _ = x.shape
    center = [(side - 1) / 2 for side in (height, width)]
    down = jnp.arange(height, dtype=x.dtype)[None, :, None] - center[0] - offset[:, 0, None, None]
    right = jnp.arange(width, dtype=x.dtype)[None, None, :] - center[1] - offset[:, 1, None, None]
    cos, sin = ((f(angle) / factor)[:, None, None] for f in (jnp.cos, jnp.sin))
    return resampled(
        x, cos * down + sin * right + center[0], cos * right - sin * down + center[1], mode
    )


def resampled(x: jax.Array, rows: jax.Array, columns: jax.Array, mode: str) -> jax.Array:
    """Return x (batch, height, width, channels) read off at places (batch, height, width)."""

    def channel(image: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
        read: jax.Array = map_coordinates(image, (rows, columns), order=1, mode=mode)
        return read

    image = jax.vmap(channel, in_axes=(-1, None, None), out_axes=-1)
    return jax.vmap(image)(x, rows, columns)

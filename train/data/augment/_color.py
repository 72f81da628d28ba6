"""Light and color, each image by its own draw of f, uniform in [1 - s, 1 + s], or u in [-s, s].

    brightness   y = f x
    contrast     y = m + f (x - m),   m the mean of the image's gray
    saturation   y = g + f (x - g),   g the gray of the pixel: 0.299 R + 0.587 G + 0.114 B
    hue          the hue in HSV turned by u of the circle
    noise        y = x + s ε,   ε ~ N(0, 1) drawn for each value

All but noise clip y to what x may be: [0, 1] in floats, the whole range of integers.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ._draw import an_example, checked_images, checked_number, like, white, wide, within

_GRAY = (0.299, 0.587, 0.114)  # ITU-R BT.601


def brightness(key: jax.Array, x: jax.Array, strength: ArrayLike = 0.2) -> jax.Array:
    """Make images brighter or darker: y = f x.

    Args:
        key: decides the draws.
        x: images (batch, height, width, channels), floats in [0, 1] or integers.
        strength: s, at most 1.

    Raises:
        TypeError, ValueError: x is no images; a strength outside [0, 1].

    >>> import numpy as np
    >>> y = brightness(jax.random.key(0), np.full((3, 2, 2, 1), 100, np.uint8), 0.2)
    >>> bool(((y >= 80) & (y <= 120)).all())
    True
    """
    return _jittered("brightness", key, x, strength, brightened)


def contrast(key: jax.Array, x: jax.Array, strength: ArrayLike = 0.2) -> jax.Array:
    """Spread the values of images about their mean, or draw them together: y = m + f (x - m).

    Arguments and errors are those of `brightness`.

    >>> import numpy as np
    >>> x = np.full((3, 2, 2, 1), 100, np.uint8)
    >>> bool((contrast(jax.random.key(0), x) == x).all())    # nothing to spread
    True
    """
    return _jittered("contrast", key, x, strength, contrasted)


def saturation(key: jax.Array, x: jax.Array, strength: ArrayLike = 0.2) -> jax.Array:
    """Make images more colorful or grayer: y = g + f (x - g).

    Arguments and errors are those of `brightness`; the channels must be red, green and blue.

    >>> import numpy as np
    >>> x = np.full((3, 2, 2, 3), 100, np.uint8)
    >>> bool((saturation(jax.random.key(0), x) == x).all())    # gray already
    True
    """
    _check_rgb("saturation", checked_images("saturation", x))
    return _jittered("saturation", key, x, strength, saturated)


def hue(key: jax.Array, x: jax.Array, strength: ArrayLike = 0.05) -> jax.Array:
    """Turn the colors of images on the circle of hues: red toward yellow, or toward magenta.

    Args:
        key: decides the draws.
        x: images (batch, height, width, 3), red, green and blue: floats in [0, 1] or integers.
        strength: at most that part of the circle, at most 0.5.

    Raises:
        TypeError, ValueError: x is no images of three channels; a strength outside [0, 0.5].

    >>> import numpy as np
    >>> x = np.full((3, 2, 2, 3), 100, np.uint8)
    >>> bool((hue(jax.random.key(0), x) == x).all())    # gray has no hue
    True
    """
    x = checked_images("hue", x)
    _check_rgb("hue", x)
    strength = checked_number("hue", "strength", strength, 0, 0.5)
    values = wide(x) / white(x)
    turned = hue_turned(values, within(key, (len(x),), strength, values))
    return like(x, jnp.clip(turned, 0.0, 1.0) * white(x))


def noise(key: jax.Array, x: jax.Array, strength: ArrayLike = 0.05) -> jax.Array:
    """Add Gaussian noise: y = x + s ε, where s counts in parts of white (255 in uint8).

    Args:
        key: decides the draws.
        x: images (batch, height, width, channels); floats are not clipped, so may be standardized.
        strength: s, the standard deviation.

    Raises:
        TypeError, ValueError: x is no images; a negative strength.

    >>> import numpy as np
    >>> y = noise(jax.random.key(0), np.full((1, 64, 64, 3), 128, np.uint8), 0.1)
    >>> bool(abs(y.std() - 25.5) < 1)
    True
    """
    x = checked_images("noise", x)
    strength = checked_number("noise", "strength", strength, 0)
    values = wide(x)
    drawn = jax.random.normal(key, x.shape, jnp.float32).astype(values.dtype)
    return like(x, values + strength.astype(values.dtype) * white(x) * drawn)


def brightened(x: jax.Array, factor: jax.Array) -> jax.Array:
    """Return y = f x, for f (batch, 1, 1, 1)."""
    return factor * x


def contrasted(x: jax.Array, factor: jax.Array) -> jax.Array:
    """Return y = m + f (x - m)."""
    mean = (_gray(x) if x.shape[-1] == 3 else x).mean((1, 2, 3), keepdims=True)
    return mean + factor * (x - mean)


def saturated(x: jax.Array, factor: jax.Array) -> jax.Array:
    """Return y = g + f (x - g)."""
    gray = _gray(x)
    return gray + factor * (x - gray)


def hue_turned(x: jax.Array, turn: jax.Array) -> jax.Array:
    """Return colors (batch, height, width, 3) in [0, 1], their hue turned by `turn` (batch,).

    With value v, chroma c = v - min and hue h in sixths of the circle, a channel is
    v - c max(0, min(k, 4 - k, 1)) at k = (n + h) mod 6, n = 5, 3, 1 for red, green, blue.
    """
    red, green, blue = x[..., 0], x[..., 1], x[..., 2]
    value, chroma = x.max(-1), x.max(-1) - x.min(-1)
    some = jnp.where(chroma > 0, chroma, 1.0)
    h = jnp.where(
        value == red,
        (green - blue) / some,
        jnp.where(value == green, 2.0 + (blue - red) / some, 4.0 + (red - green) / some),
    )
    n = jnp.array([[[[5.0, 3.0, 1.0]]]], x.dtype)
    k = (n + (h + 6.0 * turn[:, None, None])[..., None]) % 6.0
    part = jnp.clip(jnp.minimum(k, 4.0 - k), 0.0, 1.0)
    return value[..., None] - chroma[..., None] * part


def _jittered(
    where: str,
    key: jax.Array,
    x: jax.Array,
    strength: ArrayLike,
    change: Callable[[jax.Array, jax.Array], jax.Array],
) -> jax.Array:
    x = checked_images(where, x)
    strength = checked_number(where, "strength", strength, 0, 1)
    values = wide(x)
    factor = an_example(1.0 + within(key, (len(x),), strength, values))
    return like(x, jnp.clip(change(values, factor), 0.0, white(x)))


def _gray(x: jax.Array) -> jax.Array:
    return jnp.sum(x * jnp.array([[[_GRAY]]], x.dtype), -1, keepdims=True)


def _check_rgb(where: str, x: jax.Array) -> None:
    if x.shape[-1] != 3:
        raise ValueError(
            f"{where}: x must have three channels, red, green and blue, got {x.shape[-1]}; gray "
            "images have no color to change"
        )

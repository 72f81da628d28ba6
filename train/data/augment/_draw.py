"""What all augmentations share: their checks, a draw an example, and the way back to the dtype.

Whatever has an integer dtype is computed in float32, rounded and clipped to that dtype; floats keep
their dtype and are computed in at least float32. White is 1 in floats and 255 in uint8.
"""

import math
import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

MODES = ("constant", "nearest", "reflect", "mirror", "wrap")


def checked_images(where: str, x: Any) -> jax.Array:
    """Return images (batch, height, width, channels) as an array.

    Raises:
        TypeError: no array of numbers.
        ValueError: another number of axes.
    """
    if not isinstance(x, np.ndarray | jax.Array) or not jnp.issubdtype(x.dtype, jnp.number):
        got = x.dtype if hasattr(x, "dtype") else type(x).__name__
        raise TypeError(f"{where}: x must be an array of numbers, got {got}; use np.asarray")
    if x.ndim != 4:
        raise ValueError(
            f"{where}: x must be images (batch, height, width, channels), got {x.dtype}"
            f"{list(x.shape)}; add the axis that is missing, as x[..., None] does for gray ones"
        )
    return jnp.asarray(x)


def checked_number(
    where: str, name: str, value: ArrayLike, least: float, most: float = math.inf
) -> jax.Array:
    """Return a number; one that is known, no tracer, must lie in [least, most].

    Raises:
        ValueError: it does not.
    """
    known = _known(value)
    if known is not None and not least <= known <= most:
        end = "" if most == math.inf else f" and at most {most:g}"
        raise ValueError(
            f"{where}: {name} must be a number of at least {least:g}{end}, got {value!r}"
        )
    return jnp.asarray(value)


def checked_positive(where: str, name: str, value: ArrayLike) -> jax.Array:
    """Return a number; one that is known, no tracer, must lie above 0.

    Raises:
        ValueError: it does not.
    """
    known = _known(value)
    if known is not None and not 0 < known < math.inf:
        raise ValueError(f"{where}: {name} must be a number above 0, got {value!r}")
    return jnp.asarray(value)


def checked_size(where: str, name: str, value: Any, least: int) -> int:
    """Return an integer of at least `least`: it decides shapes, so no tracer will do."""
    try:
        size = operator.index(value)
    except TypeError:
        size = least - 1
    if isinstance(value, bool) or size < least:
        raise ValueError(f"{where}: {name} must be an integer of at least {least}, got {value!r}")
    return size


def checked_mode(where: str, mode: str) -> str:
    """Return what lies around an image, one of MODES."""
    if mode not in MODES:
        raise ValueError(f"{where}: mode must be one of {', '.join(MODES)}, got {mode!r}")
    return mode


def wide(x: jax.Array) -> jax.Array:
    """Return x in the dtype it is computed in."""
    narrow = jnp.issubdtype(x.dtype, jnp.integer) or x.dtype.itemsize < 4
    return x.astype(jnp.float32) if narrow else x


def like(x: jax.Array, value: jax.Array) -> jax.Array:
    """Return a value in the dtype of x, rounded and clipped where that is an integer."""
    if not jnp.issubdtype(x.dtype, jnp.integer):
        return value.astype(x.dtype)
    bounds = np.iinfo(x.dtype)
    return jnp.clip(jnp.round(value), bounds.min, bounds.max).astype(x.dtype)


def white(x: jax.Array) -> float:
    """Return the value of white in images like x."""
    return float(np.iinfo(x.dtype).max) if jnp.issubdtype(x.dtype, jnp.integer) else 1.0


def within(key: jax.Array, shape: tuple[int, ...], strength: jax.Array, like: jax.Array) -> Any:
    """Draw evenly from [-strength, strength]: the same for every dtype, but in that of `like`."""
    drawn = jax.random.uniform(key, shape, jnp.float32, -1.0, 1.0)
    return strength.astype(like.dtype) * drawn.astype(like.dtype)


def an_example(value: jax.Array) -> jax.Array:
    """Give a number an example (batch,) the axes of images."""
    return value[:, None, None, None]


def _known(value: ArrayLike) -> float | None:
    """Return a number, NaN for what is none, None for a tracer."""
    if isinstance(value, jax.core.Tracer):
        return None
    number = np.asarray(value)
    return math.nan if number.ndim or number.dtype.kind not in "iuf" else float(number)

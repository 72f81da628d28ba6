"""Checks of the examples (x, y) that learning rules and closed forms work on."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._core._checks import default_float, promote
from .._core._specs import describe


def targets(kind: str, x: Any, y: Any) -> tuple[jax.Array, jax.Array]:
    """Return x (batch, inputs) and y (batch, outputs) in their common floating dtype.

    Raises:
        ValueError: shapes that do not fit, no example at all.
    """
    x, y = matrix(kind, x), jnp.asarray(y)
    if y.ndim != 2 or len(y) != len(x):
        raise ValueError(
            f"{kind}: y must be (batch, outputs) with batch {len(x)}, got {describe(y)}; "
            "a target a row is y[:, None]"
        )
    x, y = promote(x, y)
    return x, y


def classes(kind: str, x: Any, labels: Any, count: int) -> tuple[jax.Array, jax.Array]:
    """Return x (batch, inputs), and labels (batch,) below `count`, whose values are checked.

    Raises:
        ValueError: shapes that do not fit, no example at all, a label that is no class.
        TypeError: labels that are not integers.
    """
    x, labels = matrix(kind, x), jnp.asarray(labels)
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(f"{kind}: labels must be integers, got {describe(labels)}; cast them")
    if labels.shape != (len(x),):
        raise ValueError(
            f"{kind}: labels must be (batch,) with batch {len(x)}, got {describe(labels)}"
        )
    if not isinstance(labels, jax.core.Tracer):
        least, most = int(np.min(labels)), int(np.max(labels))
        if least < 0 or most >= count:
            raise ValueError(
                f"{kind}: labels must lie in [0, {count}), got {least if least < 0 else most}; "
                "count classes from 0"
            )
    return x, labels


def matrix(kind: str, x: Any) -> jax.Array:
    """Return x (batch, inputs), of at least one example, in a floating dtype.

    Raises:
        ValueError: another shape.
    """
    x = jnp.asarray(x)
    if x.ndim != 2 or not len(x):
        raise ValueError(
            f"{kind}: x must be (batch, inputs) of at least one example, got {describe(x)}"
        )
    floating: jax.Array = x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(default_float())
    return floating


def nonnegative(kind: str, name: str, value: Any) -> Any:
    """Return a number of at least 0; a traced one is left alone.

    Raises:
        ValueError: a negative number.
    """
    if not isinstance(value, jax.core.Tracer) and not float(value) >= 0:
        raise ValueError(f"{kind}: {name} must be a number of at least 0, got {value!r}")
    return value

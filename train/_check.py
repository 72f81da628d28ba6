"""Arguments and data are looked through on the host before anything is compiled."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from .data import rows


def check_kind(where: str, name: str, value: Any, kind: Any, repair: str) -> None:
    """Raise a TypeError unless `value` is an instance of the class `kind`."""
    if not isinstance(value, kind):
        got = getattr(value, "__name__", None) or type(value).__name__
        raise TypeError(f"{where}: {name}: expected {kind.__name__}, got {got}; {repair}")


def check_optimizer(where: str, optimizer: Any) -> None:
    """Raise a TypeError unless `optimizer` is an optax transform."""
    repair = "make one, such as optim.adam(1e-3); forgot ()?"
    check_kind(where, "optimizer", optimizer, optax.GradientTransformation, repair)


def checked_data(where: str, data: Any, *, finite: bool = True) -> int:
    """Return the number of examples in a pytree of arrays.

    Raises:
        TypeError: leaves that are not arrays of numbers.
        ValueError: no data, leading axes that differ, values that are not finite.
    """
    for path, leaf in jax.tree.leaves_with_path(data):
        name = jax.tree_util.keystr(path, simple=True, separator="/") or "data"
        if not isinstance(leaf, np.ndarray | jax.Array):
            raise TypeError(
                f"{where}: data must be arrays with a leading axis of examples, got "
                f"{type(leaf).__name__} at {name!r}; use np.asarray"
            )
        if leaf.dtype != bool and not jnp.issubdtype(leaf.dtype, jnp.number):
            raise TypeError(
                f"{where}: data must be numbers, got {leaf.dtype} at {name!r}; encode them, "
                "classes as integers from 0"
            )
        if finite:
            _check_finite(where, name, leaf)
    try:
        return rows(data)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def checked_count(where: str, name: str, value: Any) -> int:
    """Return `value`, an integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{where}: {name} must be an integer of at least 1, got {value!r}")
    return int(value)


def checked_batch_size(where: str, batch_size: Any, examples: int) -> int:
    """Return `batch_size`, at most the number of examples."""
    if checked_count(where, "batch_size", batch_size) > examples:
        raise ValueError(
            f"{where}: batch_size is {batch_size} but there are only {examples} examples; "
            f"choose at most {examples}"
        )
    return int(batch_size)


def checked_weights(where: str, weights: Any, examples: int) -> NDArray[np.float32] | None:
    """Return the weights as float32, one an example, at least 0 and not all 0."""
    if weights is None:
        return None
    array = np.asarray(weights)
    if array.shape != (examples,) or not np.isrealobj(array) or array.dtype.kind not in "biuf":
        raise ValueError(
            f"{where}: weights must be one number an example, shape ({examples},), got "
            f"{array.dtype}{list(array.shape)}"
        )
    if not (np.isfinite(array).all() and (array >= 0).all() and (array > 0).any()):
        raise ValueError(
            f"{where}: weights must be finite, 0 or above and not all 0, got values from "
            f"{array.min()} to {array.max()}"
        )
    return array.astype(np.float32)


def _check_finite(where: str, name: str, leaf: Any) -> None:
    if not jnp.issubdtype(leaf.dtype, jnp.inexact):
        return
    finite = np.isfinite(np.asarray(leaf))
    if not finite.all():
        first = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(
            f"{where}: data must be finite, got {leaf[first]} at {name!r}{list(first)} "
            f"({finite.size - finite.sum()} such values); clean or impute them"
        )

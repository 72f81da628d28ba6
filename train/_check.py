"""Arguments and data are looked through on the host before anything is compiled."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax


def check_kind(where: str, name: str, value: Any, kind: Any, repair: str) -> None:
    """Raise a TypeError unless `value` is an instance of the class `kind`."""
    if not isinstance(value, kind):
        got = getattr(value, "__name__", None) or type(value).__name__
        raise TypeError(f"{where}: {name}: expected {kind.__name__}, got {got}; {repair}")


def check_optimizer(where: str, optimizer: Any) -> None:
    """Raise a TypeError unless `optimizer` is an optax transform."""
    repair = "make one, such as optim.adam(1e-3); forgot ()?"
    check_kind(where, "optimizer", optimizer, optax.GradientTransformation, repair)


def checked_data(where: str, data: Any) -> int:
    """Return the number of examples in a pytree of arrays.

    Raises:
        TypeError: leaves that are not arrays of numbers.
        ValueError: no data, leading axes that differ, values that are not finite.
    """
    leaves = jax.tree_util.tree_leaves_with_path(data)
    if not leaves:
        raise ValueError(f"{where}: the data hold no arrays, got {data!r}; expected e.g. (x, y)")
    lengths = {}
    for path, leaf in leaves:
        name = jax.tree_util.keystr(path, simple=True, separator="/") or "data"
        if not isinstance(leaf, np.ndarray | jax.Array) or np.ndim(leaf) == 0:
            raise TypeError(
                f"{where}: data must be arrays with a leading axis of examples, got "
                f"{type(leaf).__name__} at {name!r}; use np.asarray"
            )
        if leaf.dtype != bool and not jnp.issubdtype(leaf.dtype, jnp.number):
            raise TypeError(
                f"{where}: data must be numbers, got {leaf.dtype} at {name!r}; encode them, "
                "classes as integers from 0"
            )
        lengths[name] = leaf.shape[0]
        _check_finite(where, name, leaf)
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f"{where}: the arrays must hold the same number of examples, got "
            + ", ".join(f"{length} at {name!r}" for name, length in lengths.items())
        )
    examples = next(iter(lengths.values()))
    if examples == 0:
        raise ValueError(f"{where}: the data are empty, got 0 examples; expected at least 1")
    return examples


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

"""What losses and metrics share: checks of scores against labels, and the result per example."""

from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from ._specs import describe

PerExample: TypeAlias = jax.Array | tuple[jax.Array, jax.Array]
"""(batch,), or the pair (sum, count) of such where an example holds many values (a sequence)."""


def check_labels(labels: Any, classes: int) -> None:
    """Check on the host that integer labels lie in [0, classes).

    A compiled program cannot raise, so call this on the data before compiling. Labels that are
    traced or floating (probabilities) are left alone.

    Raises:
        ValueError: a label outside [0, classes).

    >>> check_labels(np.array([0, 9]), 10)
    >>> check_labels(np.array([0, 10]), 10)
    Traceback (most recent call last):
        ...
    ValueError: labels: must lie in [0, 10), got 10 at index 1; ...
    """
    if isinstance(labels, jax.core.Tracer) or not jnp.issubdtype(labels.dtype, jnp.integer):
        return
    values = np.asarray(labels)
    wrong = np.flatnonzero((values < 0) | (values >= classes))
    if wrong.size:
        where = ", ".join(map(str, np.unravel_index(wrong[0], values.shape)))
        raise ValueError(
            f"labels: must lie in [0, {classes}), got {values.flat[wrong[0]]} at index {where}; "
            "count classes from 0, or give the model as many outputs as there are classes"
        )


def check_scores(kind: str, logits: Any, labels: Any) -> bool:
    """Return whether labels are integers, having checked them against scores (batch, ..., classes).

    Raises:
        ValueError: logits without a batch and a class axis; labels that do not fit them.
        TypeError: logits that are not floating, labels that are neither integers nor floating.
    """
    check_floating(kind, "logits", logits)
    if len(logits.shape) < 2:
        raise ValueError(
            f"{kind}: logits must be (batch, ..., classes), got {describe(logits)}; "
            "is the batch axis missing?"
        )
    check_array(kind, "labels", labels)
    integer = bool(jnp.issubdtype(labels.dtype, jnp.integer))
    if not integer and not jnp.issubdtype(labels.dtype, jnp.floating):
        raise TypeError(
            f"{kind}: labels must be integers or probabilities, got {describe(labels)}; "
            "cast them, labels.astype(int)"
        )
    expected = logits.shape[:-1] if integer else logits.shape
    if labels.shape != expected:
        raise ValueError(
            f"{kind}: labels must be integers of shape {logits.shape[:-1]} or probabilities of "
            f"shape {logits.shape} for logits {describe(logits)}, got {describe(labels)}; "
            + ("squeeze or flatten them" if integer else "cast class numbers to an integer dtype")
        )
    check_labels(labels, logits.shape[-1])
    return integer


def check_floating(kind: str, name: str, x: Any) -> None:
    """Raise a TypeError where x is not an array of floats."""
    check_array(kind, name, x)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"{kind}: {name} must be floating, got {describe(x)}; is it the output?")


def check_array(kind: str, name: str, x: Any) -> None:
    """Raise a TypeError where x is not one array."""
    if not hasattr(x, "shape") or not hasattr(x, "dtype"):
        raise TypeError(f"{kind}: {name} must be one array, got {describe(x)}; use jnp.asarray")


def wide(x: Any, other: Any) -> jax.Array:
    """Return x in at least float32, and in no less than the dtype of a floating `other`."""
    x, other = jnp.asarray(x), jnp.asarray(other)
    floats = [a.dtype for a in (x, other) if jnp.issubdtype(a.dtype, jnp.floating)]
    with jax.numpy_dtype_promotion("standard"):
        return jnp.asarray(x, jnp.result_type(jnp.float32, *floats))


def per_example(values: jax.Array) -> PerExample:
    """Return values (batch,) as they are, those of (batch, ...) as the pair (sum, count)."""
    if values.ndim == 1:
        return values
    batch, axes = values.shape[0], tuple(range(1, values.ndim))
    return values.sum(axes), jnp.full(batch, values.size // max(batch, 1), values.dtype)

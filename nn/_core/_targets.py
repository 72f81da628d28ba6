"""What losses and metrics share: checks of scores against labels, and the result per example."""

from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from ._checks import indices
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


def check_classes(kind: str, scores: Any, labels: Any) -> jax.Array:
    """Return integer labels (batch, ...) of scores (batch, ..., classes) as a mask of their class.

    Compared, not looked up: it fuses with the softmax, and no label counts from the end. The mask
    of a label that is no class is empty; see `of_class`.

    Raises:
        ValueError: scores without a batch and a class axis; labels that do not fit them.
        TypeError: scores that are not floating, labels that are not integers.
    """
    if not check_scores(kind, scores, labels):
        raise TypeError(
            f"{kind}: labels must be integers, got {describe(labels)}; "
            "give class numbers, labels.argmax(-1)"
        )
    return one_hot(labels, scores.shape[-1])


def one_hot(labels: Any, classes: int) -> jax.Array:
    """Return integer labels (...) as a mask (..., classes), empty where a label is no class."""
    return jax.nn.one_hot(indices(labels), classes, dtype=bool)


def of_class(hot: jax.Array, values: jax.Array) -> jax.Array:
    """Return the values (..., classes) of the labels' classes, NaN where a label is no class."""
    return jnp.where(hot.any(-1), jnp.where(hot, values, 0).sum(-1), jnp.nan)


def check_binary(kind: str, scores: Any, labels: Any) -> jax.Array:
    """Return binary labels as floats: 0, 1 or a probability between; NaN for other integers.

    Raises:
        ValueError: shapes that differ; no batch axis; known labels outside [0, 1].
        TypeError: scores that are not floating, labels that are no numbers.
    """
    check_same_shape(kind, scores, labels, "scores", "labels")
    values = known(labels)
    # Mixing labels may round a hair above 1.
    if values is not None and values.size and not -1e-5 <= values.min() <= values.max() <= 1 + 1e-5:
        worst = values.min() if values.min() < 0 else values.max()
        raise ValueError(
            f"{kind}: labels must lie in [0, 1], got {worst}; "
            "map -1 and 1 by (labels > 0), bytes by labels / 255"
        )
    y = wide(labels, scores)
    integer = not jnp.issubdtype(labels.dtype, jnp.floating)
    return jnp.where((y == 0) | (y == 1), y, jnp.nan) if integer else y


def check_same_shape(
    kind: str, prediction: Any, target: Any, first: str = "prediction", second: str = "target"
) -> None:
    """Raise where two arrays (batch, ...) differ in shape, or the first is not floating."""
    check_floating(kind, first, prediction)
    check_array(kind, second, target)
    if prediction.shape != target.shape or not prediction.shape:
        raise ValueError(
            f"{kind}: {first} and {second} must have one shape (batch, ...), got "
            f"{describe(prediction)} and {describe(target)}; reshape one, as {second}[:, None]"
        )


def known(x: Any) -> Any:
    """Return the values of an array on the host; None where they are traced."""
    return None if isinstance(x, jax.core.Tracer) else np.asarray(x)


def check_floating(kind: str, name: str, x: Any) -> None:
    """Raise a TypeError where x is not an array of floats."""
    check_array(kind, name, x)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"{kind}: {name} must be floating, got {describe(x)}; is it the output?")


def check_array(kind: str, name: str, x: Any) -> None:
    """Raise a TypeError where x is not one array."""
    if not hasattr(x, "shape") or not hasattr(x, "dtype"):
        raise TypeError(f"{kind}: {name} must be one array, got {describe(x)}; use jnp.asarray")


def wide(x: Any, *others: Any) -> jax.Array:
    """Return x in at least float32, and in no less than the dtypes of floating `others`."""
    arrays = [jnp.asarray(a) for a in (x, *others)]
    floats = [a.dtype for a in arrays if jnp.issubdtype(a.dtype, jnp.floating)]
    with jax.numpy_dtype_promotion("standard"):
        return jnp.asarray(arrays[0], jnp.result_type(jnp.float32, *floats))


def per_example(values: jax.Array) -> PerExample:
    """Return values (batch,) as they are, those of (batch, ...) as the pair (sum, count)."""
    if values.ndim == 1:
        return values
    batch, axes = values.shape[0], tuple(range(1, values.ndim))
    return values.sum(axes), jnp.full(batch, values.size // max(batch, 1), values.dtype)


def size(x: jax.Array) -> jax.Array:
    """Return |x| with gradient zero at zero, where JAX's is one."""
    return jnp.maximum(x, -x)


def summed(values: jax.Array) -> jax.Array:
    """Return the sum (batch,) over all the values (batch, ...) of an example."""
    return values.sum(tuple(range(1, values.ndim)))

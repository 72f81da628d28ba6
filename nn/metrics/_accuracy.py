"""Fractions of right answers: one number an example, weighed and averaged like a loss.

accuracy          a = 1 where argmax_k z_k = y, else 0
binary_accuracy   a_i = 1 where (z_i > 0) = y_i, else 0
top_k             a = 1 where fewer than k classes are before y, else 0
"""

from typing import Any

import jax
import jax.numpy as jnp

from .._core._checks import indices, positive
from .._core._targets import PerExample, check_binary, check_classes, check_scores, per_example


def accuracy(logits: Any, labels: Any) -> PerExample:
    """Accuracy: 1.0 where the largest logit is the label's, else 0.0; their mean is a fraction.

    Of equal logits the first counts. Logits that hold NaN are never right.

    Args:
        logits: (batch, classes), or (batch, ..., classes) for many predictions an example.
        labels: class numbers, integers (batch, ...), or probabilities, floats shaped as the logits,
            of which the largest counts.

    Returns:
        float32 (batch,), or the pair (sum, count) of such where an example holds many predictions.

    Raises:
        ValueError: labels whose shape does not fit, or outside [0, classes).
        TypeError: logits that are not floating, labels that are neither integers nor floating.

    >>> from laminax import nn
    >>> nn.metrics.accuracy(jnp.array([[0.1, 2.0], [0.3, 0.2]]), jnp.array([1, 1]))
    Array([1., 0.], dtype=float32)
    """
    integer = check_scores("accuracy", logits, labels)
    wanted = indices(labels if integer else jnp.argmax(labels, -1))
    found = jnp.argmax(logits, -1).astype(wanted.dtype)
    right = (found == wanted) & ~jnp.isnan(logits).any(-1)
    return per_example(right.astype(jnp.float32))


def binary_accuracy(logits: Any, labels: Any) -> PerExample:
    """Accuracy of yes and no: 1.0 where the logit is above 0 and the label 1, or neither.

    A label that is a probability counts as 1 above ½. Logits that are NaN are never right.

    Args:
        logits: (batch,), or (batch, ...) for many labels an example; of probabilities give q - ½.
        labels: of the same shape: 0 and 1 of any dtype, or probabilities.

    Returns:
        float32 (batch,), or the pair (sum, count) of such where an example holds many labels.

    Raises:
        ValueError: shapes that differ; known labels outside [0, 1].
        TypeError: logits that are not floating.

    >>> from laminax import nn
    >>> nn.metrics.binary_accuracy(jnp.array([2.0, -1.0, 0.5]), jnp.array([1, 0, 0]))
    Array([1., 1., 0.], dtype=float32)
    """
    y = check_binary("binary_accuracy", logits, labels)
    right = ((jnp.asarray(logits) > 0) == (y > 0.5)) & ~jnp.isnan(logits) & ~jnp.isnan(y)
    return per_example(right.astype(jnp.float32))


def top_k(logits: Any, labels: Any, *, k: int = 5) -> PerExample:
    """Top-k accuracy: 1.0 where the label's logit is among the k largest, else 0.0.

    Of equal logits the first counts. Logits that hold NaN are never right.

    Source: the error of Russakovsky et al., ImageNet large scale visual recognition challenge,
    2015, with k = 5.

    Args:
        logits: (batch, classes), or (batch, ..., classes) for many predictions an example.
        labels: class numbers, integers (batch, ...).
        k: how many answers are allowed.

    Returns:
        float32 (batch,), or the pair (sum, count) of such where an example holds many predictions.

    Raises:
        ValueError: labels whose shape does not fit, or outside [0, classes); k < 1.
        TypeError: logits that are not floating, labels that are not integers.

    >>> from laminax import nn
    >>> logits = jnp.array([[0.1, 0.5, 0.4], [0.1, 0.5, 0.4]])
    >>> nn.metrics.top_k(logits, jnp.array([2, 0]), k=2)
    Array([1., 0.], dtype=float32)
    """
    hot = check_classes("top_k", logits, labels)
    positive("top_k", "k", k)
    logits = jnp.asarray(logits)
    own = jnp.where(hot, logits, 0).sum(-1, keepdims=True)
    earlier = jax.lax.cumsum(hot.astype(jnp.int32), hot.ndim - 1) == 0  # classes before the label
    before = (logits > own) | ((logits == own) & earlier)
    right = (before.sum(-1) < k) & hot.any(-1) & ~jnp.isnan(logits).any(-1)
    return per_example(right.astype(jnp.float32))

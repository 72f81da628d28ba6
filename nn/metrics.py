"""Metrics: one number an example, weighed and averaged like a loss.

accuracy   a = 1 where argmax_k z_k = y, else 0
"""

from typing import Any

import jax.numpy as jnp

from ._checks import indices
from ._targets import PerExample, check_scores, per_example


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

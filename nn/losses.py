"""Losses: one number an example; the training step alone weighs and averages them.

cross_entropy   ℓ = -Σ_k p_k log softmax(z)_k,   which is  log Σ_k exp z_k - z_y  for a class y
squared_error   ℓ = Σ_i (ŷ_i - y_i)²
"""

from typing import Any

import jax
import jax.numpy as jnp

from ._checks import indices
from ._specs import describe
from ._targets import PerExample as PerExample
from ._targets import check_array, check_floating, check_scores, per_example, wide
from ._targets import check_labels as check_labels


def cross_entropy(logits: Any, labels: Any) -> PerExample:
    """Cross-entropy of softmax(logits) with the labels: ℓ = -Σ_k p_k log softmax(z)_k, in nats.

    Computed in at least float32, finite and right for logits of any size. An integer label that is
    no class raises where its value is known; under `jit`, which cannot raise, its loss is NaN.

    Args:
        logits: (batch, classes), or (batch, ..., classes) for many predictions an example.
        labels: class numbers, integers (batch, ...), or probabilities, floats shaped as the logits.

    Returns:
        (batch,), or the pair (sum, count) of such where an example holds many predictions.

    Raises:
        ValueError: labels whose shape does not fit, or outside [0, classes).
        TypeError: logits that are not floating, labels that are neither integers nor floating.

    >>> from laminax import nn
    >>> logits = jnp.log(jnp.array([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]]))
    >>> [round(nats, 3) for nats in nn.losses.cross_entropy(logits, jnp.array([1, 1])).tolist()]
    [1.386, 0.288]
    """
    integer = check_scores("cross_entropy", logits, labels)
    log_p = jax.nn.log_softmax(wide(logits, labels))
    if not integer:
        return per_example(-(wide(labels, logits) * log_p).sum(-1))
    # Compared, not looked up: it fuses with the softmax, and no label counts from the end.
    hot = jax.nn.one_hot(indices(labels), logits.shape[-1], dtype=bool)
    loss = -jnp.where(hot, log_p, 0).sum(-1)
    return per_example(jnp.where(hot.any(-1), loss, jnp.nan))


def squared_error(prediction: Any, target: Any) -> jax.Array:
    """Squared error of an example, summed over all its values: ℓ = Σ_i (ŷ_i - y_i)².

    Computed in at least float32. No mean is taken over the values of an example.

    Args:
        prediction: (batch, ...), floating.
        target: of the same shape.

    Returns:
        (batch,), in the square of the target's unit.

    Raises:
        ValueError: shapes that differ, even where they would broadcast; no batch axis.
        TypeError: a prediction that is not floating.

    >>> from laminax import nn
    >>> nn.losses.squared_error(jnp.array([[1.0, 2.0], [0.0, 0.5]]), jnp.zeros((2, 2)))
    Array([5.  , 0.25], dtype=float32)
    """
    check_floating("squared_error", "prediction", prediction)
    check_array("squared_error", "target", target)
    if prediction.shape != target.shape or not prediction.shape:
        raise ValueError(
            f"squared_error: prediction and target must have one shape (batch, ...), got "
            f"{describe(prediction)} and {describe(target)}; reshape one, as target[:, None]"
        )
    difference = wide(prediction, target) - wide(target, prediction)
    return jnp.square(difference).sum(tuple(range(1, difference.ndim)))

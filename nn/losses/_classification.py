"""Cross-entropies of logits, in nats.

cross_entropy          ℓ = -Σ_k p_k log softmax(z)_k,  for a class y  log Σ_k exp z_k - z_y
binary_cross_entropy   ℓ = -Σ_i y_i log σ(z_i) + (1 - y_i) log σ(-z_i)
"""

from typing import Any

import jax
import jax.numpy as jnp

from .._core._targets import (
    PerExample,
    check_binary,
    check_scores,
    of_class,
    one_hot,
    per_example,
    size,
    summed,
    wide,
)


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
    return per_example(-of_class(one_hot(labels, logits.shape[-1]), log_p))


def binary_cross_entropy(logits: Any, labels: Any) -> jax.Array:
    """Binary cross-entropy of σ(logits) with the labels, summed over all labels of an example.

    ℓ = -Σ_i y_i log σ(z_i) + (1 - y_i) log σ(-z_i), in nats: of one yes or no, of many at once
    (multi-label), or -log p(y|z) of an image of Bernoulli pixels. Computed in at least float32,
    finite and right for logits of any size.

    Args:
        logits: (batch, ...), floating.
        labels: of the same shape: 0 and 1 of any dtype, or probabilities.

    Returns:
        (batch,). Other integers raise where they are known and under `jit` read NaN.

    Raises:
        ValueError: shapes that differ, even where they would broadcast; labels outside [0, 1].
        TypeError: logits that are not floating.

    >>> from laminax import nn
    >>> logits = jnp.log(jnp.array([[1.0, 3.0], [0.5, 1.0]]))  # odds
    >>> loss = nn.losses.binary_cross_entropy(logits, jnp.array([[1, 1], [0, 1]]))
    >>> [round(nats, 3) for nats in loss.tolist()]
    [0.981, 1.099]
    """
    y = check_binary("binary_cross_entropy", logits, labels)
    z = wide(logits, labels)
    # -log σ(±z) = max(∓z, 0) + log(1 + exp(-|z|)): nothing large is subtracted.
    sides = y * jnp.maximum(-z, 0) + (1 - y) * jnp.maximum(z, 0)
    return summed(sides + jnp.log1p(jnp.exp(-size(z))))

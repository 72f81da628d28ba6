"""Cross-entropies of probabilities, for models that end in a softmax or a sigmoid, in nats.

log_loss          ℓ = -Σ_k p_k log q_k,   which is  -log q_y  for a class y
binary_log_loss   ℓ = -Σ_i y_i log q_i + (1 - y_i) log(1 - q_i)

No probability is taken as less than the smallest normal number (-log of it: 87.3 nats in float32),
so that one certain error is finite. Prefer logits, which have no such limit: `cross_entropy` and
`binary_cross_entropy`.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._core._targets import (
    PerExample,
    check_binary,
    check_scores,
    known,
    of_class,
    one_hot,
    per_example,
    summed,
    wide,
)


def log_loss(probabilities: Any, labels: Any) -> PerExample:
    """Cross-entropy of predicted probabilities with the labels: ℓ = -Σ_k p_k log q_k, in nats.

    Computed in at least float32, finite for q_k = 0.

    Args:
        probabilities: q (batch, classes), or (batch, ..., classes), as `softmax` makes them.
        labels: class numbers, integers (batch, ...), or probabilities, floats shaped as q.

    Returns:
        (batch,), or the pair (sum, count) of such where an example holds many predictions.

    Raises:
        ValueError: known probabilities outside [0, 1]; labels that do not fit or are no class.
        TypeError: probabilities that are not floating, labels that are neither integers nor so.

    >>> from laminax import nn
    >>> loss = nn.losses.log_loss(jnp.array([[0.5, 0.25, 0.25]]), jnp.array([1]))
    >>> round(loss.item(), 3)
    1.386
    """
    integer = check_scores("log_loss", probabilities, labels)
    _check_probabilities("log_loss", probabilities)
    log_q = _log(wide(probabilities, labels))
    if not integer:
        return per_example(-(wide(labels, probabilities) * log_q).sum(-1))
    return per_example(-of_class(one_hot(labels, probabilities.shape[-1]), log_q))


def binary_log_loss(probabilities: Any, labels: Any) -> jax.Array:
    """Binary cross-entropy of probabilities with the labels, summed over all labels of an example.

    ℓ = -Σ_i y_i log q_i + (1 - y_i) log(1 - q_i), in nats. Computed in at least float32, finite for
    q_i of 0 and 1.

    Args:
        probabilities: q (batch, ...), as `sigmoid` makes them.
        labels: of the same shape: 0 and 1 of any dtype, or probabilities.

    Returns:
        (batch,).

    Raises:
        ValueError: shapes that differ; known probabilities or labels outside [0, 1].
        TypeError: probabilities that are not floating.

    >>> from laminax import nn
    >>> loss = nn.losses.binary_log_loss(jnp.array([0.5, 0.75]), jnp.array([1, 0]))
    >>> [round(nats, 3) for nats in loss.tolist()]
    [0.693, 1.386]
    """
    y = check_binary("binary_log_loss", probabilities, labels)
    _check_probabilities("binary_log_loss", probabilities)
    q = wide(probabilities, labels)
    return -summed(y * _log(q) + (1 - y) * _log(1 - q))


def _log(q: jax.Array) -> jax.Array:
    return jnp.log(jnp.maximum(q, np.finfo(q.dtype).tiny))


def _check_probabilities(kind: str, q: Any) -> None:
    values = known(q)
    if values is not None and values.size and not 0 <= values.min() <= values.max() <= 1 + 1e-5:
        raise ValueError(
            f"{kind}: probabilities must lie in [0, 1], got {values.min()} to {values.max()}; "
            f"of logits take {'binary_' if 'binary' in kind else ''}cross_entropy"
        )

"""Focal losses: cross-entropy that looks away from what is already right.

focal          ℓ = -(1 - p_y)^γ log p_y,   p = softmax(z)
binary_focal   ℓ = -Σ_i α y_i σ(-z_i)^γ log σ(z_i) + (1 - α) (1 - y_i) σ(z_i)^γ log σ(-z_i)

Source: Lin et al., Focal loss for dense object detection, 2017.
"""

from typing import Any

import jax
import jax.numpy as jnp

from .._core._targets import (
    PerExample,
    check_binary,
    check_classes,
    of_class,
    per_example,
    summed,
    wide,
)


def focal(logits: Any, labels: Any, *, gamma: float = 2.0) -> PerExample:
    """Focal loss of softmax(logits): ℓ = -(1 - p_y)^γ log p_y, in nats; γ = 0 is cross-entropy.

    Computed in at least float32, finite for logits of any size. The paper's α per class is
    `class_weighted(focal, α)`.

    Source: Lin et al., Focal loss for dense object detection, 2017.

    Args:
        logits: (batch, classes), or (batch, ..., classes) for many predictions an example.
        labels: class numbers, integers (batch, ...).
        gamma: γ ≥ 0, how little the loss makes of what is nearly right.

    Returns:
        (batch,), or the pair (sum, count) of such where an example holds many predictions.

    Raises:
        ValueError: labels whose shape does not fit, or outside [0, classes); γ < 0.
        TypeError: logits that are not floating, labels that are not integers.

    >>> from laminax import nn
    >>> logits = jnp.log(jnp.array([[0.75, 0.25], [0.25, 0.75]]))
    >>> loss = nn.losses.focal(logits, jnp.array([0, 0]))
    >>> [round(nats, 3) for nats in loss.tolist()]
    [0.018, 0.78]
    """
    hot = check_classes("focal", logits, labels)
    _check_gamma("focal", gamma)
    log_p = jax.nn.log_softmax(wide(logits, labels))
    log_wrong = jax.nn.logsumexp(log_p, axis=-1, where=~hot)  # 1 - p_y itself would round to 0
    return per_example(-jnp.exp(gamma * log_wrong) * of_class(hot, log_p))


def binary_focal(
    logits: Any, labels: Any, *, gamma: float = 2.0, alpha: float | None = None
) -> jax.Array:
    """Focal loss of σ(logits), summed over all labels of an example; γ = 0 is cross-entropy.

    ℓ = -Σ_i α y_i σ(-z_i)^γ log σ(z_i) + (1 - α) (1 - y_i) σ(z_i)^γ log σ(-z_i), in nats. Computed
    in at least float32, finite for logits of any size.

    Source: Lin et al., Focal loss for dense object detection, 2017.

    Args:
        logits: (batch, ...), floating.
        labels: of the same shape: 0 and 1 of any dtype.
        gamma: γ ≥ 0, how little the loss makes of what is nearly right.
        alpha: α, the weight of label 1; None weighs both sides by one.

    Returns:
        (batch,).

    Raises:
        ValueError: shapes that differ; known labels outside [0, 1]; γ < 0; α outside [0, 1].
        TypeError: logits that are not floating.

    >>> from laminax import nn
    >>> loss = nn.losses.binary_focal(jnp.log(jnp.array([3.0, 3.0])), jnp.array([1, 0]))
    >>> [round(nats, 3) for nats in loss.tolist()]
    [0.018, 0.78]
    """
    y = check_binary("binary_focal", logits, labels)
    _check_gamma("binary_focal", gamma)
    if alpha is not None and not 0 <= alpha <= 1:
        raise ValueError(f"binary_focal: alpha must lie in [0, 1], got {alpha!r}; or give None")
    one, zero = (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)
    z = wide(logits, labels)
    log_p, log_q = jax.nn.log_sigmoid(z), jax.nn.log_sigmoid(-z)
    ones = one * y * jnp.exp(gamma * log_q) * log_p
    zeros = zero * (1 - y) * jnp.exp(gamma * log_p) * log_q
    return -summed(ones + zeros)


def _check_gamma(kind: str, gamma: float) -> None:
    if not gamma >= 0:
        raise ValueError(f"{kind}: gamma must be at least 0, got {gamma!r}; the paper's is 2")

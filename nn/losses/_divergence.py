"""Divergences between distributions, and the likelihood of a Gaussian, in nats.

kl_divergence   KL(p ‖ softmax z) = Σ_k p_k (log p_k - log softmax(z)_k)
gaussian_kl     KL(N(μ, σ²) ‖ N(0, 1)) = ½ Σ_i μ_i² + σ_i² - 1 - log σ_i²
gaussian_nll    -log N(y; μ, σ²) = ½ Σ_i log 2π + log σ_i² + (y_i - μ_i)² / σ_i²
"""

import math
from typing import Any

import jax
import jax.numpy as jnp

from .._core._specs import describe
from .._core._targets import (
    PerExample,
    check_same_shape,
    check_scores,
    per_example,
    summed,
    wide,
)


def kl_divergence(logits: Any, probabilities: Any) -> PerExample:
    """Kullback–Leibler divergence of softmax(logits) from p: ℓ = Σ_k p_k (log p_k - log q_k).

    Cross-entropy less the entropy of p, so that zero is reached. With p the softened output of
    another model it distills that one. Computed in at least float32, finite for any logits.

    Source: Kullback and Leibler, On information and sufficiency, 1951.

    Args:
        logits: (batch, classes), or (batch, ..., classes) for many predictions an example.
        probabilities: p, of the same shape, summing to one over the last axis.

    Returns:
        (batch,), or the pair (sum, count) of such where an example holds many predictions.

    Raises:
        ValueError: probabilities that are not of the logits' shape.
        TypeError: logits or probabilities that are not floating.

    >>> from laminax import nn
    >>> p = jnp.array([[0.5, 0.5], [1.0, 0.0]])
    >>> divergence = nn.losses.kl_divergence(jnp.zeros((2, 2)), p)
    >>> [round(nats, 3) for nats in divergence.tolist()]
    [0.0, 0.693]
    """
    if check_scores("kl_divergence", logits, probabilities):
        raise TypeError(
            f"kl_divergence: probabilities must be floating, got {describe(probabilities)}; "
            "of class numbers take cross_entropy"
        )
    p = wide(probabilities, logits)
    log_q = jax.nn.log_softmax(wide(logits, probabilities))
    log_p = jnp.log(jnp.where(p > 0, p, 1))  # 0 log 0 = 0
    return per_example((p * (log_p - log_q)).sum(-1))


def gaussian_kl(mean: Any, log_variance: Any) -> jax.Array:
    """Divergence of N(μ, σ²) from the standard normal: ½ Σ_i μ_i² + σ_i² - 1 - log σ_i², in nats.

    The price of the code in a variational autoencoder, summed over all its values, computed in at
    least float32.

    Source: Kingma and Welling, Auto-encoding variational Bayes, 2014.

    Args:
        mean: μ (batch, ...), floating.
        log_variance: log σ², of the same shape.

    Returns:
        (batch,).

    Raises:
        ValueError: shapes that differ.
        TypeError: a mean that is not floating.

    >>> from laminax import nn
    >>> nn.losses.gaussian_kl(jnp.array([[0.0, 0.0], [1.0, 2.0]]), jnp.zeros((2, 2)))
    Array([0. , 2.5], dtype=float32)
    """
    check_same_shape("gaussian_kl", mean, log_variance, "mean", "log_variance")
    mu, log_v = wide(mean, log_variance), wide(log_variance, mean)
    return summed(jnp.square(mu) + (jnp.expm1(log_v) - log_v)) / 2


def gaussian_nll(prediction: Any, target: Any) -> jax.Array:
    """Negative log-likelihood of a Gaussian: ½ Σ_i log 2π + log σ_i² + (y_i - μ_i)² / σ_i².

    For a model that says how sure it is: its output is the pair of mean and log-variance. In nats,
    summed over all values of an example, computed in at least float32.

    Source: Nix and Weigend, Estimating the mean and variance of the target probability
    distribution, 1994.

    Args:
        prediction: the pair (μ, log σ²), each (batch, ...), floating.
        target: y, of the same shape.

    Returns:
        (batch,).

    Raises:
        ValueError: shapes that differ, even where they would broadcast.
        TypeError: a prediction that is no pair, or not floating.

    >>> from laminax import nn
    >>> nll = nn.losses.gaussian_nll((jnp.zeros(2), jnp.zeros(2)), jnp.array([0.0, 2.0]))
    >>> [round(nats, 3) for nats in nll.tolist()]
    [0.919, 2.919]
    """
    if not isinstance(prediction, tuple | list) or len(prediction) != 2:
        raise TypeError(
            f"gaussian_nll: prediction must be the pair (mean, log_variance), got "
            f"{describe(prediction)}; let the model return both"
        )
    mean, log_variance = prediction
    check_same_shape("gaussian_nll", mean, target, "mean")
    check_same_shape("gaussian_nll", log_variance, target, "log_variance")
    mu, log_v, y = (wide(a, mean, log_variance, target) for a in (mean, log_variance, target))
    square = jnp.square(y - mu) * jnp.exp(-log_v)
    return summed(math.log(2 * math.pi) + log_v + square) / 2

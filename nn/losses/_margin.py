"""Margin losses: nothing is lost once the right answer leads by one.

hinge              ℓ = Σ_i max(0, 1 - t_i s_i),   t = 2y - 1
multiclass_hinge   ℓ = max(0, 1 + max_{k≠y} s_k - s_y)
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


def hinge(scores: Any, labels: Any) -> jax.Array:
    """Hinge loss: ℓ = Σ_i max(0, 1 - t_i s_i), t = ±1 for the labels 1 and 0.

    Summed over all labels of an example, computed in at least float32.

    Source: Cortes and Vapnik, Support-vector networks, 1995.

    Args:
        scores: s (batch, ...), floating; label 1 is predicted where s > 0.
        labels: of the same shape: 0 and 1 of any dtype.

    Returns:
        (batch,).

    Raises:
        ValueError: shapes that differ; known labels outside [0, 1], as -1.
        TypeError: scores that are not floating.

    >>> from laminax import nn
    >>> nn.losses.hinge(jnp.array([0.25, 2.0, 2.0]), jnp.array([1, 1, 0]))
    Array([0.75, 0.  , 3.  ], dtype=float32)
    """
    y = check_binary("hinge", scores, labels)
    return summed(jnp.maximum(0, 1 - (2 * y - 1) * wide(scores, labels)))


def multiclass_hinge(scores: Any, labels: Any) -> PerExample:
    """Hinge loss of many classes: ℓ = max(0, 1 + max_{k≠y} s_k - s_y), in at least float32.

    Source: Crammer and Singer, On the algorithmic implementation of multiclass kernel-based vector
    machines, 2001.

    Args:
        scores: s (batch, classes), or (batch, ..., classes) for many predictions an example.
        labels: class numbers, integers (batch, ...).

    Returns:
        (batch,), or the pair (sum, count) of such where an example holds many predictions.

    Raises:
        ValueError: labels whose shape does not fit, or outside [0, classes).
        TypeError: scores that are not floating, labels that are not integers.

    >>> from laminax import nn
    >>> nn.losses.multiclass_hinge(jnp.array([[2.0, 0.5, 1.5], [2.0, 0.5, 0.0]]), jnp.array([0, 0]))
    Array([0.5, 0. ], dtype=float32)
    """
    hot = check_classes("multiclass_hinge", scores, labels)
    s = wide(scores, labels)
    rival = jnp.where(hot, -jnp.inf, s).max(-1)
    return per_example(jnp.maximum(0, 1 + rival - of_class(hot, s)))

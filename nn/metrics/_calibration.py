"""Whether a classifier is right as often as it says, over a whole set.

calibration_error   ECE = Σ_b n_b / n |accuracy_b - confidence_b| over bins b of equal width
"""

from typing import Any

import numpy as np

from .._core._checks import positive
from .._core._specs import describe
from ._host import classes_of, floats


def calibration_error(logits: Any, labels: Any, *, bins: int = 15) -> float:
    """Expected calibration error of a whole set: Σ_b n_b / n |accuracy_b - confidence_b|.

    The examples are parted by their confidence, the largest probability of softmax(logits), into
    bins ((b - 1) / B, b / B].

    Source: Guo et al., On calibration of modern neural networks, 2017.

    Args:
        logits: (examples, ..., classes).
        labels: class numbers, integers (examples, ...).
        bins: B.

    Raises:
        ValueError: labels that do not fit or are no class; logits that are not finite; B < 1.
        TypeError: arrays that are traced, labels that are not integers.

    >>> from laminax import nn
    >>> logits = np.log(np.array([[0.75, 0.25]] * 4))  # three of four right would be honest
    >>> round(nn.metrics.calibration_error(logits, np.array([0, 0, 1, 1])), 3)
    0.25
    """
    positive("calibration_error", "bins", bins)
    z = floats("calibration_error", "logits", logits)
    y = classes_of("calibration_error", "labels", labels, z.shape[-1] if z.ndim else 0)
    if z.ndim < 2 or y.shape != z.shape[:-1]:
        raise ValueError(
            f"calibration_error: labels must be integers of shape {z.shape[:-1]} for logits "
            f"(examples, ..., classes) {describe(z)}, got {describe(y)}"
        )
    odds = np.exp(z - z.max(-1, keepdims=True))
    confidence = (1 / odds.sum(-1)).ravel()
    right = (z.argmax(-1) == y).ravel()
    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(bin_of, right - confidence, bins)  # Σ_b n_b (accuracy_b - confidence_b)
    return float(np.abs(gaps).sum() / right.size)

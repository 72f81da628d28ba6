"""How much of a target is explained, over a whole set.

r2   R² = 1 - Σ (y - ŷ)² / Σ (y - ȳ)², the mean of it over outputs
"""

from typing import Any

import numpy as np

from ._host import check_same, floats


def r2(prediction: Any, target: Any) -> float:
    """Coefficient of determination, R² = 1 - Σ (y - ŷ)² / Σ (y - ȳ)², of a whole set.

    1 is perfect, 0 as good as the mean, less is worse. Of many outputs it is the mean of theirs.

    Source: Wright, Correlation and causation, 1921.

    Args:
        prediction: (examples,) or (examples, outputs).
        target: of the same shape.

    Raises:
        ValueError: shapes that differ; values that are not finite; a target that does not vary,
            whose R² is not defined.
        TypeError: arrays that are traced.

    >>> from laminax import nn
    >>> nn.metrics.r2(np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0]))
    0.5
    """
    y_hat, y = floats("r2", "prediction", prediction), floats("r2", "target", target)
    check_same("r2", prediction=y_hat, target=y)
    if y.ndim not in (1, 2):
        raise ValueError(f"r2: must be (examples,) or (examples, outputs), got shape {y.shape}")
    total = np.square(y - y.mean(0)).sum(0)
    if not np.all(total > 0):
        raise ValueError(
            "r2: every output of the target must vary, got a constant one, whose R² is not "
            "defined; leave it out, or take squared_error"
        )
    return float(np.mean(1 - np.square(y - y_hat).sum(0) / total))

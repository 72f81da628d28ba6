"""How well scores tell two classes apart, over a whole set.

auroc   the probability that one of class 1 scores above one of class 0, of equal scores half
"""

from typing import Any

import numpy as np

from ._host import check_same, classes_of, floats


def auroc(scores: Any, labels: Any) -> float:
    """Area under the receiver operating characteristic, of a whole set.

    The probability that one of class 1 scores above one of class 0, equal scores counting half:
    1 is perfect, ½ is chance. Of many classes, one against the rest: `auroc(z[:, k], y == k)`.

    Source: Hanley and McNeil, The meaning and use of the area under a receiver operating
    characteristic curve, 1982.

    Args:
        scores: of any shape; only their order counts, so logits will do.
        labels: 0 and 1, integers or booleans of the same shape.

    Raises:
        ValueError: shapes that differ; labels of one class alone; scores that are not finite.
        TypeError: arrays that are traced, labels that are not integers.

    >>> from laminax import nn
    >>> nn.metrics.auroc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]))
    0.75
    """
    values, y = floats("auroc", "scores", scores), classes_of("auroc", "labels", labels, 2)
    check_same("auroc", scores=values, labels=y)
    ones, zeros = np.sort(values[y == 1]), np.sort(values[y == 0])
    if not ones.size or not zeros.size:
        raise ValueError(
            f"auroc: labels must hold both classes, got {zeros.size} of 0 and {ones.size} of 1"
        )
    below, not_above = (np.searchsorted(zeros, ones, side) for side in ("left", "right"))
    return float((below.sum() + not_above.sum()) / (2 * ones.size * zeros.size))

"""The confusion matrix of a whole set, and what is read off it.

C_ij counts the examples of class i that were given class j. Of class k, with TP = C_kk,

    precision = TP / Σ_i C_ik    recall = TP / Σ_j C_kj    f1 = 2 TP / (Σ_i C_ik + Σ_j C_kj)

and 0 where nothing is to be divided by. F1 of a mask's pixels is its Dice coefficient. Averages are
"macro", the plain mean over classes; "weighted", by the examples of each class; "micro", of the
counts of all classes together, which for single labels is the accuracy.
"""

from typing import Any, Literal, TypeAlias

import numpy as np

from .._core._checks import positive
from .._core._specs import describe
from ._host import Floats, Integers, check_same, classes_of

Average: TypeAlias = Literal["macro", "micro", "weighted"]


def confusion_matrix(predicted: Any, labels: Any, classes: int) -> Integers:
    """Confusion matrix of a whole set: row the label, column what was predicted, entry how many.

    Args:
        predicted: class numbers, integers of any shape: `logits.argmax(-1)`, `(logit > 0)`.
        labels: class numbers of the same shape.
        classes: how many there are.

    Returns:
        int64 (classes, classes).

    Raises:
        ValueError: shapes that differ; empty arrays; numbers outside [0, classes).
        TypeError: arrays that are traced or not integers.

    >>> from laminax import nn
    >>> nn.metrics.confusion_matrix(np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0]), 2)
    array([[2, 1],
           [0, 1]])
    """
    positive("confusion_matrix", "classes", classes)
    columns = classes_of("confusion_matrix", "predicted", predicted, classes)
    rows = classes_of("confusion_matrix", "labels", labels, classes)
    check_same("confusion_matrix", predicted=columns, labels=rows)
    counts = np.bincount((rows * classes + columns).ravel(), minlength=classes**2)
    return counts.reshape(classes, classes).astype(np.int64)


def precision(confusion: Any, average: Average | None = None) -> Any:
    """Precision from a confusion matrix: of what was given a class, the fraction that is of it.

    Args:
        confusion: (classes, classes), see `confusion_matrix`.
        average: "macro", "weighted" or "micro"; None is per class.

    Returns:
        float64 (classes,), or a number where it is averaged.

    Raises:
        ValueError: a matrix that is not square; another average.

    >>> from laminax import nn
    >>> nn.metrics.precision(np.array([[2, 1], [0, 1]]))
    array([1. , 0.5])
    """
    right, given, _ = _counts("precision", confusion, average)
    return _averaged(right, given, confusion, average)


def recall(confusion: Any, average: Average | None = None) -> Any:
    """Recall from a confusion matrix: of what is of a class, the fraction that was given it.

    Args:
        confusion: (classes, classes), see `confusion_matrix`.
        average: "macro", "weighted" or "micro"; None is per class.

    Returns:
        float64 (classes,), or a number where it is averaged.

    Raises:
        ValueError: a matrix that is not square; another average.

    >>> from laminax import nn
    >>> nn.metrics.recall(np.array([[3, 1], [0, 1]]))
    array([0.75, 1.  ])
    """
    right, _, true = _counts("recall", confusion, average)
    return _averaged(right, true, confusion, average)


def f1(confusion: Any, average: Average | None = None) -> Any:
    """F1 from a confusion matrix: the harmonic mean of precision and recall.

    Args:
        confusion: (classes, classes), see `confusion_matrix`.
        average: "macro", "weighted" or "micro"; None is per class.

    Returns:
        float64 (classes,), or a number where it is averaged.

    Raises:
        ValueError: a matrix that is not square; another average.

    >>> from laminax import nn
    >>> confusion = np.array([[2, 2], [0, 2]])
    >>> nn.metrics.f1(confusion).round(3).tolist(), round(nn.metrics.f1(confusion, "macro"), 3)
    ([0.667, 0.667], 0.667)
    """
    right, given, true = _counts("f1", confusion, average)
    return _averaged(2 * right, given + true, confusion, average)


def _counts(kind: str, confusion: Any, average: str | None) -> tuple[Floats, Floats, Floats]:
    """Return, per class, how many are right, given that class, and truly of it."""
    if average not in (None, "macro", "micro", "weighted"):
        raise ValueError(
            f"{kind}: average must be 'macro', 'micro', 'weighted' or None, got {average!r}"
        )
    matrix = np.asarray(confusion, np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(
            f"{kind}: confusion must be (classes, classes), got {describe(confusion)}; "
            "make it by confusion_matrix(predicted, labels, classes)"
        )
    right, given, true = np.diag(matrix), matrix.sum(0), matrix.sum(1)
    if average == "micro":
        right, given, true = (a.sum(keepdims=True) for a in (right, given, true))
    return right, given, true


def _averaged(part: Floats, whole: Floats, confusion: Any, average: str | None) -> Any:
    values = np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)
    if average is None:
        return values
    weights = np.asarray(confusion).sum(1) if average == "weighted" else None
    return float(np.average(values, weights=weights))

"""Rows of losses and metrics."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from laminax.nn import losses, metrics

from ..kinds import BATCH, Measure, Whole, integers, normal


def classes(*shape: int) -> Callable[[], tuple[Any, ...]]:
    """Scores of three classes, and labels, for the positions of `shape`."""
    return lambda: (normal(*shape, 3), integers(*shape, below=3))


def binary(*shape: int) -> Callable[[], tuple[Any, ...]]:
    return lambda: (normal(*shape), integers(*shape, below=2))


def numbers() -> tuple[Any, ...]:
    return normal(BATCH, 2, 3), normal(BATCH, 2, 3, seed=1)


def distributions(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(3), shape).astype(np.float32)


def embeddings(count: int) -> Callable[[], tuple[Any, ...]]:
    return lambda: tuple(normal(BATCH, 3, seed=i) for i in range(count))


def spoken() -> tuple[Any, ...]:
    labels = np.array([[1, 2], [2, 2], [1, 1], [2, 1]] * 2, np.int32)
    lengths = np.array([5, 5, 4, 3, 5, 4, 5, 2], np.int32)
    return normal(BATCH, 5, 3), (labels, lengths, np.array([2, 2, 2, 1, 1, 0, 2, 2], np.int32))


def padded() -> tuple[Any, ...]:
    scores, labels = classes(BATCH, 5)()
    real = np.arange(5) < np.array([5, 1, 0, 3, 4, 2, 5, 1])[:, None]
    return scores, (np.where(real, labels, -1), real)


def weights() -> np.ndarray:
    return np.array([0, 1, 2.5, 0.5, 0, 3, 1, 1], np.float32)


MEASURES = [
    Measure("losses.cross_entropy", losses.cross_entropy, classes(BATCH), "classes"),
    Measure("losses.cross_entropy", losses.cross_entropy, classes(BATCH, 5), "sequence"),
    Measure(
        "losses.cross_entropy",
        losses.cross_entropy,
        lambda: (normal(BATCH, 3), normal(BATCH, 3, seed=1) ** 2),
        "probabilities",
    ),
    Measure("losses.binary_cross_entropy", losses.binary_cross_entropy, binary(BATCH)),
    Measure(
        "losses.binary_cross_entropy",
        losses.binary_cross_entropy,
        lambda: (normal(BATCH, 3), distributions(BATCH)),
        "probabilities",
    ),
    Measure(
        "losses.log_loss",
        losses.log_loss,
        lambda: (distributions(BATCH), integers(BATCH, below=3)),
        bounded=True,
    ),
    Measure(
        "losses.binary_log_loss",
        losses.binary_log_loss,
        lambda: (distributions(BATCH), integers(BATCH, 3, below=2)),
        bounded=True,
    ),
    Measure("losses.focal", losses.focal, classes(BATCH)),
    Measure("losses.binary_focal", losses.binary_focal, binary(BATCH, 2)),
    Measure("losses.hinge", losses.hinge, binary(BATCH)),
    Measure("losses.multiclass_hinge", losses.multiclass_hinge, classes(BATCH)),
    Measure("losses.squared_error", losses.squared_error, numbers),
    Measure("losses.half_squared_error", losses.half_squared_error, numbers),
    Measure("losses.absolute_error", losses.absolute_error, numbers),
    Measure("losses.euclidean_error", losses.euclidean_error, numbers),
    Measure("losses.huber", losses.huber, numbers),
    Measure(
        "losses.kl_divergence",
        losses.kl_divergence,
        lambda: (normal(BATCH, 3), distributions(BATCH)),
    ),
    Measure("losses.gaussian_kl", losses.gaussian_kl, numbers),
    Measure(
        "losses.gaussian_nll",
        losses.gaussian_nll,
        lambda: (numbers(), normal(BATCH, 2, 3, seed=2)),
        bounded=True,
    ),
    Measure("losses.ctc", losses.ctc, spoken),
    Measure(
        "losses.contrastive",
        losses.contrastive,
        lambda: (embeddings(2)(), integers(BATCH, below=2)),
    ),
    Measure("losses.triplet", losses.triplet, embeddings(3)),
    Measure("losses.info_nce", losses.info_nce, embeddings(2), contrasts=True),
    Measure("losses.nt_xent", losses.nt_xent, embeddings(2), contrasts=True),
    Measure("losses.masked", losses.masked(losses.cross_entropy), padded),
    Measure(
        "losses.weighted",
        losses.weighted(losses.squared_error),
        lambda: (normal(BATCH, 3), (normal(BATCH, 3, seed=1), weights())),
    ),
    Measure(
        "losses.class_weighted",
        losses.class_weighted(losses.cross_entropy, [0.5, 0.0, 2.0]),
        classes(BATCH, 2),
    ),
    Measure("losses.smoothed", losses.smoothed(losses.cross_entropy, 0.1), classes(BATCH)),
    Measure("metrics.accuracy", metrics.accuracy, classes(BATCH), smooth=False),
    Measure("metrics.accuracy", metrics.accuracy, classes(BATCH, 5), "sequence", smooth=False),
    Measure("metrics.binary_accuracy", metrics.binary_accuracy, binary(BATCH), smooth=False),
    Measure(
        "metrics.top_k", lambda z, y: metrics.top_k(z, y, k=2), classes(BATCH, 2), smooth=False
    ),
]


def counted(name: str, average: Any = None) -> Whole:
    """Return the row of a metric of the confusion matrix, against scikit-learn's of that name."""

    def function(predicted: Any, labels: Any) -> Any:
        return getattr(metrics, name)(metrics.confusion_matrix(predicted, labels, 4), average)

    def reference(predicted: Any, labels: Any) -> Any:
        import sklearn.metrics

        theirs = getattr(sklearn.metrics, "f1_score" if name == "f1" else f"{name}_score")
        return theirs(labels, predicted, labels=range(4), average=average, zero_division=0)

    return Whole(f"metrics.{name}", function, guesses, reference, average or "by_class")


def guesses() -> tuple[Any, ...]:
    """Predictions and labels of four classes, of which one is never predicted."""
    return integers(60, below=3, seed=1), integers(60, below=4)


def sklearn_of(name: str) -> Callable[..., Any]:
    def reference(prediction: Any, target: Any) -> Any:
        import sklearn.metrics

        # It would compute in the float32 that it is given.
        return getattr(sklearn.metrics, name)(*map(in_float64, (target, prediction)))

    return reference


def in_float64(a: np.ndarray) -> np.ndarray:
    return a.astype(np.float64) if a.dtype == np.float32 else a


def calibration_by_bins(logits: Any, labels: Any) -> float:
    import scipy.special
    import scipy.stats

    p = scipy.special.softmax(logits.astype(np.float64), -1)
    right, edges = p.argmax(-1) == labels, np.linspace(0, 1, 16)
    error = 0.0
    for low, high in itertools.pairwise(edges):
        inside = (p.max(-1) > low) & (p.max(-1) <= high)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - p.max(-1)[inside].mean())
    return error


def perplexity_by_hand(losses: Any) -> float:
    return float(np.exp(np.mean(losses, dtype=np.float64)))


def translations() -> tuple[Any, ...]:
    said = ["the cat sat on the mat", "a dog ran far, far away", "it rains in the north today"]
    meant = ["the cat sat on a mat", "the dog ran far, far away", "it snows in the north today"]
    return said, meant


def sacrebleu_of(said: Any, meant: Any) -> float:
    import sacrebleu

    return float(sacrebleu.BLEU().corpus_score(said, [meant]).score)


AVERAGES = (None, "macro", "weighted", "micro")

WHOLE = [
    Whole(
        "metrics.confusion_matrix",
        lambda predicted, labels: metrics.confusion_matrix(predicted, labels, 4),
        guesses,
        sklearn_of("confusion_matrix"),
    ),
    *(counted(name, average) for name in ("precision", "recall", "f1") for average in AVERAGES),
    Whole(
        "metrics.auroc",
        metrics.auroc,
        lambda: (normal(60).round(1), integers(60, below=2)),  # rounded: many scores are equal
        sklearn_of("roc_auc_score"),
    ),
    Whole(
        "metrics.r2",
        metrics.r2,
        lambda: (normal(60) + normal(60, seed=1) / 3, normal(60)),
        sklearn_of("r2_score"),
    ),
    Whole(
        "metrics.r2",
        metrics.r2,
        lambda: (normal(60, 2) + 1e3, normal(60, 2) + normal(60, 2, seed=1) + 1e3),
        sklearn_of("r2_score"),
        "outputs",
    ),
    Whole(
        "metrics.calibration_error",
        metrics.calibration_error,
        lambda: (normal(60, 4), integers(60, below=4)),
        calibration_by_bins,
        needs="scipy",
    ),
    Whole(
        "metrics.perplexity",
        metrics.perplexity,
        lambda: (normal(60) ** 2,),
        perplexity_by_hand,
        needs="numpy",
    ),
    Whole("metrics.bleu", metrics.bleu, translations, sacrebleu_of, needs="sacrebleu"),
]

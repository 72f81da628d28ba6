"""Metrics of a whole set: values by hand, and what they refuse.

That they are the numbers of scikit-learn and sacreBLEU is a law in `tests/laws/test_whole.py`.
"""

import sys

import jax.numpy as jnp
import numpy as np
import pytest

from laminax.nn import losses, metrics

CONFUSION = np.array([[5, 1, 0], [2, 2, 0], [0, 0, 0]])


def test_confusion_matrix_counts_rows_of_labels():
    predicted, labels = np.array([[0, 1], [1, 2]]), np.array([[0, 1], [0, 1]])
    np.testing.assert_array_equal(
        metrics.confusion_matrix(predicted, labels, 3), [[1, 1, 0], [0, 1, 1], [0, 0, 0]]
    )
    assert metrics.confusion_matrix(np.array([True, False]), np.array([1, 1]), 2)[1, 1] == 1


def test_confusion_matrix_of_narrow_integers():
    predicted = np.full(300, 199, np.uint8)
    assert metrics.confusion_matrix(predicted, predicted, 200)[199, 199] == 300


def test_what_is_read_off_a_confusion_matrix():
    np.testing.assert_allclose(metrics.precision(CONFUSION), [5 / 7, 2 / 3, 0])
    np.testing.assert_allclose(metrics.recall(CONFUSION), [5 / 6, 1 / 2, 0])
    np.testing.assert_allclose(metrics.f1(CONFUSION), [10 / 13, 4 / 7, 0])
    assert metrics.f1(CONFUSION, "micro") == 0.7
    assert metrics.recall(CONFUSION, "weighted") == pytest.approx(0.7)
    assert metrics.recall(CONFUSION, "macro") == pytest.approx((5 / 6 + 1 / 2) / 3)


def test_f1_of_pixels_is_dice():
    a, b = np.random.default_rng(0).random((2, 9, 9)) > 0.4
    dice = 2 * (a & b).sum() / (a.sum() + b.sum())
    assert metrics.f1(metrics.confusion_matrix(a, b, 2))[1] == pytest.approx(dice)


def test_auroc_is_the_fraction_of_pairs_in_order():
    scores, labels = np.array([3.0, 1.0, 2.0, 2.0, 0.0]), np.array([1, 1, 0, 1, 0])
    pairs = [(s > t) + (s == t) / 2 for s in scores[labels == 1] for t in scores[labels == 0]]
    assert metrics.auroc(scores, labels) == pytest.approx(np.mean(pairs))
    assert metrics.auroc(scores, labels == 0) == pytest.approx(1 - np.mean(pairs))


def test_r2_at_its_landmarks():
    y = np.array([1.0, 2.0, 4.0])
    assert metrics.r2(y, y) == 1
    assert metrics.r2(np.full(3, y.mean()), y) == pytest.approx(0)
    with pytest.raises(ValueError, match="every output of the target must vary"):
        metrics.r2(y, np.ones(3))


def test_r2_of_a_target_far_from_zero():
    y = np.array([1e6, 1e6 + 1, 1e6 + 2])
    assert metrics.r2(y + 0.5, y) == pytest.approx(1 - 0.75 / 2)


def test_calibration_error_by_hand():
    logits = np.log([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.5, 0.5]])
    labels = np.array([0, 1, 1, 1])  # right half of the time at 0.9, always at 0.6, never at 0.5
    expected = (2 * 0.4 + 0.4 + 0.5) / 4
    assert metrics.calibration_error(logits, labels, bins=10) == pytest.approx(expected)
    sure = np.array([[1e4, -1e4]])
    assert metrics.calibration_error(sure, np.array([0])) == 0
    assert metrics.calibration_error(sure, np.array([1])) == 1


def test_perplexity_of_losses():
    logits, labels = jnp.zeros((2, 3, 7)), np.array([[0, 1, -1], [2, -1, -1]])
    masked = losses.masked(losses.cross_entropy)(logits, (labels, labels >= 0))
    assert metrics.perplexity(masked) == pytest.approx(7)
    assert metrics.perplexity(np.log(3.0)) == pytest.approx(3)
    total, count = np.array([2.0, 4.0]), np.array([1.0, 3.0])
    assert metrics.perplexity((total, count)) == pytest.approx(np.exp(6 / 4))
    with pytest.raises(ValueError, match="counts no token"):
        metrics.perplexity((np.zeros(2), np.zeros(2)))


def test_bleu_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(ImportError, match=r'pip install "laminax\[text\]"'):
        metrics.bleu(["a"], ["a"])


def test_bleu_of_several_references():
    pytest.importorskip("sacrebleu")
    said = ["the cat sat on the mat", "it rains all day long"]
    references = [("the cat sat on the mat", "a dog"), ("no", "rain", "it rains all day long")]
    assert metrics.bleu(said, references) == pytest.approx(100)
    assert metrics.bleu(said, ["a dog", "it rains all day long"]) < 90


def test_bleu_of_what_it_cannot_take():
    with pytest.raises(TypeError, match="lists of strings, got one string"):
        metrics.bleu("a b c", ["a b c"])
    with pytest.raises(ValueError, match="got 1 for 2"):
        metrics.bleu(["a", "b"], ["a"])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: metrics.confusion_matrix(np.eye(2), [0, 1], 2), TypeError, r"take argmax\(-1\)"),
        (lambda: metrics.confusion_matrix([0, 2], [0, 1], 2), ValueError, r"in \[0, 2\), got 2"),
        (lambda: metrics.confusion_matrix([0], [0, 1], 2), ValueError, "must have one shape"),
        (lambda: metrics.precision(np.ones((2, 3))), ValueError, "make it by confusion_matrix"),
        (lambda: metrics.recall(CONFUSION, "mean"), ValueError, "average must be"),
        (lambda: metrics.auroc([0.1, 0.2], [1, 1]), ValueError, "both classes, got 0 of 0"),
        (lambda: metrics.auroc([0.1, np.nan], [0, 1]), ValueError, "must be finite, got nan"),
        (lambda: metrics.auroc(["a"], [0]), TypeError, "must be an array of numbers"),
        (lambda: metrics.r2(np.ones((2, 1)), np.ones(2)), ValueError, "must have one shape"),
        (lambda: metrics.r2(np.ones((2, 1, 1)), np.ones((2, 1, 1))), ValueError, "got shape"),
        (lambda: metrics.calibration_error(np.eye(2), [0]), ValueError, "labels must be integers"),
    ],
)
def test_what_they_refuse(call, error, message):
    with pytest.raises(error, match=message):
        call()

"""Accuracy against a plain count, ties, NaN and sequences."""

import jax.numpy as jnp
import numpy as np

from laminax import nn


def test_accuracy_is_the_fraction_of_right_answers():
    random = np.random.default_rng(0)
    logits, labels = random.normal(size=(50, 4)).astype(np.float32), random.integers(0, 4, 50)
    right = nn.metrics.accuracy(logits, labels)
    assert right.dtype == jnp.float32 and right.shape == (50,)
    expected = np.mean([row.argmax() == label for row, label in zip(logits, labels, strict=True)])
    np.testing.assert_allclose(right.mean(), expected, rtol=1e-6)
    assert 0 < expected < 1


def test_of_equal_logits_the_first_counts():
    np.testing.assert_array_equal(
        nn.metrics.accuracy(np.zeros((3, 3), np.float32), np.arange(3)), [1, 0, 0]
    )


def test_nan_is_never_right():
    logits = np.full((2, 2), np.nan, np.float32)
    np.testing.assert_array_equal(nn.metrics.accuracy(logits, np.array([0, 1])), [0, 0])


def test_of_probabilities_the_largest_is_the_label():
    logits = np.array([[0.0, 1.0], [0.0, 1.0]], np.float32)
    labels = np.array([[0.4, 0.6], [0.6, 0.4]], np.float32)
    np.testing.assert_array_equal(nn.metrics.accuracy(logits, labels), [1, 0])


def test_a_sequence_gives_sum_and_count():
    logits = np.eye(3, dtype=np.float32)[np.array([[0, 1, 2, 0], [1, 1, 1, 1]])]
    total, count = nn.metrics.accuracy(logits, np.array([[0, 1, 2, 1], [0, 0, 0, 1]]))
    np.testing.assert_array_equal(total, [3, 1])
    np.testing.assert_array_equal(count, [4, 4])

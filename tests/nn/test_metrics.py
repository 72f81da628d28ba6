"""Metrics of an example against plain counts: ties, NaN and sequences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

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


def test_binary_accuracy():
    z, y = np.array([[2.0, -1.0], [0.0, 3.0], [np.nan, -1.0]], np.float32), [[1, 1], [0, 1], [1, 0]]
    total, count = nn.metrics.binary_accuracy(z, np.array(y))
    np.testing.assert_array_equal(total, [1, 2, 1])
    np.testing.assert_array_equal(count, [2, 2, 2])
    np.testing.assert_array_equal(
        nn.metrics.binary_accuracy(z[:2, 1], np.array([0.4, 0.6], np.float32)), [1, 1]
    )


@pytest.mark.parametrize("k", [1, 2, 3, 10])
def test_top_k_is_a_sort(k):
    random = np.random.default_rng(0)
    logits = random.integers(0, 6, (80, 10)).astype(np.float32)  # many are equal
    labels = random.integers(0, 10, 80)
    order = np.argsort(-logits, axis=1, kind="stable")
    expected = [label in row[:k] for row, label in zip(order, labels, strict=True)]
    right = nn.metrics.top_k(logits, labels, k=k)
    np.testing.assert_array_equal(right, np.array(expected, np.float32))
    if k == 1:
        np.testing.assert_array_equal(right, nn.metrics.accuracy(logits, labels))


def test_top_k_of_nan_and_of_what_is_no_class():
    logits = np.array([[np.nan, 1.0, 2.0]], np.float32)
    np.testing.assert_array_equal(nn.metrics.top_k(logits, np.array([2]), k=3), [0])
    read = jax.jit(lambda z, y: nn.metrics.top_k(z, y, k=3))(jnp.zeros((2, 3)), jnp.array([3, -1]))
    np.testing.assert_array_equal(read, [0, 0])
    with pytest.raises(ValueError, match="k must be an integer of at least 1, got 0"):
        nn.metrics.top_k(logits, np.array([2]), k=0)

"""Losses against NumPy in extended precision, and what they refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

LABELS = np.array([2, 0, 1, 2])


def logits(scale=1.0, shape=(4, 3)):
    return np.asarray(scale * np.random.default_rng(0).normal(size=shape), np.float32)


def reference(z, p):
    """-Σ p log softmax(z), in extended precision."""
    z = z.astype(np.longdouble)
    z = z - z.max(-1, keepdims=True)
    return -(p * (z - np.log(np.exp(z).sum(-1, keepdims=True)))).sum(-1)


@pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])
def test_cross_entropy_of_classes(scale):
    z = logits(scale)
    loss = nn.losses.cross_entropy(jnp.asarray(z), jnp.asarray(LABELS))
    np.testing.assert_allclose(loss, reference(z, np.eye(3)[LABELS]), rtol=2e-6, atol=1e-7)


def test_cross_entropy_at_the_edge_of_the_range():
    z = jnp.array([[1e4, -1e4], [1e4, -1e4], [1e4, 1e4], [-1e4, -1e4]])
    loss, gradient = jax.value_and_grad(
        lambda z: nn.losses.cross_entropy(z, jnp.array([0, 1, 0, 1])).sum()
    )(z)
    log2 = np.log(2)
    np.testing.assert_allclose(loss, 2e4 + 2 * log2, rtol=1e-6)
    np.testing.assert_allclose(
        nn.losses.cross_entropy(z, jnp.array([0, 1, 0, 1])), [0, 2e4, log2, log2], rtol=1e-6
    )
    np.testing.assert_allclose(gradient, [[0, 0], [1, -1], [-0.5, 0.5], [0.5, -0.5]], atol=1e-7)


def test_cross_entropy_keeps_small_differences_of_large_logits():
    z = jnp.array([[1e4, 1e4 - 0.5]])
    loss = nn.losses.cross_entropy(z, jnp.array([1]))
    np.testing.assert_allclose(loss, np.log1p(np.exp(0.5)), rtol=1e-6)


def test_cross_entropy_of_probabilities():
    z, p = logits(), np.random.default_rng(1).dirichlet(np.ones(3), 4)
    loss = nn.losses.cross_entropy(jnp.asarray(z), p)
    np.testing.assert_allclose(loss, reference(z, p), rtol=2e-6)


def test_probabilities_of_one_class_are_that_class():
    z, hot = jnp.asarray(logits()), jnp.asarray(np.eye(3)[LABELS], jnp.float32)
    np.testing.assert_allclose(
        nn.losses.cross_entropy(z, hot), nn.losses.cross_entropy(z, LABELS), rtol=1e-6
    )


def test_the_gradient_is_softmax_minus_the_label():
    z = logits()
    gradient = jax.grad(lambda z: nn.losses.cross_entropy(z, jnp.asarray(LABELS)).sum())(z)
    softmax = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    np.testing.assert_allclose(gradient, softmax - np.eye(3)[LABELS], atol=1e-6)


def test_a_sequence_gives_sum_and_count():
    z, labels = logits(shape=(2, 5, 3)), np.arange(10).reshape(2, 5) % 3
    total, count = nn.losses.cross_entropy(jnp.asarray(z), labels)
    expected = reference(z, np.eye(3)[labels])
    np.testing.assert_allclose(total, expected.sum(1), rtol=1e-5)
    np.testing.assert_array_equal(count, [5.0, 5.0])
    assert total.dtype == count.dtype == jnp.float32


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.uint16, np.int32, np.uint32])
def test_labels_of_any_integer_dtype(dtype):
    z = logits(shape=(2, 300))  # more classes than uint8 can count
    labels = np.array([3, 100], dtype)
    expected = reference(z, np.eye(300)[[3, 100]])
    loss = jax.jit(nn.losses.cross_entropy)(z, jnp.asarray(labels))
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    np.testing.assert_array_equal(
        nn.metrics.accuracy(np.eye(300, dtype=np.float32)[[3, 101]], labels), [1.0, 0.0]
    )


def test_half_precision_logits_are_computed_in_float32():
    z = jnp.asarray(logits(), jnp.bfloat16)
    loss = nn.losses.cross_entropy(z, LABELS)
    assert loss.dtype == jnp.float32
    exact = reference(np.asarray(z, np.float64), np.eye(3)[LABELS])
    np.testing.assert_allclose(loss, exact, rtol=2e-6)


@pytest.mark.parametrize("label", [-1, -3, 3, 300])
def test_a_label_that_is_no_class_reads_nan_under_jit(label):
    labels = jnp.array([0, label, 2, 1])
    loss = jax.jit(nn.losses.cross_entropy)(logits(), labels)
    np.testing.assert_array_equal(jnp.isnan(loss), [False, True, False, False])


def test_a_row_of_weight_zero_takes_no_part_even_if_its_label_is_no_class():
    def weighted(z, labels):
        weight = jnp.array([1.0, 0.0, 1.0, 1.0])
        return jnp.where(weight > 0, nn.losses.cross_entropy(z, labels), 0).sum()

    gradient = jax.jit(jax.grad(weighted))(logits(), jnp.array([0, -1, 2, 1]))
    assert jnp.isfinite(gradient).all() and not gradient[1].any()


@pytest.mark.parametrize("label", [-1, 3])
def test_a_known_label_that_is_no_class_raises(label):
    with pytest.raises(ValueError, match=rf"must lie in \[0, 3\), got {label} at index 1"):
        nn.losses.cross_entropy(logits(), np.array([0, label, 2, 1]))


def test_check_labels_leaves_probabilities_and_good_labels_alone():
    nn.losses.check_labels(LABELS, 3)
    nn.losses.check_labels(np.full((2, 3), 7.5), 3)
    nn.losses.check_labels(np.zeros(0, np.int32), 3)
    with pytest.raises(ValueError, match="got 5 at index 1, 0"):
        nn.losses.check_labels(np.array([[0, 1], [5, 2]]), 3)


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (np.zeros(4, np.float32), ValueError, "cast class numbers to an integer dtype"),
        (np.zeros((4, 1), np.int32), ValueError, "squeeze or flatten"),
        (np.zeros((4, 2), np.float32), ValueError, r"got float32\[4, 2\]"),
        (np.zeros(3, np.int32), ValueError, r"got int32\[3\]"),
        (np.zeros(4, bool), TypeError, "integers or probabilities"),
        ([0, 1, 2, 0], TypeError, "one array"),
    ],
)
def test_labels_that_do_not_fit(labels, error, message):
    for measure in (nn.losses.cross_entropy, nn.metrics.accuracy):
        with pytest.raises(error, match=message):
            measure(logits(), labels)


@pytest.mark.parametrize("measure", [nn.losses.cross_entropy, nn.metrics.accuracy])
def test_logits_that_do_not_fit(measure):
    with pytest.raises(ValueError, match="is the batch axis missing"):
        measure(np.zeros(3, np.float32), np.zeros((), np.int32))
    with pytest.raises(TypeError, match="logits must be floating"):
        measure(np.zeros((4, 3), np.int32), LABELS)


def test_squared_error_sums_over_an_example():
    prediction, target = logits(shape=(4, 2, 3)), logits(2.0, shape=(4, 2, 3))
    loss = nn.losses.squared_error(jnp.asarray(prediction), jnp.asarray(target))
    np.testing.assert_allclose(loss, ((prediction - target) ** 2).sum((1, 2)), rtol=1e-6)
    alone = nn.losses.squared_error(prediction[:, 0, 0], target[:, 0, 0])
    np.testing.assert_allclose(alone, (prediction - target)[:, 0, 0] ** 2, rtol=1e-6)


def test_squared_error_of_half_precision_and_integers():
    prediction, target = jnp.array([[300.0, 1.0]], jnp.float16), np.array([[0, 1]])
    np.testing.assert_array_equal(nn.losses.squared_error(prediction, target), [90_000.0])


@pytest.mark.parametrize("shape", [(4,), (4, 3), (1, 1), (4, 1, 1)])
def test_squared_error_never_broadcasts(shape):
    with pytest.raises(ValueError, match=r"one shape .* reshape one"):
        nn.losses.squared_error(np.zeros((4, 1), np.float32), np.zeros(shape, np.float32))


def test_squared_error_of_what_it_cannot_take():
    with pytest.raises(TypeError, match="prediction must be floating"):
        nn.losses.squared_error(np.zeros(4, np.int32), np.zeros(4))
    with pytest.raises(ValueError, match="batch"):
        nn.losses.squared_error(np.zeros((), np.float32), np.zeros((), np.float32))

"""Losses of yes and no, of probabilities, with focus and with a margin, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from laminax.nn import losses

Z = np.array([[-3.0, 0.5, 20.0], [2.0, -20.0, 0.0]])
Y = np.array([[1, 1, 1], [0, 0, 1]])
LABELS = np.array([2, 0, 1, 2])


def sigma(z):
    return 1 / (1 + np.exp(-np.asarray(z, np.longdouble)))


def scores(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def softmax(z):
    return np.exp(z) / np.exp(z).sum(-1, keepdims=True)


def test_binary_cross_entropy_keeps_what_is_nearly_right():
    loss = losses.binary_cross_entropy(jnp.asarray(Z, jnp.float32), Y)
    expected = -(Y * np.log(sigma(Z)) + (1 - Y) * np.log(sigma(-Z))).sum(1)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    alone = losses.binary_cross_entropy(jnp.array([20.0]), np.array([1]))
    np.testing.assert_allclose(alone, np.exp(-20), rtol=1e-5)


def test_binary_cross_entropy_at_the_edge_of_the_range():
    z, y = jnp.array([1e4, 1e4, -1e4, 0.0]), jnp.array([1, 0, 1, 1])
    gradient = jax.grad(lambda z: losses.binary_cross_entropy(z, y).sum())(z)
    np.testing.assert_allclose(
        losses.binary_cross_entropy(z, y), [0, 1e4, 1e4, np.log(2)], rtol=1e-6
    )
    np.testing.assert_allclose(gradient, [0, 1, -1, -0.5], atol=1e-7)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int32, np.float32])
def test_binary_labels_of_any_dtype(dtype):
    z = jnp.asarray(Z, jnp.float32)
    expected = losses.binary_cross_entropy(z, Y)
    np.testing.assert_array_equal(losses.binary_cross_entropy(z, Y.astype(dtype)), expected)
    np.testing.assert_array_equal(
        losses.hinge(z, Y.astype(dtype)), np.maximum(0, 1 - (2 * Y - 1) * Z).sum(1)
    )


@pytest.mark.parametrize("name", ["binary_cross_entropy", "binary_focal", "hinge"])
def test_what_is_no_yes_or_no(name):
    loss, z = getattr(losses, name), scores(3)
    for wrong in (np.array([1, -1, 1]), np.array([0, 255, 1]), np.array([0.0, np.nan, 1])):
        with pytest.raises(ValueError, match=r"labels must lie in \[0, 1\], got"):
            loss(z, wrong)
    read = jax.jit(loss)(z, jnp.array([0, 2, 1]))
    np.testing.assert_array_equal(np.isnan(read), [False, True, False])
    with pytest.raises(ValueError, match=r"one shape .* labels\[:, None\]"):
        loss(scores(3, 1), np.array([0, 1, 1]))
    with pytest.raises(TypeError, match="scores must be floating"):
        loss(np.zeros(3, int), np.array([0, 1, 1]))


def test_log_loss_is_cross_entropy_of_the_logarithm():
    q = softmax(scores(4, 3).astype(np.float64))
    expected = -np.log(q[np.arange(4), LABELS])
    np.testing.assert_allclose(losses.log_loss(jnp.asarray(q, jnp.float32), LABELS), expected, 1e-5)
    p = np.random.default_rng(1).dirichlet(np.ones(3), 4)
    np.testing.assert_allclose(
        losses.log_loss(jnp.asarray(q, jnp.float32), p), -(p * np.log(q)).sum(-1), rtol=1e-5
    )


def test_one_certain_error_is_finite():
    q = jnp.array([[1.0, 0.0]])
    loss, gradient = jax.value_and_grad(lambda q: losses.log_loss(q, jnp.array([1])).sum())(q)
    assert 80 < loss < 100 and jnp.isfinite(gradient).all()
    both = losses.binary_log_loss(jnp.array([[1.0, 0.0]]), jnp.array([[0, 1]]))
    assert 160 < both[0] < 200
    np.testing.assert_array_equal(losses.binary_log_loss(q, jnp.array([[1, 0]])), [0])


@pytest.mark.parametrize("loss", [losses.log_loss, losses.binary_log_loss])
def test_logits_are_no_probabilities(loss):
    labels = np.zeros((4, 3), np.float32)
    with pytest.raises(ValueError, match=r"probabilities must lie in \[0, 1\].*cross_entropy"):
        loss(scores(4, 3), labels)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal(gamma):
    z = 3 * scores(4, 3)
    p = softmax(z.astype(np.float64))[np.arange(4), LABELS]
    expected = -((1 - p) ** gamma) * np.log(p)
    loss = losses.focal(jnp.asarray(z), LABELS, gamma=gamma)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_focal_of_a_sequence():
    z, y = scores(2, 5, 3), np.arange(10).reshape(2, 5) % 3
    total, count = losses.focal(jnp.asarray(z), y)
    each = [losses.focal(jnp.asarray(z[:, t]), y[:, t]) for t in range(5)]
    np.testing.assert_allclose(total, np.sum(each, 0), rtol=1e-6)
    np.testing.assert_array_equal(count, [5, 5])


@pytest.mark.parametrize("alpha", [None, 0.25])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_binary_focal_is_optax_for_hard_labels(gamma, alpha):
    z = jnp.asarray(Z, jnp.float32)
    expected = optax.losses.sigmoid_focal_loss(
        z, jnp.asarray(Y, jnp.float32), alpha=alpha, gamma=gamma
    ).sum(1)
    np.testing.assert_allclose(
        losses.binary_focal(z, Y, gamma=gamma, alpha=alpha), expected, rtol=2e-5
    )


def test_focal_of_a_wrong_exponent_or_weight():
    with pytest.raises(ValueError, match="gamma must be at least 0, got -1"):
        losses.focal(scores(4, 3), LABELS, gamma=-1)
    with pytest.raises(ValueError, match=r"alpha must lie in \[0, 1\], got 2"):
        losses.binary_focal(scores(4), LABELS > 0, alpha=2)


def test_multiclass_hinge_is_the_lead_over_the_best_rival():
    z = 3 * scores(20, 4)
    y = np.random.default_rng(1).integers(0, 4, 20)
    rivals = np.where(np.eye(4, dtype=bool)[y], -np.inf, z).max(1)
    expected = np.maximum(0, 1 + rivals - z[np.arange(20), y])
    loss = losses.multiclass_hinge(jnp.asarray(z), y)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    theirs = jax.vmap(optax.losses.multiclass_hinge_loss)(jnp.asarray(z), jnp.asarray(y))
    np.testing.assert_allclose(loss, theirs, rtol=1e-5, atol=1e-6)
    assert (expected > 0).any() and (expected == 0).any()


@pytest.mark.parametrize("name", ["focal", "multiclass_hinge"])
def test_class_numbers_alone(name):
    loss = getattr(losses, name)
    with pytest.raises(TypeError, match=rf"{name}: labels must be integers.*argmax"):
        loss(scores(4, 3), scores(4, 3))
    read = jax.jit(loss)(scores(4, 3), jnp.array([0, 3, -1, 2]))
    np.testing.assert_array_equal(np.isnan(read), [False, True, True, False])

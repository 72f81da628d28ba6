"""Errors of numbers and divergences of distributions against NumPy, and what they refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax.nn import losses

PREDICTION = np.random.default_rng(0).normal(size=(4, 2, 3)).astype(np.float32)
TARGET = 2 * np.random.default_rng(1).normal(size=(4, 2, 3)).astype(np.float32)
E = (PREDICTION - TARGET).astype(np.float64)

EQUATIONS = {
    "half_squared_error": (E**2).sum((1, 2)) / 2,
    "absolute_error": np.abs(E).sum((1, 2)),
    "euclidean_error": np.sqrt((E**2).sum((1, 2))),
    "huber": np.where(np.abs(E) <= 1, E**2 / 2, np.abs(E) - 0.5).sum((1, 2)),
}


@pytest.mark.parametrize("name", EQUATIONS)
def test_equation(name):
    loss = getattr(losses, name)(jnp.asarray(PREDICTION), jnp.asarray(TARGET))
    np.testing.assert_allclose(loss, EQUATIONS[name], rtol=1e-5)


@pytest.mark.parametrize("name", [*EQUATIONS, "squared_error"])
def test_no_error_has_no_gradient(name):
    value, gradient = jax.value_and_grad(lambda y: getattr(losses, name)(y, TARGET).sum())(
        jnp.asarray(TARGET)
    )
    assert value == 0
    np.testing.assert_array_equal(gradient, np.zeros(TARGET.shape))


@pytest.mark.parametrize("name", [*EQUATIONS, "gaussian_kl"])
def test_nothing_broadcasts(name):
    with pytest.raises(ValueError, match=rf"{name}: .*one shape"):
        getattr(losses, name)(np.zeros((4, 1), np.float32), np.zeros(4, np.float32))
    with pytest.raises(TypeError, match="must be floating"):
        getattr(losses, name)(np.zeros(4, int), np.zeros(4, np.float32))


def test_the_gradient_of_half_the_square_is_the_error():
    gradient = jax.grad(lambda y: losses.half_squared_error(y, TARGET).sum())(PREDICTION)
    np.testing.assert_allclose(gradient, E, rtol=1e-5)


def test_huber_of_a_delta():
    e = jnp.array([0.1, 0.5, 2.0])
    np.testing.assert_allclose(
        losses.huber(e, jnp.zeros(3), delta=0.5), [0.005, 0.125, 0.875], rtol=1e-6
    )
    with pytest.raises(ValueError, match="delta must be above 0, got 0"):
        losses.huber(e, jnp.zeros(3), delta=0)


def test_divergence_of_a_distribution_from_itself_is_zero():
    z = np.array([[1.0, -2.0, 0.5], [0.0, 300.0, 0.0]], np.float32)
    p = jax.nn.softmax(jnp.asarray(z))
    np.testing.assert_allclose(losses.kl_divergence(z, p), [0, 0], atol=1e-6)


def test_kl_divergence():
    z, p = np.array([[0.5, -1.0, 2.0]]), np.array([[0.2, 0.0, 0.8]])
    q = np.exp(z) / np.exp(z).sum()
    expected = 0.2 * np.log(0.2 / q[0, 0]) + 0.8 * np.log(0.8 / q[0, 2])
    loss = losses.kl_divergence(jnp.asarray(z, jnp.float32), p.astype(np.float32))
    np.testing.assert_allclose(loss, [expected], rtol=1e-5)
    with pytest.raises(TypeError, match=r"probabilities must be floating.*cross_entropy"):
        losses.kl_divergence(jnp.asarray(z, jnp.float32), np.array([1]))


def test_gaussian_kl_is_an_integral():
    mean, variance = 0.7, 0.4
    x = np.linspace(-12, 12, 200_001)
    here = np.exp(-((x - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
    log_ratio = -((x - mean) ** 2) / (2 * variance) - np.log(variance) / 2 + x**2 / 2
    expected = (here * log_ratio).sum() * (x[1] - x[0])
    kl = losses.gaussian_kl(jnp.full((1, 3), mean), jnp.full((1, 3), np.log(variance)))
    np.testing.assert_allclose(kl, [3 * expected], rtol=1e-5)


def test_gaussian_kl_of_what_is_nearly_the_prior():
    small = losses.gaussian_kl(jnp.zeros(1), jnp.array([1e-3]))
    np.testing.assert_allclose(small, [(np.expm1(1e-3) - 1e-3) / 2], rtol=1e-3)


def test_gaussian_nll():
    mean, log_v, y = np.array([[1.0, 2.0]]), np.array([[0.5, -1.0]]), np.array([[0.0, 2.5]])
    v = np.exp(log_v)
    density = np.exp(-((y - mean) ** 2) / (2 * v)) / np.sqrt(2 * np.pi * v)
    prediction = tuple(jnp.asarray(a, jnp.float32) for a in (mean, log_v))
    loss = losses.gaussian_nll(prediction, jnp.asarray(y, jnp.float32))
    np.testing.assert_allclose(loss, -np.log(density).sum(1), rtol=1e-5)
    with pytest.raises(TypeError, match=r"must be the pair \(mean, log_variance\)"):
        losses.gaussian_nll(prediction[0], y)
    with pytest.raises(ValueError, match="log_variance and target must have one shape"):
        losses.gaussian_nll((prediction[0], prediction[1][:, :1]), jnp.asarray(y, jnp.float32))

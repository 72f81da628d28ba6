"""Activations against the equations of their module's docstring."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

X = np.linspace(-6, 6, 49)


def sigma(x):
    return 1 / (1 + np.exp(-x))


def tanh_gelu(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


EQUATIONS = {
    "elu": lambda x: np.where(x > 0, x, np.exp(x) - 1),
    "heaviside": lambda x: np.where(x >= 0, 1.0, 0.0),
    "log_softmax": lambda x: x - np.log(np.exp(x).sum(-1, keepdims=True)),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * (np.exp(x) - 1)),
    "sign": lambda x: np.where(x > 0, 1.0, np.where(x < 0, -1.0, 0.0)),
    "softplus": lambda x: np.log(1 + np.exp(x)),
    "relu": lambda x: np.maximum(x, 0),
    "gelu": tanh_gelu,
    "silu": lambda x: x * sigma(x),
    "sigmoid": sigma,
    "tanh": lambda x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)),
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True),
}


@pytest.mark.parametrize("name", EQUATIONS)
def test_equation(name):
    with jax.enable_x64(True):
        y = getattr(nn, name)(jnp.asarray(X.reshape(7, 7)))
        assert y.dtype == jnp.float64
        np.testing.assert_allclose(y, EQUATIONS[name](X.reshape(7, 7)), rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("name", EQUATIONS)
def test_it_is_a_layer_that_reads_by_its_name(name):
    activation = getattr(nn, name)
    assert activation is getattr(nn.activations, name)
    model = nn.serial(nn.dense(3), activation)
    assert repr(model) == f"serial(dense(3), {name})"
    assert list(model.children) == ["dense_0", f"{name}_0"]


def test_exact_gelu_as_documented():
    with jax.enable_x64(True):
        exact = [x * 0.5 * (1 + math.erf(x / math.sqrt(2))) for x in X]
        y = nn.gelu(jnp.asarray(X), approximate=False)
        np.testing.assert_allclose(y, exact, rtol=1e-12, atol=1e-15)


def test_softmax_of_large_logits_is_finite():
    np.testing.assert_allclose(nn.softmax(jnp.array([[1e4, -1e4, 1e4]])), [[0.5, 0, 0.5]])


def test_softmax_of_the_textbook():
    # Rounded there: 0.844, 0.042, 0.114.
    np.testing.assert_allclose(nn.softmax(jnp.array([3.0, 0, 1])), [0.84, 0.04, 0.11], atol=0.005)
    np.testing.assert_array_equal(
        nn.softmax(jnp.array([5.0, 2, 3])), nn.softmax(jnp.array([3.0, 0, 1]))
    )


@pytest.mark.parametrize("shift", [-700.0, 3.0, 1e6])
@pytest.mark.parametrize("function", [nn.softmax, nn.log_softmax], ids=lambda f: f.__name__)
def test_shift_invariance(function, shift):
    with jax.enable_x64(True):
        x = jnp.asarray(X.reshape(7, 7))
        np.testing.assert_allclose(function(x + shift), function(x), rtol=1e-9, atol=1e-12)


def test_tanh_is_a_stretched_sigmoid():
    with jax.enable_x64(True):
        x = jnp.asarray(X)
        np.testing.assert_allclose(nn.tanh(x), 2 * nn.sigmoid(2 * x) - 1, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("slope", [0.1, 0.01, 0])
def test_leaky_relu_of_a_slope(slope):
    y = nn.leaky_relu(slope)(jnp.asarray(X, jnp.float32))
    np.testing.assert_allclose(y, np.where(X >= 0, X, slope * X), rtol=1e-6)


def test_leaky_relu_is_to_be_made_first():
    assert list(nn.serial(nn.leaky_relu(0.1)).children) == ["leaky_relu_0"]
    with pytest.raises(TypeError, match=r"forgot \(\)\?"):
        nn.serial(nn.leaky_relu)
    with pytest.raises(TypeError, match=r"slope must be a number.*make the activation first"):
        nn.leaky_relu(jnp.ones(3))


def test_the_neuron_fires_at_its_threshold():
    np.testing.assert_array_equal(nn.heaviside(jnp.array([-1e-7, 0.0, 1e-7])), [0, 1, 1])
    assert not jax.grad(lambda x: nn.heaviside(x).sum())(jnp.array([-1.0, 0.0, 1.0])).any()

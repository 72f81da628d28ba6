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
        np.testing.assert_allclose(y, EQUATIONS[name](X.reshape(7, 7)), rtol=1e-12, atol=1e-15)


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

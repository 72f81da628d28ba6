"""Regression: affine maps of the inputs, or of their monomials, read as means, odds or classes.

    linear       y = x W + b
    polynomial   y = φ(x) W + b, φ(x) the monomials x_1^a_1 ... x_n^a_n of degree 1 to k
    logistic     P(y = 1) = σ(x w + b)
    softmax      P(y = c) = softmax(x W + b)_c

The parameters of each are {"dense_0": {"w", "b"}}; `least_squares`, `logistic_fit` and
`softmax_fit` find them without a training loop.
"""

import itertools
from typing import Any

import jax
import jax.numpy as jnp

from .._core._checks import feature_size, positive
from .._core._combinators import serial
from .._core._factory import factory
from .._core._layer import Context, Layer, Params, State, Variables, pointwise
from .._layers._linear import dense


@factory
def linear_regression(outputs: int = 1) -> Layer:
    """Linear regression: y = x W + b, x (..., inputs), y (..., outputs).

    Source: Legendre, Nouvelles méthodes pour la détermination des orbites des comètes, 1805.

    Args:
        outputs: size of the last axis of y.

    Raises:
        ValueError: outputs < 1.

    >>> from laminax import nn
    >>> x = jnp.array([[0.0], [1.0], [2.0]])
    >>> line = nn.least_squares(x, 2 * x + 1)
    >>> f"{nn.linear_regression()(line, jnp.array([[10.0]])).item():.3f}"
    '21.000'
    """
    positive("linear_regression", "outputs", outputs)
    return serial(dense(outputs))


@factory
def polynomial_regression(degree: int, outputs: int = 1) -> Layer:
    """Polynomial regression: y = φ(x) W + b, φ of `polynomial_features(degree)`.

    Source: Gergonne, Application de la méthode des moindres quarrés à l'interpolation des suites,
    1815.

    Args:
        degree: k, the highest of a monomial.
        outputs: size of the last axis of y.

    Raises:
        ValueError: degree or outputs < 1.

    >>> from laminax import nn
    >>> x = jnp.linspace(-1, 1, 9)[:, None]
    >>> cubic = nn.least_squares(x, x**3 - x, degree=3)
    >>> f"{nn.polynomial_regression(3)(cubic, jnp.array([[2.0]])).item():.3f}"
    '6.000'
    """
    positive("polynomial_regression", "degree", degree)
    positive("polynomial_regression", "outputs", outputs)
    return serial(polynomial_features(degree), dense(outputs))


@factory
def logistic_regression() -> Layer:
    """Logistic regression: z = x w + b (..., 1), the log odds of class 1; P(y = 1) = σ(z).

    Source: Cox, The regression analysis of binary sequences, 1958.

    >>> from laminax import nn
    >>> x, labels = jnp.array([[0.0], [1.0], [2.0], [3.0]]), jnp.array([0, 1, 0, 1])
    >>> variables = nn.logistic_fit(x, labels)
    >>> f"{nn.sigmoid(nn.logistic_regression()(variables, jnp.array([[1.5]]))).item():.3f}"
    '0.500'
    """
    return serial(dense(1))


@factory
def softmax_regression(classes: int) -> Layer:
    """Softmax regression: logits z = x W + b (..., classes); P(y = c) = softmax(z)_c.

    Source: Bridle, Probabilistic interpretation of feedforward classification network outputs,
    1990.

    Args:
        classes: number of classes.

    Raises:
        ValueError: classes < 1.

    >>> from laminax import nn
    >>> x, labels = jnp.array([[0.0], [1.0], [2.0], [1.0]]), jnp.array([0, 1, 2, 0])
    >>> variables = nn.softmax_fit(x, labels, 3, ridge=0.1)
    >>> nn.softmax_regression(3)(variables, jnp.array([[-9.0], [9.0]])).argmax(-1).tolist()
    [0, 2]
    """
    positive("softmax_regression", "classes", classes)
    return serial(dense(classes))


@factory
def polynomial_features(degree: int) -> Layer:
    """Monomials of degree 1 to k: (x_1, x_2) gives (x_1, x_2, x_1², x_1 x_2, x_2²) at k = 2.

    x (..., n), y (..., C(n + k, k) - 1), by degree and then by index. No parameters.

    Args:
        degree: k.

    Raises:
        ValueError: degree < 1.

    >>> from laminax import nn
    >>> nn.polynomial_features(2)(nn.Variables({}, {}), jnp.array([2.0, 3.0])).tolist()
    [2.0, 3.0, 4.0, 6.0, 9.0]
    """
    positive("polynomial_features", "degree", degree)

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        return Variables({}, {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        factors = _factors(feature_size("polynomial_features", x), degree)
        x = jnp.asarray(x)
        one = jnp.ones((*x.shape[:-1], 1), x.dtype)
        padded = jnp.concatenate([x, one], -1)
        y = padded[..., jnp.asarray(factors[0])]
        for factor in factors[1:]:
            y = y * padded[..., jnp.asarray(factor)]
        return y, state

    return pointwise(init, apply)


def _factors(inputs: int, degree: int) -> list[tuple[int, ...]]:
    """Return the first, second, ... factor of each monomial; input number `inputs` is the 1."""
    monomials = [
        indices + (inputs,) * (degree - k)
        for k in range(1, degree + 1)
        for indices in itertools.combinations_with_replacement(range(inputs), k)
    ]
    return list(zip(*monomials, strict=True))

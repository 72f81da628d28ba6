"""Regressions solved: by a singular value decomposition, or by Newton's method.

    least squares        min Σ_i |y_i - x_i W - b|² + λ |W|²
    maximum likelihood   min -Σ_i log P(y_i | x_i; W, b) + ½ λ |W|²

The bias b is not penalized.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from .._core._checks import positive
from .._core._layer import Params, Variables
from ._examples import classes as class_examples
from ._examples import nonnegative, targets
from ._regression import linear_regression, polynomial_features

_STEPS = 100
_HALVINGS = 30


def least_squares(x: Any, y: Any, *, degree: int = 1, ridge: Any = 0.0) -> Variables:
    """Least squares in closed form: min Σ_i |y_i - φ(x_i) W - b|² + λ |W|².

    By the singular value decomposition of the centered φ(x), never the normal equations. Where the
    examples leave W open, the W of least norm.

    Source: Hoerl and Kennard, Ridge regression, 1970.

    Args:
        x: (batch, inputs).
        y: (batch, outputs).
        degree: of φ, that of `polynomial_regression`; 1 is `linear_regression`.
        ridge: λ.

    Returns:
        The variables of `linear_regression(outputs)` or `polynomial_regression(degree, outputs)`.

    Raises:
        ValueError: shapes that do not fit, degree < 1, a negative ridge.

    >>> from laminax import nn
    >>> x = jnp.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 3.0]])
    >>> params, _ = nn.least_squares(x, x @ jnp.array([[1.0], [-2.0]]) + 3)
    >>> [f"{value:.3f}" for value in (*params["dense_0"]["w"][:, 0], *params["dense_0"]["b"])]
    ['1.000', '-2.000', '3.000']
    """
    positive("least_squares", "degree", degree)
    x, y = targets("least_squares", x, y)
    penalty = jnp.asarray(nonnegative("least_squares", "ridge", ridge), x.dtype)
    phi = polynomial_features(degree)(Variables({}, {}), x)
    solution: Variables = _least_squares(phi, y, penalty)
    return solution


def logistic_fit(x: Any, labels: Any, *, ridge: Any = 0.0) -> Variables:
    """Logistic regression of greatest likelihood: min -Σ_i log P(y_i | x_i) + ½ λ |w|².

    By Newton's method, which is iteratively reweighted least squares. Classes that a plane
    separates have no finite solution without a ridge: the steps then end at some large w.

    Source: Nelder and Wedderburn, Generalized linear models, 1972.

    Args:
        x: (batch, inputs); the Hessian has the square of their number of entries.
        labels: 0 or 1, integers (batch,).
        ridge: λ.

    Returns:
        The variables of `logistic_regression()`.

    Raises:
        ValueError: shapes that do not fit, a label other than 0 and 1, a negative ridge.
        TypeError: labels that are not integers.

    >>> from laminax import nn
    >>> x = jnp.array([[0.0], [0.0], [0.0], [1.0], [1.0], [1.0]])
    >>> params, _ = nn.logistic_fit(x, jnp.array([0, 0, 1, 0, 1, 1]))    # odds 1/2, then 2
    >>> [f"{value:.3f}" for value in (*params["dense_0"]["w"][:, 0], *params["dense_0"]["b"])]
    ['1.386', '-0.693']
    """
    x, labels = class_examples("logistic_fit", x, labels, 2)
    penalty = jnp.asarray(nonnegative("logistic_fit", "ridge", ridge), x.dtype)
    solution: Variables = _newton(_logistic_loss, x, labels, 1, penalty)
    return solution


def softmax_fit(x: Any, labels: Any, classes: int, *, ridge: Any = 0.0) -> Variables:
    """Softmax regression of greatest likelihood: min -Σ_i log softmax(x_i W + b)_{y_i} + ½ λ |W|².

    By Newton's method. Of the solutions, which a shift of all logits does not change, the one whose
    weights sum to zero over the classes. Classes that planes separate have no finite solution
    without a ridge: the steps then end at some large W.

    Source: Böhning, Multinomial logistic regression algorithm, 1992.

    Args:
        x: (batch, inputs); the Hessian has the square of inputs times classes entries.
        labels: class numbers, integers (batch,).
        classes: number of classes.
        ridge: λ.

    Returns:
        The variables of `softmax_regression(classes)`.

    Raises:
        ValueError: shapes that do not fit, a label that is no class, a negative ridge.
        TypeError: labels that are not integers.

    >>> from laminax import nn
    >>> x, labels = jnp.array([[0.0], [0.0], [1.0], [1.0]]), jnp.array([0, 1, 1, 2])
    >>> variables = nn.softmax_fit(x, labels, 3, ridge=1.0)
    >>> nn.softmax_regression(3)(variables, x).argmax(-1).tolist()
    [1, 1, 1, 1]
    """
    positive("softmax_fit", "classes", classes)
    x, labels = class_examples("softmax_fit", x, labels, classes)
    penalty = jnp.asarray(nonnegative("softmax_fit", "ridge", ridge), x.dtype)
    solution: Variables = _newton(_softmax_loss, x, labels, classes, penalty)
    return solution


@jax.jit
def _least_squares(phi: jax.Array, y: jax.Array, ridge: jax.Array) -> Variables:
    center, middle = phi.mean(0), y.mean(0)
    u, s, vt = jnp.linalg.svd(phi - center[None], full_matrices=False)
    kept = s > s.max() * max(phi.shape) * np.finfo(phi.dtype).eps
    inverse = jnp.where(kept, s / jnp.where(kept, s * s + ridge, 1), 0)
    w = vt.T @ (inverse[:, None] * (u.T @ (y - middle[None])))
    return Variables({"dense_0": {"w": w, "b": middle - center @ w}}, {})


def _logistic_loss(logits: jax.Array, labels: jax.Array) -> jax.Array:
    sign = jnp.where(labels == 1, -1, 1).astype(logits.dtype)
    return jax.nn.softplus(sign * logits[:, 0])


def _softmax_loss(logits: jax.Array, labels: jax.Array) -> jax.Array:
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1)[:, 0]


@functools.partial(jax.jit, static_argnums=(0, 3))
def _newton(
    loss: Callable[[jax.Array, jax.Array], jax.Array],
    x: jax.Array,
    labels: jax.Array,
    outputs: int,
    ridge: jax.Array,
) -> Variables:
    """Minimize a convex loss by Newton steps, each halved until the loss does not rise."""
    model = linear_regression(outputs)
    dense_0 = {"w": jnp.zeros((x.shape[1], outputs), x.dtype), "b": jnp.zeros(outputs, x.dtype)}
    start, unravel = ravel_pytree({"dense_0": dense_0})
    eps = np.finfo(x.dtype).eps

    def total(flat: jax.Array) -> jax.Array:
        params: Params = unravel(flat)
        penalty = 0.5 * ridge * jnp.square(params["dense_0"]["w"]).sum()
        return loss(model(Variables(params, {}), x), labels).sum() + penalty

    def descend(loop: Any) -> Any:
        count, at, _ = loop
        # Least norm, since a shift of all logits changes nothing: softmax's Hessian is singular.
        newton = -jnp.linalg.pinv(jax.hessian(total)(at), hermitian=True) @ jax.grad(total)(at)
        change = _halved(total, at, newton)
        # The error is about the square of the last change.
        done = jnp.abs(change).max() <= eps**0.5 * (1 + jnp.abs(at).max())
        return count + 1, at + change, done

    def going(loop: Any) -> Any:
        return ~loop[2] & (loop[0] < _STEPS)

    loop = jnp.zeros((), jnp.int32), start, jnp.zeros((), bool)
    return Variables(unravel(jax.lax.while_loop(going, descend, loop)[1]), {})


def _halved(total: Callable[[jax.Array], jax.Array], at: jax.Array, change: jax.Array) -> jax.Array:
    """Return the first of change, change / 2, ... that does not raise the loss beyond rounding."""
    highest = total(at) * (1 + 4 * np.finfo(at.dtype).eps)

    def raises(halvings: jax.Array) -> Any:
        return ~(total(at + change * 0.5**halvings) <= highest) & (halvings < _HALVINGS)

    zero = jnp.zeros((), at.dtype)
    halvings = jax.lax.while_loop(raises, lambda halvings: halvings + 1, zero)
    shortened: jax.Array = change * 0.5**halvings
    return shortened

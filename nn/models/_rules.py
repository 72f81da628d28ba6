"""The rules by which the first neurons learned: each example changes the weights in its turn.

    perceptron   W ← W + x (t - y),    y = H(s)
    Adaline      W ← W + η x (t - s),  s = x W + b

b learns as the weight of an input that is always 1.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from .._core._checks import positive, promote
from .._core._layer import Params, Variables
from ..activations._activations import heaviside
from ._examples import nonnegative, targets


def perceptron_rule(params: Params, x: Any, y: Any) -> Params:
    """Perceptron rule: W ← W + x (t - y), b ← b + (t - y), once an example, in the order given.

    Source: Rosenblatt, Principles of neurodynamics, 1962.

    Args:
        params: of `perceptron(outputs)`.
        x: (batch, inputs).
        y: the targets t, zeros and ones (batch, outputs).

    Raises:
        ValueError: shapes that do not fit.

    >>> from laminax import nn
    >>> params = {"dense_0": {"w": jnp.zeros((2, 1)), "b": jnp.zeros(1)}}
    >>> params = nn.perceptron_rule(params, jnp.array([[2.0, 3.0]]), jnp.array([[0.0]]))
    >>> params["dense_0"]["w"].tolist(), params["dense_0"]["b"].tolist()
    ([[-2.0], [-3.0]], [-1.0])
    """
    x, y = targets("perceptron_rule", x, y)
    return _in_turn("perceptron_rule", params, x, y, _miss)[0]


def adaline_rule(params: Params, x: Any, y: Any, rate: Any = 0.01) -> Params:
    """Delta rule (least mean squares): W ← W + η x (t - s), b ← b + η (t - s), s = x W + b.

    Once an example, in the order given: each is a step of rate η down the gradient of ½ (t - s)².
    It converges in the mean for η < 2 / |(x, 1)|².

    Source: Widrow and Hoff, Adaptive switching circuits, 1960.

    Args:
        params: of `adaline(outputs)`, or of any one `dense` in a `serial`.
        x: (batch, inputs).
        y: the targets t (batch, outputs), in Adaline -1 and 1.
        rate: η.

    Raises:
        ValueError: shapes that do not fit, a negative rate.

    >>> from laminax import nn
    >>> params = {"dense_0": {"w": jnp.zeros((2, 1)), "b": jnp.zeros(1)}}
    >>> params = nn.adaline_rule(params, jnp.array([[2.0, 4.0]]), jnp.array([[-1.0]]), 0.5)
    >>> params["dense_0"]["w"].tolist(), params["dense_0"]["b"].tolist()
    ([[-1.0], [-2.0]], [-0.5])
    """
    x, y = targets("adaline_rule", x, y)
    eta = jnp.asarray(nonnegative("adaline_rule", "rate", rate), x.dtype)
    return _in_turn("adaline_rule", params, x, y, lambda s, t: eta * (t - s))[0]


def perceptron_fit(x: Any, y: Any, *, epochs: int = 100) -> tuple[Variables, jax.Array]:
    """Perceptron trained from zero by its rule until a whole pass is free of mistakes.

    Where a plane with margin γ separates the examples (x, 1), of length at most R, there are at
    most (R / γ)² mistakes in all; where none does, every pass makes some.

    Source: Novikoff, On convergence proofs on perceptrons, 1962.

    Args:
        x: (batch, inputs).
        y: zeros and ones (batch, outputs).
        epochs: how many passes at most.

    Returns:
        The variables of `perceptron(outputs)`, and the mistakes of each pass, int32 (epochs,):
        zero from the pass that was free of them.

    Raises:
        ValueError: shapes that do not fit, epochs < 1, targets other than zeros and ones.

    >>> from laminax import nn
    >>> x = jnp.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> variables, mistakes = nn.perceptron_fit(x, jnp.array([[0], [1], [1], [1]]))    # OR
    >>> nn.perceptron()(variables, x)[:, 0].tolist(), int(mistakes.sum()), int(mistakes[-1])
    ([0.0, 1.0, 1.0, 1.0], 5, 0)
    """
    positive("perceptron_fit", "epochs", epochs)
    x, y = targets("perceptron_fit", x, y)
    if not isinstance(y, jax.core.Tracer) and not bool(((y == 0) | (y == 1)).all()):
        raise ValueError("perceptron_fit: y must hold zeros and ones, got others; give (y > 0)")
    fitted: tuple[Variables, jax.Array] = _until_right(x, y, epochs)
    return fitted


def _miss(s: jax.Array, t: jax.Array) -> jax.Array:
    missed: jax.Array = t - heaviside(s)
    return missed


def _in_turn(
    kind: str,
    params: Params,
    x: jax.Array,
    y: jax.Array,
    error: Callable[[jax.Array, jax.Array], jax.Array],
) -> tuple[Params, jax.Array]:
    """Present the examples one by one: W ← W + x e, b ← b + e with e = error(s, t); count e ≠ 0."""
    if set(params) != {"dense_0"} or set(params["dense_0"]) != {"w", "b"}:
        raise ValueError(
            f"{kind}: params must be those of one dense layer, {{'dense_0': {{'w', 'b'}}}}, got "
            f"{jax.tree.map(jnp.shape, params)}"
        )
    w, b = params["dense_0"]["w"], params["dense_0"]["b"]
    if jnp.shape(w) != (x.shape[1], y.shape[1]):
        raise ValueError(
            f"{kind}: w has shape {jnp.shape(w)}, but x has {x.shape[1]} inputs and y "
            f"{y.shape[1]} outputs; init the parameters for these"
        )

    def present(wb: Any, example: Any) -> tuple[Any, jax.Array]:
        (w, b), (x, t) = wb, example
        e = error(x @ w + b, t)
        return (w + jnp.outer(x, e), b + e), (e != 0).sum(dtype=jnp.int32)

    x, y, w, b = promote(x, y, w, b)
    (w, b), wrong = jax.lax.scan(present, (w, b), (x, y))
    return {"dense_0": {"w": w, "b": b}}, wrong.sum(dtype=jnp.int32)


@functools.partial(jax.jit, static_argnames="epochs")
def _until_right(x: jax.Array, y: jax.Array, epochs: int) -> tuple[Variables, jax.Array]:
    def wrong_still(loop: Any) -> Any:
        epoch, _, mistakes = loop
        return (epoch < epochs) & ((epoch == 0) | (mistakes[epoch - 1] > 0))

    def one_pass(loop: Any) -> Any:
        epoch, params, mistakes = loop
        params, wrong = _in_turn("perceptron_fit", params, x, y, _miss)
        return epoch + 1, params, mistakes.at[epoch].set(wrong)

    zero = {"w": jnp.zeros((x.shape[1], y.shape[1]), x.dtype), "b": jnp.zeros(y.shape[1], x.dtype)}
    start = jnp.zeros((), jnp.int32), {"dense_0": zero}, jnp.zeros(epochs, jnp.int32)
    _, params, mistakes = jax.lax.while_loop(wrong_still, one_pass, start)
    return Variables(params, {}), mistakes

"""Nonlinear conjugate gradients.

d ← −g + β d
β = ‖g‖² / ‖g′‖²                       Fletcher–Reeves
β = max(0, g · (g − g′) / ‖g′‖²)       Polak–Ribière, never below 0;  g′ the gradient before
β = 0                                  where |g · g′| > 0.2 ‖g‖², or d would not go down
"""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from ._descent import Function, Minimum, minimize
from ._products import hvp


class _CgState(NamedTuple):
    gradient: jax.Array
    direction: jax.Array


def minimize_cg(
    f: Function,
    x: Any,
    *,
    tolerance: ArrayLike = 1e-5,
    max_iterations: ArrayLike = 1000,
    beta: Literal["polak_ribiere", "fletcher_reeves"] = "polak_ribiere",
) -> Minimum:
    """Minimize f from x by nonlinear conjugate gradients, until ‖∇f‖₂ ≤ tolerance.

    The first trial step of each line search is the minimum of the quadratic that f, its slope and
    its curvature along the direction make (one `hvp`): on a quadratic of n variables it ends in n
    steps, up to rounding. It starts anew, β = 0, where successive gradients are far from orthogonal
    (without this, Fletcher–Reeves can stall). It keeps two vectors and no matrix. `x` is a tree of
    floating-point arrays. Raises TypeError for another x or an f that does not return one number;
    ValueError for an argument out of range, or where f or its gradient is not finite at a start
    that is known (under jit it is not: `converged` is then False).

    >>> import jax.numpy as jnp
    >>> from laminax.optim import curvature
    >>> ellipse = lambda x: (x["a"] - 1.0) ** 2 + 5.0 * (x["b"] + 2.0) ** 2
    >>> minimum = curvature.minimize_cg(ellipse, {"a": jnp.array(0.0), "b": jnp.array(0.0)})
    >>> {name: round(float(value), 3) for name, value in minimum.x.items()}
    {'a': 1.0, 'b': -2.0}
    >>> int(minimum.iterations), bool(minimum.converged)
    (2, True)

    Source: Fletcher and Reeves, Function minimization by conjugate gradients, 1964; Polak and
    Ribière, Note sur la convergence de méthodes de directions conjuguées, 1969; for the restarts
    Powell, Restart procedures for the conjugate gradient method, 1977.
    """
    if beta not in ("polak_ribiere", "fletcher_reeves"):
        raise ValueError(
            f"minimize_cg: beta is {beta!r}; expected 'polak_ribiere' or 'fletcher_reeves'."
        )
    return minimize("minimize_cg", f, x, _direction(beta), 0.1, tolerance, max_iterations)


def _direction(beta: str) -> optax.GradientTransformationExtraArgs:
    def init(x: jax.Array) -> _CgState:
        return _CgState(jnp.zeros_like(x), jnp.zeros_like(x))

    def update(
        gradient: jax.Array,
        state: _CgState,
        x: jax.Array,
        *,
        value_fn: Function,
        **extra: Any,
    ) -> tuple[jax.Array, _CgState]:
        change = gradient if beta == "fletcher_reeves" else gradient - state.gradient
        before = jnp.vdot(state.gradient, state.gradient)
        share = jnp.maximum(jnp.vdot(gradient, change), 0.0) / jnp.where(before > 0.0, before, 1.0)
        direction = -gradient + share * state.direction
        # Gradients far from orthogonal are the sign that conjugacy is lost.
        lost = jnp.abs(jnp.vdot(gradient, state.gradient)) > 0.2 * jnp.vdot(gradient, gradient)
        goes = (jnp.vdot(direction, gradient) < 0.0) & ~lost
        direction = jnp.where(goes, direction, -gradient)
        length = _first_length(value_fn, x, gradient, direction)
        return length * direction, _CgState(gradient, direction)

    return optax.GradientTransformationExtraArgs(init, update)


def _first_length(
    f: Function, x: jax.Array, gradient: jax.Array, direction: jax.Array
) -> jax.Array:
    """−g·d / |d·H d|: the minimum along d of a quadratic; where d bends down, as far the same."""
    bend = jnp.abs(jnp.vdot(direction, hvp(f, x, direction)))
    usable = (bend > 0.0) & jnp.isfinite(bend)
    slope = -jnp.vdot(gradient, direction)
    return jnp.where(usable, slope / jnp.where(usable, bend, 1.0), 1.0)

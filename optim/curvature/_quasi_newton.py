"""Quasi-Newton methods: the inverse Hessian from the steps and what they did to the gradient.

d = −B g,    B y = s  for the latest step s and its change y of the gradient
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from .._checks import check_steps
from ._descent import Function, Minimum, minimize


class _BfgsState(NamedTuple):
    count: jax.Array  # type: ignore[assignment]  # hides tuple.count
    x: jax.Array
    gradient: jax.Array
    inverse: jax.Array


def minimize_bfgs(
    f: Function, x: Any, *, tolerance: ArrayLike = 1e-5, max_iterations: ArrayLike = 1000
) -> Minimum:
    """Minimize f from x by BFGS, until ‖∇f‖₂ ≤ tolerance.

    It keeps the n × n approximation B of the inverse Hessian: for up to some thousand variables;
    beyond, `minimize_lbfgs`. With ρ = 1 / (y · s),
    B ← (I − ρ s yᵀ) B (I − ρ y sᵀ) + ρ s sᵀ, from B = (s · y / ‖y‖²) I after the first step. `x` is
    a tree of floating-point arrays. Raises TypeError for another x or an f that does not return one
    number; ValueError for an argument out of range, or where f or its gradient is not finite at a
    start that is known (under jit it is not: `converged` is then False).

    >>> import jax.numpy as jnp
    >>> from laminax.optim import curvature
    >>> rosenbrock = lambda x: (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2
    >>> minimum = curvature.minimize_bfgs(rosenbrock, jnp.array([-1.2, 1.0]), tolerance=1e-3)
    >>> [round(value, 2) for value in minimum.x.tolist()], bool(minimum.converged)
    ([1.0, 1.0], True)

    Source: Broyden; Fletcher; Goldfarb; Shanno, 1970; in the form of Nocedal and Wright, Numerical
    optimization, 2006, equations 6.17 and 6.20.
    """
    return minimize("minimize_bfgs", f, x, _bfgs_direction(), 0.9, tolerance, max_iterations)


def minimize_lbfgs(
    f: Function,
    x: Any,
    *,
    tolerance: ArrayLike = 1e-5,
    max_iterations: ArrayLike = 1000,
    memory: int = 10,
) -> Minimum:
    """Minimize f from x by L-BFGS, until ‖∇f‖₂ ≤ tolerance.

    BFGS from the latest `memory` steps alone, of which it keeps 2 · `memory` vectors and no matrix:
    for many variables. `x` is a tree of floating-point arrays. Raises TypeError for another x, an
    f that does not return one number or a memory that is not an int; ValueError for an argument
    out of range, or where f or its gradient is not finite at a start that is known (under jit it
    is not: `converged` is then False).

    >>> import jax.numpy as jnp
    >>> from laminax.optim import curvature
    >>> bowl = lambda x: jnp.sum(jnp.cosh(x - 1.0))
    >>> minimum = curvature.minimize_lbfgs(bowl, jnp.zeros(100))
    >>> round(minimum.x[0].item(), 3), round(float(minimum.value), 3), bool(minimum.converged)
    (1.0, 100.0, True)

    Source: Liu and Nocedal, On the limited memory BFGS method for large scale optimization, 1989.
    """
    check_steps("minimize_lbfgs", "memory", memory, "10")
    direction = optax.chain(optax.scale_by_lbfgs(memory), optax.scale(-1.0))
    return minimize("minimize_lbfgs", f, x, direction, 0.9, tolerance, max_iterations)


def _bfgs_direction() -> optax.GradientTransformation:
    def init(x: jax.Array) -> _BfgsState:
        zeros = jnp.zeros_like(x)
        return _BfgsState(jnp.zeros((), jnp.int32), zeros, zeros, jnp.eye(x.size, dtype=x.dtype))

    def update(
        gradient: jax.Array, state: _BfgsState, x: jax.Array
    ) -> tuple[jax.Array, _BfgsState]:
        inverse = jnp.where(
            state.count == 0,
            # Of the scale of f nothing is known yet: no further than 1.
            state.inverse * jnp.minimum(1.0, 1.0 / jnp.linalg.norm(gradient)),
            _updated(state, x - state.x, gradient - state.gradient),
        )
        return -inverse @ gradient, _BfgsState(state.count + 1, x, gradient, inverse)

    return optax.GradientTransformation(init, update)


def _updated(state: _BfgsState, s: jax.Array, y: jax.Array) -> jax.Array:
    """B after the step s that changed the gradient by y; B itself where f did not bend upward."""
    bend = jnp.vdot(s, y)
    upward = bend > 0.0
    safe = jnp.where(upward, bend, 1.0)
    first = jnp.eye(s.size, dtype=s.dtype) * (safe / jnp.where(upward, jnp.vdot(y, y), 1.0))
    old = jnp.where(state.count == 1, first, state.inverse)
    by = old @ y
    cross = jnp.outer(by, s)
    new = old - (cross + cross.T) / safe + (1.0 + jnp.vdot(y, by) / safe) * jnp.outer(s, s) / safe
    return jnp.where(upward, new, state.inverse)

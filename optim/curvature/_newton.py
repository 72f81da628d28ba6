"""Newton's method with the whole Hessian.

d = −|H|⁻¹ g,    |H| = V |Λ| Vᵀ  of the Hessian H = V Λ Vᵀ
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from ._descent import Function, Minimum, minimize


def minimize_newton(
    f: Function, x: Any, *, tolerance: ArrayLike = 1e-5, max_iterations: ArrayLike = 1000
) -> Minimum:
    """Minimize f from x by Newton's method, until ‖∇f‖₂ ≤ tolerance.

    Each step forms the n × n Hessian and its eigenvectors, O(n³): for up to some hundred variables.
    Its eigenvalues are taken without their signs, so that the direction goes down where f does not
    bend upward too, and a line search that tries the whole step first says how far; it does not go
    to a saddle. Where f bends upward it is Newton's own step, and near a minimum convergence is
    quadratic. `x` is a tree of floating-point arrays. Raises TypeError for another x or an f that
    does not return one number; ValueError for an argument out of range, or where f or its gradient
    is not finite at a start that is known (under jit it is not: `converged` is then False).

    >>> import jax.numpy as jnp
    >>> from laminax.optim import curvature
    >>> minimum = curvature.minimize_newton(lambda x: jnp.sum(x**2 + jnp.exp(x)), jnp.ones(2))
    >>> [round(value, 3) for value in minimum.x.tolist()], int(minimum.iterations)
    ([-0.352, -0.352], 4)

    Source: Nocedal and Wright, Numerical optimization, 2006, section 3.4; without the signs as
    Dauphin et al., Identifying and attacking the saddle point problem, 2014.
    """
    direction = optax.GradientTransformationExtraArgs(lambda x: optax.EmptyState(), _update)
    return minimize("minimize_newton", f, x, direction, 0.9, tolerance, max_iterations)


def _update(
    gradient: jax.Array, state: optax.EmptyState, x: jax.Array, *, value_fn: Function, **extra: Any
) -> tuple[jax.Array, optax.EmptyState]:
    values, vectors = jnp.linalg.eigh(jax.hessian(value_fn)(x))
    sizes = jnp.abs(values)
    least = jnp.max(sizes) * x.size * jnp.finfo(x.dtype).eps  # type: ignore[no-untyped-call]
    # Along a direction without curvature the gradient alone says where to go.
    sizes = jnp.where(sizes > least, sizes, 1.0)
    return -vectors @ ((vectors.T @ gradient) / sizes), state

"""The loop that the minimizers share: a direction, a line search along it, until ∇f is small.

    x ← x + α d,    α by Wolfe's strong conditions, until ‖∇f(x)‖₂ ≤ tolerance

A method is the optax transform that makes d of the gradient. Inside, x is one flat vector.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

from .._checks import check_nonnegative, check_steps

Function = Callable[[Any], jax.Array]


class Minimum(NamedTuple):
    """What a minimizer found."""

    x: Any
    """The point, of the start's structure and shapes, in float32 or wider."""
    value: jax.Array
    """float (): f there."""
    gradient_norm: jax.Array
    """float (): ‖∇f‖₂ there, over all leaves together."""
    iterations: jax.Array
    """int32 (): the steps taken."""
    converged: jax.Array
    """bool (): whether the gradient's norm is within the tolerance."""


class _Place(NamedTuple):
    x: jax.Array
    value: jax.Array
    gradient: jax.Array
    state: optax.OptState
    iterations: jax.Array
    moved: jax.Array


def minimize(
    where: str,
    f: Function,
    x: Any,
    direction: optax.GradientTransformation,
    curvature: float,
    tolerance: ArrayLike,
    max_iterations: ArrayLike,
) -> Minimum:
    """Descend from x along directions, each as far as a zoom line search finds good.

    `curvature` is the share of the slope that may be left at the end of a line search.
    """
    check_nonnegative(where, "tolerance", tolerance, "1e-5")
    check_steps(where, "max_iterations", max_iterations, "1000")
    flat, unravel = _flat(where, x)
    _check_scalar(where, f, unravel(flat))

    def value_fn(x: jax.Array) -> jax.Array:
        return jnp.asarray(f(unravel(x)), flat.dtype)

    search = optax.scale_by_zoom_linesearch(30, curv_rtol=curvature, initial_guess_strategy="one")
    optimizer = optax.chain(direction, search)

    def close(norm: jax.Array) -> jax.Array:
        return norm <= jnp.asarray(tolerance, flat.dtype)

    def unfinished(place: _Place) -> jax.Array:
        far = ~close(_norm(place.gradient))
        return far & place.moved & (place.iterations < max_iterations)

    def step(place: _Place) -> _Place:
        known = {"value": place.value, "grad": place.gradient, "value_fn": value_fn}
        updates, state = optimizer.update(place.gradient, place.state, place.x, **known)
        x, end = place.x + updates, state[-1]  # the search keeps what f and ∇f are where it ended
        # A step to where f is not finite, or neither f nor its slope is less, is not taken and is
        # the last: rounding leaves no more to gain.
        finite = jnp.isfinite(end.value) & jnp.all(jnp.isfinite(end.grad))
        less = (end.value < place.value) | (_norm(end.grad) < _norm(place.gradient))
        moved = finite & less
        there = _Place(x, end.value, end.grad, state, place.iterations + 1, moved)
        chosen: _Place = jax.tree.map(lambda new, old: jnp.where(moved, new, old), there, place)
        return chosen._replace(moved=moved)

    @jax.jit
    def run(x: jax.Array) -> Minimum:
        value, gradient = jax.value_and_grad(value_fn)(x)
        finite = jnp.isfinite(value) & jnp.all(jnp.isfinite(gradient))
        zero = jnp.zeros((), jnp.int32)
        start = _Place(x, value, gradient, optimizer.init(x), zero, finite)
        end = jax.lax.while_loop(unfinished, step, start)
        norm = _norm(end.gradient)
        return Minimum(unravel(end.x), end.value, norm, end.iterations, close(norm))

    # optax mixes integer counts with floats, which strict promotion forbids.
    with jax.numpy_dtype_promotion("standard"):
        minimum: Minimum = run(flat)
    _check_finite(where, minimum)
    return minimum


def _flat(where: str, x: Any) -> tuple[jax.Array, Callable[[jax.Array], Any]]:
    """One vector of all leaves in the widest of float32 and their dtypes, and the way back."""
    leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(x)]
    wrong = [str(leaf.dtype) for leaf in leaves if not jnp.issubdtype(leaf.dtype, jnp.floating)]
    if wrong or not leaves:
        got = f"a leaf of {wrong[0]}" if wrong else "no array"
        raise TypeError(
            f"{where}: x has {got}; expected a tree of floating-point arrays; convert it by "
            f"jax.tree.map(lambda leaf: jnp.asarray(leaf, float), x)."
        )
    wide = np.dtype(np.float32)
    for leaf in leaves:
        wide = np.promote_types(wide, leaf.dtype)
    flat, unravel = ravel_pytree(jax.tree.map(lambda leaf: jnp.asarray(leaf, wide), x))
    return flat, unravel


def _check_scalar(where: str, f: Function, x: Any) -> None:
    value = jax.eval_shape(f, x)
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape != () or dtype is None or not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(
            f"{where}: f(x) is {value}; expected one floating-point number; reduce it, such as by "
            f"jnp.mean."
        )


def _check_finite(where: str, minimum: Minimum) -> None:
    """No step is taken to where f is not finite: if it is not at the end, it was not at the start.

    Under jit nothing is known yet, and nothing is said.
    """
    value, norm = minimum.value, minimum.gradient_norm
    if isinstance(norm, jax.core.Tracer) or (np.isfinite(value) and np.isfinite(norm)):
        return
    raise ValueError(
        f"{where}: at the start f is {value} and its gradient's norm is {norm}; expected finite "
        f"numbers; start from another x, or mend f there."
    )


def _norm(vector: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.vdot(vector, vector))

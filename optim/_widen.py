"""Arithmetic in float32 or wider around any optax transform, whatever the parameters' dtype.

In bfloat16 a decay of 0.999 rounds to 1, and an average kept with it never forgets. So parameters
and gradients enter in D, the widest of float32 and the leaves' own dtypes; the state is kept in D;
the updates leave in the dtype in which they came. For float32 parameters nothing is converted.
"""

from collections.abc import Callable
from functools import reduce
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

Cast: TypeAlias = Callable[[ArrayLike], ArrayLike]


def widened(
    build: Callable[[Cast], optax.GradientTransformation],
) -> optax.GradientTransformationExtraArgs:
    """The transform `build(cast)` run in D; `cast` brings a hyperparameter, traced or not, to D."""

    def init(params: optax.Params) -> optax.OptState:
        dtype = _width(params)
        return _transform(build, dtype).init(_to(dtype, params))

    def update(
        updates: optax.Updates,
        state: optax.OptState,
        params: optax.Params | None = None,
        **extra: Any,
    ) -> tuple[optax.Updates, optax.OptState]:
        dtype = _width(updates)
        transform = _transform(build, dtype)
        # optax mixes integer counts with floats, which strict promotion forbids; all else is in D.
        with jax.numpy_dtype_promotion("standard"):
            wide, state = transform.update(_to(dtype, updates), state, _to(dtype, params), **extra)
        return jax.tree.map(_like, wide, updates), state

    return optax.GradientTransformationExtraArgs(init, update)


def wide_copy(tree: Any) -> Any:
    """The leaves in float32 or wider, each in a buffer of its own even inside jit."""
    return jax.tree.map(
        lambda leaf: jnp.array(leaf, np.promote_types(leaf.dtype, np.float32), copy=True), tree
    )


def steps_to(goal: Any, params: Any) -> Any:
    """The updates that lead from the parameters to the goal, in the parameters' dtypes."""

    def step(goal: jax.Array, p: jax.Array) -> jax.Array:
        wide = p.astype(goal.dtype)
        # Where nothing changes −0 keeps every bit, as in `freeze`.
        return jnp.where(goal == wide, -0.0, goal - wide).astype(p.dtype)

    return jax.tree.map(step, goal, params)


def _transform(
    build: Callable[[Cast], optax.GradientTransformation], dtype: Any
) -> optax.GradientTransformationExtraArgs:
    return optax.with_extra_args_support(build(lambda value: _hyperparameter(value, dtype)))


def _hyperparameter(value: ArrayLike, dtype: Any) -> ArrayLike:
    # A known value stays a Python float: 1 − β is then taken in double precision.
    return (
        jnp.asarray(value, dtype)
        if isinstance(value, jax.core.Tracer)
        else float(np.asarray(value))
    )


def _width(tree: Any) -> Any:
    """The widest real dtype among float32 and the leaves."""
    reals = [_real(leaf.dtype) for leaf in jax.tree.leaves(tree)]
    return reduce(np.promote_types, reals, np.dtype(np.float32))


def _real(dtype: Any) -> Any:
    return jnp.finfo(dtype).dtype  # type: ignore[no-untyped-call]


def _to(dtype: Any, tree: Any) -> Any:
    def cast(leaf: Any) -> Any:
        # Complex leaves stay complex: promotion with the real D keeps their kind. One that is wide
        # is left alone: of a thousand leaves the conversions to nothing take time to trace.
        wide = np.promote_types(leaf.dtype, dtype)
        return leaf if _is(leaf, wide) else jnp.asarray(leaf, wide)

    return jax.tree.map(cast, tree)


def _like(new: jax.Array, old: jax.Array) -> jax.Array:
    return new if _is(new, old.dtype) else new.astype(old.dtype)


def _is(leaf: Any, dtype: Any) -> bool:
    # A weak type would get into the state, and the second step would be another program.
    return isinstance(leaf, jax.Array) and leaf.dtype == dtype and not leaf.weak_type

"""Eager checks of arguments and inputs, and the precision a layer answers in."""

from typing import Any

import jax
import jax.numpy as jnp

from ._specs import describe


def positive(kind: str, name: str, value: Any) -> int:
    """Return `value`, an integer of at least 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{kind}: {name} must be an integer of at least 1, got {value!r}")
    return value


def fraction(kind: str, name: str, value: Any) -> float:
    """Return `value`, a number in [0, 1)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise ValueError(f"{kind}: {name} must be a number in [0, 1), got {value!r}")
    return float(value)


def feature_size(kind: str, x: Any, expected: int | None = None, least_rank: int = 1) -> int:
    """Return the size of the last axis of `x`, which must be an array with `expected` features."""
    if not hasattr(x, "shape") or not hasattr(x, "dtype"):
        raise TypeError(f"{kind}: x must be one array, got {describe(x)}")
    if len(x.shape) < least_rank:
        axes = {1: "(..., features)", 2: "(batch, ..., features)"}.get(least_rank, "")
        raise ValueError(
            f"{kind}: x must have at least {least_rank} axes {axes}, got {describe(x)}; "
            "is an axis missing?"
        )
    if expected is not None and x.shape[-1] != expected:
        raise ValueError(
            f"{kind}: x has {x.shape[-1]} features on its last axis, got {describe(x)}, but the "
            f"parameters were made for {expected}; give x of shape (..., {expected}) or init anew"
        )
    return int(x.shape[-1])


def parameter_of(kind: str, params: Any, *names: str) -> list[jax.Array]:
    """Return the arrays named, and raise where there are none or others too."""
    got = set(params) if isinstance(params, dict) else {type(params).__name__}
    if got != set(names):
        raise ValueError(
            f"{kind}: params must hold {', '.join(names)}, got {', '.join(sorted(got)) or 'none'}; "
            "are these the parameters of another layer?"
        )
    return [params[name] for name in names]


def check_shape(kind: str, name: str, parameter: Any, expected: tuple[int, ...]) -> None:
    """Raise unless the parameter `name` has the shape that the arguments and x ask for."""
    if jnp.shape(parameter) != expected:
        raise ValueError(
            f"{kind}: {name} must be {expected}, got {jnp.shape(parameter)}; "
            "are these the parameters of another model?"
        )


def promote(*arrays: Any) -> list[jax.Array]:
    """Return x and a layer's parameters in their common floating dtype, in which it answers."""
    with jax.numpy_dtype_promotion("standard"):
        dtype = jnp.result_type(*arrays)
    return [jnp.asarray(a, dtype) for a in arrays]


def wide_dtype(x: Any) -> jnp.dtype:
    """Return the dtype of x, or float32 where that is wider: of sums, exponentials and angles."""
    with jax.numpy_dtype_promotion("standard"):
        return jnp.dtype(jnp.promote_types(x.dtype, jnp.float32))


def default_float() -> jnp.dtype:
    """Return JAX's default float dtype, that of parameters."""
    return jnp.dtype(jnp.result_type(float))


def indices(x: Any) -> jax.Array:
    """Return integers in at least int32, so that no count they are compared with wraps around."""
    numbers = jnp.asarray(x)
    return numbers.astype(jnp.int32) if numbers.dtype.itemsize < 4 else numbers

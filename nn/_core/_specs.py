"""Abstract values: the shapes and dtypes that an abstract pass over a model finds out.

No array is held here: a spec is a pytree of `jax.ShapeDtypeStruct`.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

Spec: TypeAlias = Any
"""A pytree of `jax.ShapeDtypeStruct`."""


class Call(NamedTuple):
    """The specs a child was first called with."""

    x: Spec
    side: Mapping[str, Spec]


class Abstract(NamedTuple):
    """What one abstract pass of a layer found out; specs only."""

    variables: Any
    output: Spec
    calls: Mapping[str, Call]


def spec_of(tree: Any) -> Spec:
    """Return the spec of a pytree of arrays, numbers and `ShapeDtypeStruct`s."""
    return jax.tree.map(_leaf_spec, tree)


def zeros(spec: Spec) -> Any:
    """Return stand-in values of a spec, to be used under an abstract trace alone."""
    return jax.tree.map(_leaf_zeros, spec)


@functools.cache
def abstract_key() -> jax.ShapeDtypeStruct:
    """Return the spec of a typed key; no shape depends on which implementation it is of."""
    key = jax.eval_shape(lambda: jax.random.key(0, impl="threefry2x32"))
    return jax.ShapeDtypeStruct(key.shape, key.dtype)


def describe(tree: Any) -> str:
    """Return a spec as a person writes it: `float32[8, 63]`, `(float32[8, 2], int32[8])`."""
    return str(jax.tree.map(_leaf_text, tree))


def signature(tree: Any) -> tuple[Any, ...]:
    """Return a hashable form of a spec, which holds the precision mode too."""
    leaves, treedef = jax.tree.flatten(tree)
    shapes = tuple((leaf.shape, str(leaf.dtype)) for leaf in leaves)
    return treedef, shapes, str(jnp.result_type(float))


def memoized(trace: Callable[[Any, Mapping[str, Any]], Abstract]) -> Callable[..., Abstract]:
    """Return `trace(x, side)` run once a spec."""
    known: dict[tuple[Any, ...], Abstract] = {}

    @functools.wraps(trace)
    def remembered(x: Spec, side: Mapping[str, Spec]) -> Abstract:
        key = signature((x, side))
        if key not in known:
            known[key] = trace(x, side)
        return known[key]

    return remembered


def _leaf_spec(leaf: Any) -> jax.ShapeDtypeStruct:
    dtype = getattr(leaf, "dtype", None)
    if dtype is None:
        dtype = jnp.result_type(leaf)
    elif not jnp.issubdtype(dtype, jax.dtypes.extended):
        dtype = jax.dtypes.canonicalize_dtype(dtype)  # quietly: NumPy's default is float64
    return jax.ShapeDtypeStruct(jnp.shape(leaf), dtype)


def _leaf_zeros(spec: jax.ShapeDtypeStruct) -> jax.Array:
    if jnp.issubdtype(spec.dtype, jax.dtypes.prng_key):
        data = jax.eval_shape(lambda: jax.random.key_data(jax.random.key(0)))
        key: jax.Array = jax.random.wrap_key_data(jnp.zeros((*spec.shape, *data.shape), data.dtype))
        return key
    return jnp.zeros(spec.shape, spec.dtype)


def _leaf_text(leaf: Any) -> "_Text":
    try:
        spec = _leaf_spec(leaf)
    except TypeError:
        return _Text(type(leaf).__name__)
    return _Text(f"{spec.dtype}{list(spec.shape)}")


class _Text(str):
    """A string that is printed without quotes."""

    def __repr__(self) -> str:
        return str(self)

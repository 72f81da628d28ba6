"""How the laws run a row: its layer, input and variables made once, its apply compiled once."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from laminax import nn

from .kinds import Row
from .table import LAYERS


@functools.cache
def layer_of(row: Row) -> nn.Layer:
    return row.make()


@functools.cache
def example(row: Row) -> Any:
    """Return the input and the variables of a row; the state is made unlike a fresh one."""
    with jax.enable_x64(False):  # kept for later, whatever the precision of the law that asks first
        x = jnp.asarray(row.x())
        params, state = layer_of(row).init(jax.random.key(1), x)
        vary = lambda p: p + 0.1 * np.cos(np.arange(p.size, dtype="f4")).reshape(p.shape)  # noqa: E731
        return x, nn.Variables(jax.tree.map(vary, params), jax.tree.map(lambda s: s + 0.2, state))


def context(row: Row, train: bool, key: jax.Array | None = None) -> nn.Context:
    if not train:
        return nn.Context()
    return nn.Context(jax.random.key(2) if key is None else key, train=True)


@functools.cache
def compiled(row: Row, train: bool) -> Callable[..., Any]:
    """Return `(variables, x, key) -> (y, state)`, compiled."""

    def apply(variables: nn.Variables, x: Any, key: jax.Array) -> Any:
        return layer_of(row).apply(*variables, x, context(row, train, key))

    return jax.jit(apply)


def run(row: Row, train: bool = False, x: Any = None, variables: Any = None, key: int = 2) -> Any:
    usual_x, usual = example(row)
    x = usual_x if x is None else x
    variables = usual if variables is None else variables
    return compiled(row, train)(variables, x, jax.random.key(key))


def tolerance(row: Row, rtol: float = 2e-6) -> dict[str, float]:
    """Return what two programs for one layer may differ by: of bfloat16, its own rounding."""
    return {"rtol": rtol, "atol": rtol} if row.precise else {"rtol": 0.01, "atol": 0.01}


def in_float64(tree: Any) -> Any:
    """Return the floating arrays of a tree in float64, under `jax.enable_x64(True)`."""
    return jax.tree.map(
        lambda a: jnp.asarray(a, jnp.float64) if np.issubdtype(a.dtype, np.floating) else a, tree
    )


def spec(tree: Any) -> Any:
    """Return structure, shapes and dtypes, comparable by ==."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, [(jnp.shape(leaf), jnp.result_type(leaf)) for leaf in leaves]


def assert_close(a: Any, b: Any, rtol: float = 2e-6, atol: float = 2e-6) -> None:
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=rtol, atol=atol)


def assert_equal(a: Any, b: Any) -> None:
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


def part(tree: Any, i: int) -> Any:
    """Return entry i of every array: a row of a batch, a member of an ensemble."""
    return jax.tree.map(lambda leaf: leaf[i], tree)


def differ(a: Any, b: Any) -> bool:
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return any((np.asarray(x) != np.asarray(y)).any() for x, y in pairs)


MODES = [(row, train) for row in LAYERS for train in row.modes]
"""Each row in evaluation, and in training too where that makes a difference."""


def label(value: Any) -> str:
    return ("train" if value else "evaluate") if isinstance(value, bool) else str(value)

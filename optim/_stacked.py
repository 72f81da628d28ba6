"""Optimizers that work on whole matrices or vectors, on parameters whose layers are stacked.

A run of n equal layers may keep each parameter once, the layers along leading axes: a matrix as an
array (n, in, out). What a layerwise optimizer does to a leaf it must do to each layer's slice. How
many leading axes count layers is given as `stacked`: a function from the parameters to a tree of
integers, or such a tree; None where no leaf is stacked. `laminax.nn.stacked(model)` is one.
"""

import operator
from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import optax

from ._checks import check_params
from ._paths import paths

Stacked: TypeAlias = Callable[[Any], Any] | Any | None
"""The number of leading layer axes of each parameter: params -> tree of ints, or the tree."""


def map_layers(
    where: str, stacked: Stacked, function: Callable[..., Any], tree: Any, *rest: Any
) -> Any:
    """`function(leaf, *others)` of every leaf's layers, each as if it were a leaf of its own.

    `rest` are trees with any subtree at the leaves of `tree`; so may the results have.
    """
    structure: Any = jax.tree.structure(tree)
    axes, leaves = layer_axes(where, stacked, tree), jax.tree.leaves(tree)
    columns = zip(axes, leaves, *map(structure.flatten_up_to, rest), strict=True)
    return structure.unflatten([_over(n, function)(*leaves) for n, *leaves in columns])


def layer_axes(where: str, stacked: Stacked, tree: Any) -> list[int]:
    """The number of leading layer axes of each leaf, checked against its shape.

    Raises ValueError for a tree of another structure, TypeError for counts that are no integers.
    """
    leaves = jax.tree.leaves(tree)
    if stacked is None:
        return [0] * len(leaves)
    counts = stacked(tree) if callable(stacked) else stacked
    # Under `select` the leaves of other groups are masked, while a tree of counts has them all.
    nodes = jax.tree.leaves(tree, is_leaf=_is_masked)
    structure: Any = jax.tree.structure(tree, is_leaf=_is_masked)
    try:
        found = structure.flatten_up_to(counts)
    except ValueError as error:
        raise ValueError(
            f"{where}: stacked has the structure {jax.tree.structure(counts)}; expected an integer "
            f"for each parameter, {jax.tree.structure(tree)}; nn.stacked(model) gives them."
        ) from error
    found = [count for node, count in zip(nodes, found, strict=True) if not _is_masked(node)]
    return [_checked(where, *row) for row in zip(paths(tree), leaves, found, strict=True)]


def layerwise(
    where: str, stacked: Stacked, function: Callable[[jax.Array, jax.Array], jax.Array]
) -> optax.GradientTransformation:
    """The stateless transform u ← function(u, θ) of each layer."""

    def update(
        updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, optax.OptState]:
        check_params(where, params)
        return map_layers(where, stacked, function, updates, params), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def unit_axes(leaf: jax.Array) -> tuple[int, ...]:
    """The axes within one output unit: all but the last of a matrix or kernel, all of a vector."""
    return tuple(range(leaf.ndim - 1 if leaf.ndim > 1 else leaf.ndim))


def unit_norm(leaf: jax.Array) -> jax.Array:
    """The Euclidean norm of each output unit, of a shape that broadcasts with the leaf's."""
    squares = jnp.square(jnp.abs(leaf))
    return jnp.sqrt(squares.sum(unit_axes(leaf), keepdims=True))


def _over(axes: int, function: Callable[..., Any]) -> Callable[..., Any]:
    return function if axes == 0 else jax.vmap(_over(axes - 1, function))


def _checked(where: str, path: str, leaf: jax.Array, count: Any) -> int:
    try:
        axes = operator.index(count)
    except TypeError as error:
        raise TypeError(
            f"{where}: stacked is {count!r} for {path}; expected the number of its leading layer "
            "axes, an int."
        ) from error
    if not 0 <= axes <= leaf.ndim:
        raise ValueError(
            f"{where}: stacked is {axes} for {path} of shape {leaf.shape}; expected the number of "
            f"its leading layer axes, from 0 to {leaf.ndim}."
        )
    return axes


def _is_masked(node: Any) -> bool:
    return isinstance(node, optax.MaskedNode)

"""A model's evaluation as a function of flat inputs, for a batch of any size."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.export

from laminax.nn import Layer, Variables

from .._check import check_kind


class Program(NamedTuple):
    """What is exported.

    Attributes:
        run: `run(weights, inputs) -> outputs`, in evaluation, each a dict of arrays by name.
        weights: the variables by path.
        inputs: the specs of x and the side inputs, whose leading axis is of any size.
    """

    run: Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, jax.Array]]
    weights: dict[str, jax.Array]
    inputs: dict[str, jax.ShapeDtypeStruct]


def program(where: str, model: Layer, variables: Variables, x: Any, side: Any) -> Program:
    """Look through what is to be exported, and name its inputs and outputs.

    Raises:
        TypeError: no layer, no variables, or no arrays as inputs.
        ValueError: an input without a batch axis; variables that are not the model's.
    """
    check_kind(where, "model", model, Layer, "give the layer, such as nn.mlp(10); forgot ()?")
    check_kind(where, "variables", variables, Variables, "use result.variables")
    weights, given = named(variables), {"x": x, **side}
    (batch,) = jax.export.symbolic_shape("batch")
    inputs = {name: _batched(where, name, leaf, batch) for name, leaf in named(given).items()}

    def run(weights: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, jax.Array]:
        side = _like(given, inputs)
        return named({"y": model(_like(variables, weights), side.pop("x"), **side)})

    jax.eval_shape(run, weights, inputs)
    return Program(run, weights, inputs)


def named(tree: Any) -> dict[str, Any]:
    """Return the leaves by path: "y" of {"y": array}, "y/0" and "y/1" of {"y": pair}."""
    leaves = jax.tree.leaves_with_path(tree)
    return {jax.tree_util.keystr(at, simple=True, separator="/"): leaf for at, leaf in leaves}


def _like(tree: Any, leaves: Mapping[str, Any]) -> Any:
    """Return the tree with the leaves of these names."""
    return jax.tree.unflatten(jax.tree.structure(tree), [leaves[name] for name in named(tree)])


def _batched(where: str, name: str, leaf: Any, batch: Any) -> jax.ShapeDtypeStruct:
    if not hasattr(leaf, "shape") or not hasattr(leaf, "dtype"):
        raise TypeError(
            f"{where}: {name} must be an array or a jax.ShapeDtypeStruct, got "
            f"{type(leaf).__name__}; only shape and dtype are read"
        )
    if not leaf.shape:
        raise ValueError(
            f"{where}: {name} must have a leading axis, that of the batch, got shape (); "
            "a constant belongs into the model"
        )
    return jax.ShapeDtypeStruct((batch, *leaf.shape[1:]), jax.dtypes.canonicalize_dtype(leaf.dtype))

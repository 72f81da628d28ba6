"""Receptive fields: what part of the input each layer's answer depends on.

Read off the program of the model, so that any layer is understood that is made of windows, slices,
products and elementwise functions; see `_spread`.
"""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax

from .._core._combinators import serial
from .._core._factory import LayerLike, as_layer
from .._core._layer import Context, Layer, abstract
from .._core._specs import Spec, describe, spec_of
from .._core._tap import in_order, layer_axes, tap
from ._spread import RULES, WHOLE, Dependence, Spread, joined, unknown
from ._table import html_table, text_table

_HEAD = ("path", "output", "receptive field", "stride", "first position")


class Field(NamedTuple):
    """What one layer's answer depends on, along each axis of the input between first and last.

    Attributes:
        path: of the layer; of one inside `repeat`, its last turn.
        output: the spec of its answer.
        size: how many positions of the input one of its positions depends on; None: all.
        stride: how far that window moves from one of its positions to the next; None: it stays.
        start: where the window of its first position starts; negative: in the padding.
    """

    path: str
    output: Spec
    size: tuple[int | None, ...]
    stride: tuple[float | None, ...]
    start: tuple[int | None, ...]


@dataclass(frozen=True, repr=False)
class ReceptiveField:
    """The fields of a model; prints as text, shows as HTML in a notebook.

    Attributes:
        rows: a row a layer, in the order in which they answer.
        x: the spec of the input.
    """

    rows: tuple[Field, ...]
    x: Spec

    def __str__(self) -> str:
        """The table as aligned text."""
        return "\n".join([*text_table(_HEAD, map(_cells, self.rows), left=2), self._input()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(_HEAD, map(_cells, self.rows)) + f"<p>{html.escape(self._input())}</p>"

    def _input(self) -> str:
        return f"of x = {describe(self.x)}"


def receptive_field(model: LayerLike, x: Any, /, **side: Any) -> ReceptiveField:
    """Table of what part of x each layer's answer depends on.

    Nothing is computed. Along each axis of x between the batch and the features,
    r_l = r_{l-1} + (k_l - 1) d_l j_{l-1} and j_l = j_{l-1} s_l for a window of k_l positions with
    stride s_l and dilation d_l. A dependence that is not understood counts as one on all of x.

    Source: Araujo, Norris and Sim, Computing receptive fields of convolutional neural networks,
    2019.

    Args:
        model: a layer made of layers.
        x: its input (batch, ..., features), of which only shape and dtype are read.
        **side: named extra inputs.

    Raises:
        ValueError: an x without an axis between the batch and the features.

    >>> from laminax import nn
    >>> model = nn.serial(nn.conv(8, 3), nn.max_pool(2), nn.conv(8, 3), nn.global_avg_pool())
    >>> nn.inspect.receptive_field(model, jax.ShapeDtypeStruct((1, 32, 32, 3), "float32"))
    path               output          receptive field  stride  first position
    ──────────────────────────────────────────────────────────────────────────
    conv_0             (1, 32, 32, 8)              3×3     1×1          -1, -1
    max_pool_0         (1, 16, 16, 8)              4×4     2×2          -1, -1
    conv_1             (1, 16, 16, 8)              8×8     2×2          -3, -3
    global_avg_pool_0  (1, 8)                  all×all     -×-            -, -
    of x = float32[1, 32, 32, 3]
    """
    layer = as_layer(model)
    layer = layer if layer.children else serial(layer)
    x, side = spec_of(x), spec_of(side)
    if not hasattr(x, "shape") or len(x.shape) < 3:
        raise ValueError(
            f"receptive_field: x must be one array (batch, ..., features) with axes between, got "
            f"{describe(x)}; give the shape of images or of a sequence"
        )
    found, jaxpr = _traced(layer, x, side)
    inputs: list[Dependence] = [None] * (len(jaxpr.invars) - 1)  # parameters, and last x
    fields = [spread(jaxpr, [*inputs, Spread(axis)]) for axis in range(1, len(x.shape) - 1)]
    by_path = dict(zip(found, zip(*fields, strict=True), strict=True))
    paths = dict.fromkeys(path for path, _ in in_order(layer, x, side, found))
    axes = {path: layer_axes(layer, path) for path in paths}
    rows = (_field(path, found[path], axes[path], by_path[path]) for path in paths)
    return ReceptiveField(tuple(rows), x)


def spread(jaxpr: Any, inputs: Sequence[Dependence]) -> list[Dependence]:
    """Return what each output of a jaxpr depends on, given what its inputs do."""
    known: dict[Any, Dependence] = dict(zip(jaxpr.invars, inputs, strict=True))

    def read(atom: Any) -> Dependence:
        return None if hasattr(atom, "val") else known.get(atom)

    for eqn in jaxpr.eqns:
        sources = [read(atom) for atom in eqn.invars]
        if any(sources):
            rule = _CONTROL.get(eqn.primitive.name) or RULES.get(eqn.primitive.name, unknown)
            known.update(zip(eqn.outvars, rule(eqn, sources), strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _called(eqn: Any, sources: Sequence[Dependence]) -> list[Dependence]:
    inner = next(v for v in map(_open, eqn.params.values()) if hasattr(v, "eqns"))
    return spread(inner, sources)


def _branches(eqn: Any, sources: Sequence[Dependence]) -> list[Dependence]:
    which, *inputs = sources
    branches = [_open(branch) for branch in eqn.params["branches"]]
    if eqn.params.get("branches_platforms") is not None:  # equivalent: the library's is plainest
        plain = [branch for branch in branches if "conv_general_dilated" in str(branch)]
        return spread((plain or branches)[-1], inputs)
    if which is not None:
        return [WHOLE] * len(eqn.outvars)
    answers = [spread(branch, inputs) for branch in branches]
    return [joined(same) for same in zip(*answers, strict=True)]


def _scan(eqn: Any, sources: Sequence[Dependence]) -> list[Dependence]:
    """Follow the carry turn by turn; what is stacked reaches furthest in the last."""
    body, p = _open(eqn.params["jaxpr"]), eqn.params
    n = p["num_consts"], p["num_consts"] + p["num_carry"]
    consts, carry, xs = sources[: n[0]], sources[n[0] : n[1]], sources[n[1] :]
    one = [None if s is None else s.at(s.axis - 1) if s.axis else WHOLE for s in xs]
    ys: Sequence[Dependence] = []
    for _ in range(p["length"]):
        out = spread(body, [*consts, *carry, *one])
        carry, ys = out[: p["num_carry"]], out[p["num_carry"] :]
    return [*carry, *(s if s is None or s.axis is None else s.at(s.axis + 1) for s in ys)]


_CONTROL = {
    **dict.fromkeys(
        ("jit", "pjit", "closed_call", "checkpoint", "remat2", "custom_jvp_call"), _called
    ),
    "cond": _branches,
    "custom_vjp_call": _called,
    "scan": _scan,
}


def _open(jaxpr: Any) -> Any:
    return getattr(jaxpr, "jaxpr", jaxpr)


def _traced(layer: Layer, x: Spec, side: Any) -> tuple[dict[str, Spec], Any]:
    """Return the spec of each path's answer, and the program that makes them in that order."""

    def answers(variables: Any, side: Any, x: Any) -> dict[str, Any]:
        taps = tap(layer, variables, x, Context(side=side)).activations
        arrays = {path: jax.tree.leaves(entry) for path, entry in taps.items()}
        return {path: leaves[0] for path, leaves in arrays.items() if leaves}

    variables = abstract(layer, x, side).variables
    jaxpr, found = jax.make_jaxpr(answers, return_shape=True)(variables, side, x)
    return found, jaxpr.jaxpr


def _field(path: str, output: Spec, axes: int, depends: Sequence[Dependence]) -> Field:
    output = jax.ShapeDtypeStruct(output.shape[axes:], output.dtype)
    known = [s if s is not None and s.axis is not None else None for s in depends]
    return Field(
        path,
        output,
        tuple(math.floor(s.high) - math.ceil(s.low) + 1 if s else None for s in known),
        tuple(float(s.jump) if s else None for s in known),
        tuple(math.ceil(s.low) if s else None for s in known),
    )


def _cells(row: Field) -> tuple[str, ...]:
    def written(numbers: Sequence[float | None], none: str, between: str) -> str:
        return between.join(none if n is None else f"{n:g}" for n in numbers)

    shape = str(row.output.shape)
    size, stride = written(row.size, "all", "×"), written(row.stride, "-", "×")
    return (row.path, shape, size, stride, written(row.start, "-", ", "))

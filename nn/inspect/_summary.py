"""A table of a model: what each layer makes, holds and costs, found out from shapes alone."""

import html
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from .._core._factory import LayerLike, as_layer
from .._core._layer import Context, Layer, Variables, abstract
from .._core._specs import Spec, describe, spec_of
from ._flops import multiply_adds
from ._table import html_table, text_table

_HEAD = ("path", "layer", "output", "parameters", "bytes", "FLOPs")
_WIDTH = 40


class Row(NamedTuple):
    """What one layer makes, holds and costs; of a layer with children, they are included."""

    path: str
    layer: str
    """How it was written, or its kind where it has children."""
    output: Spec
    parameters: int
    bytes: int
    """The bytes of its parameters."""
    flops: int
    """Of one evaluation of the x given: two for each multiply-add of products and convolutions."""
    times: int = 1
    """How many layers `repeat` makes of it; the numbers are those of all."""


@dataclass(frozen=True, repr=False)
class Summary:
    """The table of a model; prints as text, shows as HTML in a notebook.

    Attributes:
        rows: a row a layer, in the order of calls, children after their parent.
        total: the row of the whole model.
        state: how many values its state holds.
        x: the spec of the input.
    """

    rows: tuple[Row, ...]
    total: Row
    state: int
    x: Spec

    def __str__(self) -> str:
        """The table as aligned text."""
        head, rule, *lines = text_table(_HEAD, map(_cells, self.rows), left=3)
        return "\n".join([head, rule, *lines, rule, self._totals()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"{html_table(_HEAD, map(_cells, self.rows))}<p>{html.escape(self._totals())}</p>"

    def _totals(self) -> str:
        state = f", {self.state:,} values of state" if self.state else ""
        total = self.total
        return (
            f"{total.parameters:,} parameters ({_bytes(total.bytes)}){state}, "
            f"{_short(total.flops)} FLOPs for x = {describe(self.x)}"
        )


def summary(model: LayerLike, x: Any, /, **side: Any) -> Summary:
    """Table of a model's layers: path, output shape, parameters, bytes and FLOPs.

    Nothing is allocated or computed. The FLOPs are those of one evaluation of x, two for each
    multiply-add of matrix products and convolutions, elementwise work left out. A layer called more
    than once stands in the row of its first call. The numbers of a layer include its children's;
    inside `repeat` they are those of all n layers.

    Args:
        model: a layer.
        x: its input, of which only shape and dtype are read: arrays or `jax.ShapeDtypeStruct`s.
        **side: named extra inputs, such as `mask=`.

    Raises:
        ValueError: an x that the model cannot take.

    >>> from laminax import nn
    >>> print(nn.summary(nn.mlp(512, 10), jax.ShapeDtypeStruct((1, 28, 28), "float32")))
    path       layer       output    parameters     bytes  FLOPs
    ────────────────────────────────────────────────────────────
    flatten_0  flatten()   (1, 784)           0       0 B      0
    dense_0    dense(512)  (1, 512)     401,920  1.53 MiB   803k
    relu_0     relu        (1, 512)           0       0 B      0
    dense_1    dense(10)   (1, 10)        5,130    20 KiB  10.2k
    ────────────────────────────────────────────────────────────
    407,050 parameters (1.55 MiB), 813k FLOPs for x = float32[1, 28, 28]
    """
    layer = as_layer(model)
    x, side = spec_of(x), spec_of(side)
    total = _row(layer.name, layer, x, side, 1)
    rows = tuple(_rows("", layer, x, side, 1)) or (total,)
    return Summary(rows, total, _size(abstract(layer, x, side).variables.state), x)


def _rows(path: str, layer: Layer, x: Spec, side: Mapping[str, Spec], times: int) -> Iterator[Row]:
    times *= _stacked(layer, x, side)
    for name, call in abstract(layer, x, side).calls.items():
        child, child_path = layer.children[name], f"{path}/{name}" if path else name
        yield _row(child_path, child, call.x, call.side, times)
        yield from _rows(child_path, child, call.x, call.side, times)


def _row(path: str, layer: Layer, x: Spec, side: Mapping[str, Spec], times: int) -> Row:
    known = abstract(layer, x, side)

    def evaluate(variables: Variables, x: Any, side: Mapping[str, Any]) -> Any:
        return layer.apply(*variables, x, Context(side=side))[0]

    params, inside = known.variables.params, times * _stacked(layer, x, side)
    return Row(
        path,
        layer.name if layer.children else " ".join(repr(layer).split()),
        known.output,
        times * _size(params),
        times * sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(params)),
        times * 2 * multiply_adds(evaluate, known.variables, x, side),
        inside if layer.children else times,
    )


def _stacked(layer: Layer, x: Spec, side: Mapping[str, Spec]) -> int:
    """Return how many layers `repeat` has stacked in this one."""
    leaves = jax.tree.leaves(abstract(layer, x, side).variables)
    return math.prod(leaves[0].shape[: layer._stacked]) if leaves else 1


def _size(tree: Spec) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def _cells(row: Row) -> tuple[str, ...]:
    level = row.path.count("/")
    return (
        "  " * level + row.path.rpartition("/")[2],
        _cut(row.layer) + (f" ×{row.times}" if row.times > 1 else ""),
        _shape(row.output),
        f"{row.parameters:,}",
        _bytes(row.bytes),
        _short(row.flops),
    )


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def _shape(output: Spec) -> str:
    leaves = jax.tree.leaves(output)
    if all(leaf.dtype == jnp.float32 for leaf in leaves) and len(leaves) == 1:
        return str(leaves[0].shape)
    return describe(output)


def _bytes(count: float) -> str:
    return _scaled(count, 1024, (" B", " KiB", " MiB", " GiB", " TiB"))


def _short(count: float) -> str:
    return _scaled(count, 1000, ("", "k", "M", "G", "T"))


def _scaled(count: float, base: int, units: tuple[str, ...]) -> str:
    for unit in units[:-1]:
        if count < base:
            return _three_digits(count) + unit
        count /= base
    return _three_digits(count) + units[-1]


def _three_digits(number: float) -> str:
    return f"{number:.3g}" if number < 100 else f"{number:.0f}"

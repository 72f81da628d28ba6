"""Weights made by torch, under their names and axes there, as the variables of a model here."""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._core._factory import LayerLike, as_layer
from .._core._layer import Layer, Variables, abstract
from .._core._specs import Spec
from ..inspect._table import html_table, text_table
from ._entry import Entry, Layout
from ._layouts import LAYOUTS

_HEAD = ("torch", "shape", "axes", "laminax", "shape")


class Moved(NamedTuple):
    """Where one array came from and went."""

    theirs: str
    """Its name in the state dict."""
    their_shape: tuple[int, ...]
    axes: str
    """How its axes were reordered, "OIHW → HWIO"; "tied" of a second copy; else empty."""
    ours: str
    """Its path; with an index where it is a part, "params/rest/w[2]" of those `repeat` stacks."""
    our_shape: tuple[int, ...]


@dataclass(frozen=True, repr=False)
class Import:
    """What went where; prints as a table, shows as HTML in a notebook.

    Attributes:
        moved: one row an array, in torch's order.
        ignored: names in the state dict that hold no weight: counters of batches, causal masks.
    """

    moved: tuple[Moved, ...]
    ignored: tuple[str, ...]

    def __str__(self) -> str:
        """The table as aligned text."""
        head, rule, *lines = text_table(_HEAD, map(_cells, self.moved), left=len(_HEAD))
        return "\n".join([head, rule, *lines, rule, self._totals()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"{html_table(_HEAD, map(_cells, self.moved))}<p>{html.escape(self._totals())}</p>"

    def _totals(self) -> str:
        values = sum({row.ours: int(np.prod(row.our_shape)) for row in self.moved}.values())
        ignored = f"; ignored: {', '.join(self.ignored)}" if self.ignored else ""
        return f"{len(self.moved)} arrays, {values:,} values{ignored}"


class Imported(NamedTuple):
    """The variables of the model, and the table of what went where."""

    variables: Variables
    table: Import


def from_torch(model: LayerLike, state_dict: Mapping[str, Any]) -> Imported:
    """Variables of a model from weights trained by torch, and a table of what went where.

    Takes the state dicts of torchvision's AlexNet, VGG (with batch norm or without) and ResNet for
    `alexnet`, `vgg` and `resnet` of the same depth, width and classes, and Hugging Face's GPT-2 and
    BERT, bare or with the head of a language model, for `gpt`, `bert` and `bert_mlm`. torch itself
    is not needed: a dict of NumPy arrays will do, as `safetensors.numpy.load_file` makes it. Arrays
    are copied, into JAX's default float dtype.

    Args:
        model: made by one of the factories above, as it is: with layers around it, import first and
            put the variables under its name.
        state_dict: torch's tensors or NumPy arrays, by name.

    Returns:
        The pair (variables, table); `print(table)` shows it.

    Raises:
        ValueError: names in the state dict that are missing or unexpected, and arrays of another
            shape: all are named; a head that is not the embedding it is tied to here; a model
            without a layout.
        TypeError: a state dict that is none.

    >>> import numpy as np
    >>> from laminax import nn
    >>> nn.from_torch(nn.resnet(18), {"conv1.weight": np.zeros((64, 3, 7, 7)), "head": np.zeros(3)})
    Traceback (most recent call last):
        ...
    ValueError: from_torch: the state_dict is not one of resnet(18):
      missing: bn1.weight; bn1.bias; ...; fc.bias
      unexpected: head
    ...
    """
    layer = as_layer(model)
    layout = _layout_of(layer)
    shapes = _shapes(state_dict)
    spec = abstract(layer, layout.x(shapes), {}).variables
    leaves, structure = jax.tree_util.tree_flatten_with_path(spec)
    ours = {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}
    entries = layout.entries(layer, spec, shapes)
    ignored = tuple(name for name in shapes if name.endswith(layout.ignored))
    _check(layer, entries, ours, {n: s for n, s in shapes.items() if n not in ignored})
    sources: dict[str, list[Entry]] = {path: [] for path in ours}
    for entry in entries:
        sources[entry.ours].append(entry)
    filled = [_filled(leaf, sources[path], state_dict) for path, leaf in ours.items()]
    moved = tuple(_moved(entry, ours, shapes) for entry in entries)
    return Imported(jax.tree.unflatten(structure, filled), Import(moved, ignored))


def _layout_of(layer: Layer) -> Layout:
    if layer.name not in LAYOUTS:
        raise ValueError(
            f"from_torch: no layout is known for {layer.name!r}, only for {', '.join(LAYOUTS)}; "
            "give the model as its factory made it, without layers around it"
        )
    return LAYOUTS[layer.name]


def _shapes(state_dict: Any) -> dict[str, tuple[int, ...]]:
    if not isinstance(state_dict, Mapping):
        raise TypeError(
            f"from_torch: state_dict must be a dict of arrays by name, got "
            f"{type(state_dict).__name__}; of a torch module, pass module.state_dict()"
        )
    for name, array in state_dict.items():
        if not hasattr(array, "shape"):
            raise TypeError(
                f"from_torch: {name!r} must be an array, got {type(array).__name__}; "
                "of a checkpoint, pass the dict that holds the weights alone"
            )
    return {name: tuple(array.shape) for name, array in state_dict.items()}


def _check(
    layer: Layer,
    entries: list[Entry],
    ours: Mapping[str, jax.ShapeDtypeStruct],
    shapes: Mapping[str, tuple[int, ...]],
) -> None:
    """Raise one error that names all that does not fit."""
    expected = {entry.theirs: entry.form.shape(_shape_of(entry, ours)) for entry in entries}
    missing = [name for name in expected if name not in shapes]
    unexpected = [name for name in shapes if name not in expected]
    wrong = [
        f"{name} {shapes[name]}, expected {shape}"
        for name, shape in expected.items()
        if name in shapes and shapes[name] != shape
    ]
    found = {"missing": missing, "unexpected": unexpected, "of another shape": wrong}
    if any(found.values()):
        lines = "".join(f"\n  {what}: {'; '.join(names)}" for what, names in found.items() if names)
        raise ValueError(
            f"from_torch: the state_dict is not one of {layer!r}:{lines}\n"
            "make the model with the depth, width and classes that the weights were trained with"
        )


def _shape_of(entry: Entry, ours: Mapping[str, jax.ShapeDtypeStruct]) -> tuple[int, ...]:
    part = np.broadcast_to(0, ours[entry.ours].shape)[entry.where]
    return tuple(part.shape)


def _filled(leaf: Spec, entries: list[Entry], state_dict: Mapping[str, Any]) -> jax.Array:
    whole = np.full(leaf.shape, np.nan, leaf.dtype)
    for entry in entries:
        part = entry.form.convert(_numpy(state_dict[entry.theirs])).astype(leaf.dtype)
        if entry.tied and not np.array_equal(whole[entry.where], part):
            raise ValueError(
                f"from_torch: {entry.theirs} must equal {entries[0].theirs}, since the model has "
                "one array for both, got another; give weights that were trained tied"
            )
        whole[entry.where] = part
    return jnp.asarray(whole)


def _numpy(array: Any) -> np.ndarray:
    if hasattr(array, "detach"):  # a tensor; double, since NumPy has no bfloat16
        array = array.detach().cpu().double()
    return np.asarray(array)


def _moved(
    entry: Entry,
    ours: Mapping[str, jax.ShapeDtypeStruct],
    shapes: Mapping[str, tuple[int, ...]],
) -> Moved:
    return Moved(
        entry.theirs,
        shapes[entry.theirs],
        "tied" if entry.tied else entry.form.text,
        entry.ours + _index(entry),
        _shape_of(entry, ours),
    )


def _index(entry: Entry) -> str:
    parts = [] if entry.layer is None else [str(entry.layer)]
    if entry.columns is not None:
        parts += ["...", f"{entry.columns.start}:{entry.columns.stop}"]
    return f"[{', '.join(parts)}]" if parts else ""


def _cells(row: Moved) -> tuple[str, ...]:
    return row.theirs, str(row.their_shape), row.axes, row.ours, str(row.our_shape)

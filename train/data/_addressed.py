"""What answers to row numbers: arrays in memory or on disk, and the data sets of others."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from ._source import checked_batch
from ._split import rows

Take = Callable[[NDArray[np.int32]], Any]


class Addressed:
    """A pytree of what answers to row numbers, of one length."""

    def __init__(self, where: str, data: Any, instead: str) -> None:
        leaves, self._treedef = jax.tree.flatten(
            data, is_leaf=lambda part: hasattr(part, "__next__")
        )
        self._where, self._take = where, [_taker(where, instead, leaf) for leaf in leaves]
        lengths = [jax.ShapeDtypeStruct(_axes(leaf), np.bool_) for leaf in leaves]
        self.examples = rows(jax.tree.unflatten(self._treedef, lengths))
        if self.examples:
            self.read(np.zeros(1, np.int32))  # so that bad data raise at once

    def read(self, chosen: NDArray[np.int32]) -> Any:
        """Return these rows as a batch."""
        parts = [take(chosen) for take in self._take]
        return checked_batch(self._where, jax.tree.unflatten(self._treedef, parts))


def _axes(data: Any) -> tuple[int, ...]:
    return tuple(data.shape) if isinstance(data, np.ndarray | jax.Array) else (len(data),)


def _taker(where: str, instead: str, data: Any) -> Take:
    """Return what takes rows of one leaf of the data."""
    if isinstance(data, np.ndarray | jax.Array):
        array = data if isinstance(data, np.ndarray) else np.asarray(data)
        return lambda chosen: array[chosen]
    if not hasattr(data, "__getitem__") or not hasattr(data, "__len__"):
        raise TypeError(
            f"{where}: a {type(data).__name__} does not answer to row numbers; give arrays, or use "
            f"{instead} for what can only be read from front to back"
        )
    if hasattr(data, "with_format"):
        return _hugging_face(data)
    if hasattr(data, "shape"):
        return lambda chosen: _in_order(data, chosen)
    return lambda chosen: _stacked([data[int(row)] for row in chosen])


def _hugging_face(data: Any) -> Take:
    form = data.format
    if form["type"] != "custom":  # one that the user's own transform makes stays
        data = data.with_format("numpy", columns=form["columns"])
    return lambda chosen: {
        name: np.asarray(column) for name, column in data[chosen.tolist()].items()
    }


def _in_order(data: Any, chosen: NDArray[np.int32]) -> NDArray[Any]:
    """Read rows in rising order, each once: HDF5 knows no other way, and disks like it."""
    rising, place = np.unique(chosen, return_inverse=True)
    taken: NDArray[Any] = np.asarray(data[rising])[place]
    return taken


def _stacked(examples: list[Any]) -> Any:
    return jax.tree.map(lambda *parts: np.stack([np.asarray(part) for part in parts]), *examples)

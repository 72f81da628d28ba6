"""Batches from what answers to row numbers, in the order of training from memory.

Batch s holds the rows index(key, s, B, n), so that training from disk is training from device
memory bit for bit.
"""

import copy
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from ._order import Order
from ._source import Source, State, checked_batch, checked_state
from ._split import rows

Take = Callable[[NDArray[np.int32]], Any]


class _Indexed:
    def __init__(self, data: Any, batch_size: int, key: jax.Array) -> None:
        leaves, self._treedef = jax.tree.flatten(
            data, is_leaf=lambda part: hasattr(part, "__next__")
        )
        self._take = [_taker(leaf) for leaf in leaves]
        lengths = [jax.ShapeDtypeStruct(_axes(leaf), np.bool_) for leaf in leaves]
        self.examples = rows(jax.tree.unflatten(self._treedef, lengths))
        self._order = Order("indexed", key, batch_size, self.examples)
        self.batch_size = int(batch_size)
        self._step = 0
        self._made = {
            "batch_size": self.batch_size,
            "examples": self.examples,
            "key": jax.random.key_data(key).tolist(),
        }
        self._slots = np.arange(self.batch_size)
        self._read(np.zeros(1, np.int32))  # so that bad data raise at once

    def __next__(self) -> Any:
        batch = self._read(self._order.rows(self._step)[self._slots])
        self._step += 1
        return batch

    def part(self, slots: NDArray[np.intp]) -> Source:
        part = copy.copy(self)
        part._slots = self._slots[slots]
        part.batch_size = len(slots)
        return part

    def state(self) -> State:
        return {"source": "indexed", **self._made, "step": self._step}

    def restore(self, state: State) -> None:
        self._step = checked_state("indexed", state, self._made, {"step"})["step"]

    def _read(self, chosen: NDArray[np.int32]) -> Any:
        parts = [take(chosen) for take in self._take]
        return checked_batch("indexed", jax.tree.unflatten(self._treedef, parts))


def indexed(data: Any, *, batch_size: int, key: jax.Array) -> Source:
    """Return batches of whatever answers to row numbers, shuffled anew in every epoch.

    Batch s holds the rows `index(key, s, batch_size, n)`: the same, in the same order, as training
    on arrays in memory, where `key` is `TrainState.data_key`. Restoring costs nothing.

    Args:
        data: a pytree of arrays with a common leading axis, in memory or on disk: NumPy arrays,
            `np.load(path, mmap_mode="r")`, arrays of HDF5 or Zarr, a Hugging Face `Dataset` (gives
            a dict of its columns), a PyTorch map-style `Dataset` (gives its examples, stacked).
        batch_size: examples a batch.
        key: decides the order.

    Raises:
        TypeError: data that do not answer to row numbers, or not with arrays of numbers.
        ValueError: no examples; leading axes that differ; sizes out of range.

    >>> import jax
    >>> key = jax.random.key(0)
    >>> source = indexed((np.arange(10) ** 2, np.arange(10)), batch_size=4, key=key)
    >>> x, y = next(source)
    >>> bool((x == y**2).all()), source.state()["step"], source.examples
    (True, 1, 10)
    """
    return _Indexed(data, batch_size, key)


def _axes(data: Any) -> tuple[int, ...]:
    return tuple(data.shape) if isinstance(data, np.ndarray | jax.Array) else (len(data),)


def _taker(data: Any) -> Take:
    """Return what takes rows of one leaf of the data."""
    if isinstance(data, np.ndarray | jax.Array):
        array = data if isinstance(data, np.ndarray) else np.asarray(data)
        return lambda chosen: array[chosen]
    if not hasattr(data, "__getitem__") or not hasattr(data, "__len__"):
        raise TypeError(
            f"indexed: a {type(data).__name__} does not answer to row numbers; give arrays, or use "
            "iterated for what can only be read from front to back"
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

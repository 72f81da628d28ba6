"""Batches from what answers to row numbers, in the order of training from memory.

Batch s holds the rows index(key, s, B, n), so that training from disk is training from device
memory bit for bit.
"""

import copy
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from ._addressed import Addressed
from ._order import Order
from ._source import Source, State, checked_state


class _Indexed:
    def __init__(self, data: Any, batch_size: int, key: jax.Array) -> None:
        self._data = Addressed("indexed", data, instead="iterated")
        self.examples = self._data.examples
        self._order = Order("indexed", key, batch_size, self.examples)
        self.batch_size = int(batch_size)
        self._step = 0
        self._made = {
            "batch_size": self.batch_size,
            "examples": self.examples,
            "key": jax.random.key_data(key).tolist(),
        }
        self._slots = np.arange(self.batch_size)

    def __next__(self) -> Any:
        batch = self._data.read(self._order.rows(self._step)[self._slots])
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

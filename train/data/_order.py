"""The order of `index`, read on the host: the rows of many steps computed at once on the CPU."""

import functools

import jax
import numpy as np
from jax import lax
from jax.typing import ArrayLike
from numpy.typing import NDArray

from ._stream import check_stream, index

_AT_ONCE = 2**13  # rows that one call computes: many steps, and still at once


class Order:
    """The rows `index(key, step, batch_size, n)` of any step, without waiting for a device."""

    def __init__(self, where: str, key: jax.Array, batch_size: int, n: int) -> None:
        check_stream(where, key, batch_size, n)
        self._device = host()
        self._key = jax.device_put(key, self._device)
        self._sizes = int(batch_size), int(n)
        self._steps = max(1, _AT_ONCE // batch_size)
        self._first, self._block = -1, np.zeros((0, 0), np.int32)

    def rows(self, step: int) -> NDArray[np.int32]:
        """Return the rows of the batch at `step`."""
        first = step - step % self._steps
        if first != self._first:
            with jax.default_device(self._device):
                block = _block(self._key, np.uint32(first), *self._sizes, self._steps)
            self._first, self._block = first, np.asarray(block)
        chosen: NDArray[np.int32] = self._block[step - first]
        return chosen


def host() -> jax.Device:
    """Return the CPU, or the default device where JAX was told to leave the CPU out."""
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:
        return jax.local_devices()[0]


@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def _block(key: jax.Array, first: ArrayLike, batch_size: int, n: int, steps: int) -> jax.Array:
    at = first + lax.iota(np.uint32, steps)
    rows: jax.Array = jax.vmap(lambda step: index(key, step, batch_size, n))(at)
    return rows

"""Several processes that run the same program, each with its own devices: what they must agree on.

A program over all their devices ends only if every process launches it with the same arguments. So
what a process finds out by itself, from its clock or from a signal, is told to all before it acts.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding, PartitionSpec
from numpy.typing import NDArray


def first() -> bool:
    """Whether this is the process that writes files and draws the bar."""
    return jax.process_index() == 0


def agreed(*values: int) -> tuple[int, ...]:
    """The largest of each value over the processes, which wait for each other here."""
    if jax.process_count() == 1:
        return values
    told = multihost_utils.process_allgather(np.array(values, np.int64).astype(np.int32))
    return tuple(int(value) for value in np.asarray(told).max(0))


def put(tree: Any, sharding: Any) -> Any:
    """Put arrays, the same in every process, on the devices, by no word between these."""
    if jax.process_count() == 1:
        return jax.device_put(tree, sharding)
    return jax.tree.map(lambda leaf: _put(leaf, sharding), tree)


def _put(leaf: Any, sharding: NamedSharding) -> jax.Array:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        everywhere = NamedSharding(sharding.mesh, PartitionSpec())
        data = _put(jax.random.key_data(leaf), everywhere)
        key: jax.Array = jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
        return key
    array = np.asarray(leaf)
    return jax.make_array_from_callback(array.shape, sharding, lambda rows: array[rows])


def put_slots(leaf: Any, sharding: NamedSharding, slots: NDArray[np.intp], size: int) -> jax.Array:
    """Put batches (steps, slots, ...) on the devices, of which each process has some slots.

    Args:
        leaf: what this process has: at least the slots of its own devices.
        sharding: of the whole, (steps, size, ...).
        slots: which of the `size` examples of a batch these are, in rising order.
        size: examples of a whole batch.
    """
    if jax.process_count() == 1:
        placed: jax.Array = jax.device_put(leaf, sharding)
        return placed

    def part(at: tuple[slice, ...] | None) -> Any:
        assert at is not None
        rows = np.arange(size)[at[1]]
        first = int(np.searchsorted(slots, rows[0]))
        return leaf[at[0], first : first + len(rows), *at[2:]]

    shape = (leaf.shape[0], size, *leaf.shape[2:])
    return jax.make_array_from_callback(shape, sharding, part)


def whole(leaf: jax.Array) -> Any:
    """An array on this host, copied, though its parts may lie on other processes' devices."""
    if leaf.is_fully_addressable or leaf.is_fully_replicated:
        return np.array(leaf)
    return np.array(multihost_utils.process_allgather(leaf, tiled=True))

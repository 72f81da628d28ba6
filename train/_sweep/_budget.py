"""How many members to train at once.

On accelerators as many as the memory holds, by the compiler's own account of one member. On a CPU
as many as a cache holds: a step reads and writes all states, and from memory that takes longer than
the arithmetic.
"""

import math
from collections.abc import Iterator

import jax
import numpy as np
from numpy.typing import NDArray

from ._members import traced_values
from ._program import Lanes, advance, start
from ._settings import Group
from ._task import Task

_CACHE = 32 * 2**20  # bytes of state and gradient
_SHARE = 0.8  # of a device's memory


def blocks(
    task: Task, group: Group, at_once: int | None, *, whole: bool = False
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield places in a group and lanes, in blocks of at most `at_once` members and alike in size.

    A setting's lanes are together, however many, if `whole`; else they may follow each other.
    """
    settings, lanes = len(group.indices), len(task.lanes.seed)
    most = at_once or _fitting(task, group)
    each = max(1, most // lanes)
    for places in _parts(settings, each):
        for part in _parts(lanes, lanes if whole else min(lanes, most)):
            yield places, part


def _parts(n: int, most: int) -> list[NDArray[np.intp]]:
    return np.array_split(np.arange(n), -(-n // most))


def _fitting(task: Task, group: Group) -> int:
    """Return how many members fit; one at least."""
    lanes = Lanes(*(part[:1] for part in task.lanes))
    traced = traced_values(group.traced, np.zeros(1, int))
    plan = task.plan(group)
    state = start.eval_shape(plan, traced, lanes, task.data)
    devices = jax.local_devices()
    memory = devices[0].memory_stats()
    if not memory or "bytes_limit" not in memory:
        sizes = (math.prod(a.shape) * a.dtype.itemsize for a in jax.tree.leaves(state))
        return max(1, len(devices) * _CACHE // int(sum(sizes)))
    specs = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), task.data)
    one = advance.lower(plan, state, traced, lanes, specs, np.int32(0)).compile()
    plans = one.memory_analysis()
    assert plans is not None
    member: int = plans.output_size_in_bytes + plans.temp_size_in_bytes
    free: int = int(_SHARE * memory["bytes_limit"]) - memory["bytes_in_use"]
    return max(1, len(devices) * (free // member))

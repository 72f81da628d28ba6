"""Where members lie: the longer axis of their table split over this process's devices.

A device holds ⌈members / devices⌉ places; places that are left over repeat the last member, so any
number of members is split evenly.
"""

import functools
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec, Sharding, SingleDeviceSharding
from numpy.typing import NDArray

from .._state import TrainState


class Layout(NamedTuple):
    """Which setting and which lane stand in each place, and how places are split."""

    settings: NDArray[np.intp]
    lanes: NDArray[np.intp]
    own: NamedSharding | None  # of arrays (lanes, settings, ...); None on one device
    traced: Sharding  # of arrays (settings,)
    common: Sharding  # of what all devices have


def layout(settings: int, lanes: int) -> Layout:
    """Lay out a table of members."""
    across = settings >= lanes
    split = settings if across else lanes
    each = -(-split // jax.local_device_count())
    devices = -(-split // each)
    filled = np.minimum(np.arange(each * devices), split - 1)
    rows, columns = (filled, np.arange(lanes)) if across else (np.arange(settings), filled)
    if devices == 1:
        only = SingleDeviceSharding(jax.local_devices()[0])
        return Layout(rows, columns, None, only, only)
    mesh = jax.make_mesh(
        (devices,),
        ("members",),
        axis_types=(AxisType.Auto,),
        devices=jax.local_devices()[:devices],
    )
    own = PartitionSpec(None, "members") if across else PartitionSpec("members")
    traced = PartitionSpec("members") if across else PartitionSpec()
    sharded = functools.partial(NamedSharding, mesh)
    return Layout(rows, columns, sharded(own), sharded(traced), sharded(PartitionSpec()))


def placed(state: TrainState, where: Layout) -> TrainState:
    """Return the state where it belongs, moved if need be."""
    own: Any = where.own or where.common
    common: Any = where.common
    shardings = TrainState(common, own, own, own, common)  # a prefix of the state
    moved: TrainState = jax.device_put(state, shardings)
    return moved

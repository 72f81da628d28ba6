"""A mesh: the devices in a grid with named axes, over which arrays are laid out."""

import math

import jax
from jax.sharding import AxisType, Mesh


def mesh(**axes: int) -> Mesh:
    """All devices as a grid: `mesh(data=4, model=2)`, `mesh(data=-1)` for however many there are.

    One axis may be −1: what is left. The axes are `Auto`: where the layout of a value is not said,
    the compiler finds one.

    Raises:
        ValueError: sizes whose product is not the number of devices.

    >>> from laminax import train
    >>> dict(train.mesh(data=-1, model=1).shape) == {"data": jax.device_count(), "model": 1}
    True
    """
    devices = jax.device_count()
    sizes = list(axes.values())
    bad = [s for s in sizes if isinstance(s, bool) or not isinstance(s, int) or s == 0 or s < -1]
    if not axes or bad or sizes.count(-1) > 1:
        raise ValueError(
            f"mesh: sizes must be integers of at least 1, at most one of them -1, got {axes}; as "
            "mesh(data=-1)"
        )
    if -1 in sizes:
        known = math.prod(size for size in sizes if size != -1)
        sizes[sizes.index(-1)] = max(1, devices // known)
    if math.prod(sizes) != devices:
        raise ValueError(
            f"mesh: {axes} is {math.prod(sizes)} devices, but there are {devices}; make the "
            "product of the sizes equal to that, or let one be -1"
        )
    return jax.make_mesh(tuple(sizes), tuple(axes), axis_types=(AxisType.Auto,) * len(sizes))

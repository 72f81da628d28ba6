"""How a run lies on the devices of a mesh: its batches, its parameters, and what goes with these.

What is computed does not depend on it, but for the order of sums. The compiler puts in the
communication: it gathers a part where it is needed and sums gradients where they are kept.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from numpy.typing import NDArray

from laminax._paths import paths

if TYPE_CHECKING:
    from ._state import TrainState

Axes: TypeAlias = tuple[str | tuple[str, ...] | None, ...]
"""For the last axes of an array, the mesh axes along which each is cut; None for not at all."""


@dataclass(frozen=True, eq=False)
class Layout:
    """How a run lies on a mesh; made by `data_parallel`, `fully_sharded` and others.

    Attributes:
        mesh: the devices.
        cut: for the parameters' paths and shapes, along which mesh axes each is cut.
        batch_axis: the mesh axis along which batches are cut.
        time_axis: the mesh axis along which the sequences in a batch are cut; None for not at all.
    """

    mesh: Mesh
    cut: Callable[[Any], list[Axes]]
    batch_axis: str = "data"
    time_axis: str | None = None

    @property
    def ways(self) -> int:
        """Into how many parts a batch is cut."""
        return int(self.mesh.shape[self.batch_axis])

    def params(self, params: Any) -> Any:
        """The sharding of each parameter, as a tree like `params` (arrays or specs)."""
        leaves, cuts = jax.tree.leaves(params), self.cut(params)
        return jax.tree.unflatten(
            jax.tree.structure(params),
            [self._sharding(leaf, axes) for leaf, axes in zip(leaves, cuts, strict=True)],
        )

    def state(self, state: "TrainState") -> "TrainState":
        """The sharding of each leaf of a training state; moments lie as their parameters do."""
        params = self.params(state.params)
        columns = paths(state.params), jax.tree.leaves(state.params), jax.tree.leaves(params)
        found = {
            (path, leaf.shape): sharding for path, leaf, sharding in zip(*columns, strict=True)
        }

        def follow(path: str, leaf: Any) -> NamedSharding:
            keys = path.split("/")
            ends = ("/".join(keys[start:]) for start in range(len(keys)))
            return next(
                (found[end, leaf.shape] for end in ends if (end, leaf.shape) in found),
                self.everywhere,
            )

        followed = map(follow, paths(state.opt_state), jax.tree.leaves(state.opt_state))
        opt_state = jax.tree.unflatten(jax.tree.structure(state.opt_state), followed)
        whole: TrainState = jax.tree.map(lambda leaf: self.everywhere, state)
        return whole._replace(params=params, opt_state=opt_state)

    def spec(self, state: "TrainState") -> "TrainState":
        """Shapes, dtypes and shardings of a training state (arrays or specs)."""
        made: TrainState = jax.tree.map(
            lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
            state,
            self.state(state),
        )
        return made

    def check_batch(self, batch_size: int, microbatches: int) -> None:
        """Raise ValueError for batches that cannot be cut evenly."""
        if batch_size // microbatches % self.ways:
            raise ValueError(
                f"layout: a batch of {batch_size} in {microbatches} microbatches cannot be cut "
                f"evenly over the {self.ways} devices along {self.batch_axis!r}; choose a multiple "
                f"of {self.ways * microbatches}"
            )

    @property
    def everywhere(self) -> NamedSharding:
        """Whole on every device."""
        return NamedSharding(self.mesh, PartitionSpec())

    @property
    def sequences(self) -> NamedSharding:
        """Of an array (batch, time, ...): what `nn.ring_attention` and `nn.constrain` ask for."""
        return NamedSharding(self.mesh, PartitionSpec(self.batch_axis, self.time_axis))

    def batch(self, batch: Any, leading: int = 0) -> Any:
        """The sharding of each array of a batch, whose own axes come after `leading` others.

        All are cut along the batch. Along time those are whose second axis is cut evenly.

        Raises:
            ValueError: the longest second axis cannot be cut evenly along `time_axis`.
        """
        ways = 1 if self.time_axis is None else int(self.mesh.shape[self.time_axis])
        rest = [leaf.shape[leading + 1 :] for leaf in jax.tree.leaves(batch)]
        times = [axes[0] for axes in rest if axes]
        if times and max(times) % ways:
            raise ValueError(
                f"layout: sequences of {max(times)} steps cannot be cut evenly over the {ways} "
                f"devices along {self.time_axis!r}; pad them to a multiple of {ways}"
            )

        def sharding(leaf: Any) -> NamedSharding:
            long = leaf.ndim > leading + 1 and leaf.shape[leading + 1] % ways == 0
            axes = (self.batch_axis, self.time_axis) if long else (self.batch_axis,)
            return NamedSharding(self.mesh, PartitionSpec(*(None,) * leading, *axes))

        return jax.tree.map(sharding, batch)

    def slots(self, batch_size: int) -> NDArray[np.intp]:
        """Which examples of a batch lie on the devices of this process, in rising order."""
        sharding = NamedSharding(self.mesh, PartitionSpec(self.batch_axis))
        parts = sharding.addressable_devices_indices_map((batch_size,)).values()
        every = np.arange(batch_size)
        return np.unique(np.concatenate([every[part] for part in parts]))

    def constrain_batch(self, batch: Any) -> Any:
        """Within a program: examples in parts along the batch, sequences along time too."""
        return jax.lax.with_sharding_constraint(batch, self.batch(batch))

    def constrain_state(self, state: "TrainState") -> "TrainState":
        """Within a program: the training state as laid out."""
        laid: TrainState = jax.lax.with_sharding_constraint(state, self.state(state))
        return laid

    def table(self, params: Any) -> str:
        """Each parameter, how it is cut, and how many elements a device holds."""
        head = ("parameter", "shape", "cut along", "a device holds")
        rows = [head]
        for path, leaf, sharding in zip(
            paths(params),
            jax.tree.leaves(params),
            jax.tree.leaves(self.params(params)),
            strict=True,
        ):
            along = ", ".join("-" if axis is None else str(axis) for axis in sharding.spec) or "-"
            held = math.prod(sharding.shard_shape(leaf.shape))
            rows.append((path, str(tuple(leaf.shape)), along, f"{held:,}"))
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        return "\n".join(
            f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:<{widths[2]}}  {d:>{widths[3]}}"
            for a, b, c, d in rows
        )

    def _sharding(self, leaf: Any, axes: Axes) -> NamedSharding:
        whole = (None,) * (len(leaf.shape) - len(axes))
        return NamedSharding(self.mesh, PartitionSpec(*whole, *axes))

"""Where the batches of a chunk come from: data on the device, or a stream read ahead on the host.

In the program a feed is a static function (data, state, i) -> (batch, weights) of the i-th step of
the chunk; on the host it hands out that data, as many steps at a time as it has.
"""

import queue
import threading
import zlib
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

import jax
import numpy as np

from ._blocks import read_ahead
from ._layout import Layout
from ._objective import Batch, batch_size_of
from ._processes import put, put_slots
from ._state import TrainState
from .data import Divisible, Source, gather, index

Weights: TypeAlias = jax.Array | None

_CHECKED = 1024  # rows that a fingerprint reads
_AHEAD = 2  # blocks that wait on the device while one is used


class Examples(NamedTuple):
    """All examples, and what each weighs."""

    batch: Batch
    weights: Any = None


@dataclass(frozen=True)
class Shuffled:
    """Each step's rows of examples that lie on the device, in the order that the run's key says."""

    batch_size: int

    def __call__(self, data: Examples, state: TrainState, i: jax.Array) -> tuple[Batch, Weights]:
        """Gather the batch of the step that the state stands at."""
        examples = batch_size_of(data.batch)
        batch, weights = gather(data, index(state.data_key, state.step, self.batch_size, examples))
        return batch, weights


class Block(NamedTuple):
    """Some consecutive batches of a stream, stacked, and which of them comes next."""

    start: Any
    batches: Batch


@dataclass(frozen=True)
class Stacked:
    """Each step's batch of a block, one after another."""

    def __call__(self, data: Block, state: TrainState, i: jax.Array) -> tuple[Batch, Weights]:
        """Take the batch out of the block."""
        return gather(data.batches, data.start + i), None


class Feed(Protocol):
    """The host's side of a feed."""

    take_batch: Any
    """The static function of the program."""
    spec: Batch
    """Shapes and dtypes of examples, whatever the length of the leading axis."""
    sample: Batch
    """All data where they are at hand, else the first batch, to be looked through for errors."""
    batch_size: int
    examples: int

    def take(self, most: int) -> tuple[Any, int]:
        """The data of the next steps, and for how many, at most `most`, it lasts."""

    def state(self) -> Any:
        """Where the stream stands after the steps taken, as JSON."""

    def fingerprint(self) -> Any:
        """What tells these data from others, as JSON."""

    def close(self) -> None:
        """Let go of threads."""


class Resident:
    """Data on the device: every step is there."""

    def __init__(
        self, data: Batch, weights: Any, batch_size: int, layout: Layout | None = None
    ) -> None:
        self.take_batch = Shuffled(batch_size)
        self.spec = self.sample = data
        self.batch_size, self.examples = batch_size, batch_size_of(data)
        self._data = put(Examples(data, weights), layout and layout.everywhere)

    def take(self, most: int) -> tuple[Any, int]:
        """All data, for any number of steps."""
        return self._data, most

    def state(self) -> Any:
        """Nothing: the training state's step says it."""
        return None

    def fingerprint(self) -> Any:
        """Shapes, dtypes and a checksum of some rows."""
        leaves = jax.tree.leaves(self._data)
        some = max(1, self.examples // _CHECKED)
        sums = [zlib.crc32(np.ascontiguousarray(np.asarray(a[::some])).data) for a in leaves]
        columns = zip(leaves, sums, strict=True)
        return [[str(leaf.dtype), list(leaf.shape), crc] for leaf, crc in columns]

    def close(self) -> None:
        """Nothing to let go of."""


class Streaming:
    """A stream read ahead by a thread, put on the device in blocks of equal length.

    Of several processes each reads the slots of its own devices alone, where the source can.
    """

    def __init__(self, source: Source, position: Any = None, layout: Layout | None = None) -> None:
        if source.examples is None:
            raise ValueError(
                "fit: the stream does not know how many examples make an epoch; tell it, by its "
                "examples="
            )
        self.take_batch = Stacked()
        self.batch_size, self.examples = source.batch_size, source.examples
        if position is not None:
            source.restore(position)
        self._position = source.state()
        self._layout, self._slots = layout, np.arange(self.batch_size)
        if layout is not None and jax.process_count() > 1 and isinstance(source, Divisible):
            self._slots = layout.slots(self.batch_size)
            source = source.part(self._slots)
        self._blocks = read_ahead(source, self.batch_size)
        self._queue: queue.Queue[Any] = queue.Queue(_AHEAD)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()
        self._positions: list[Any] = []
        self._taken = 0
        self._next_block()
        self.spec = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), self._block)

    def take(self, most: int) -> tuple[Any, int]:
        """What is left of the block at hand, else the next one."""
        if most and self._taken == len(self._positions):
            self._next_block()
        start = self._taken
        n = min(most, len(self._positions) - start)
        self._taken += n
        return Block(np.int32(start), self._block), n

    def state(self) -> Any:
        """The source's own state after the last batch taken."""
        return self._positions[self._taken - 1] if self._taken else self._position

    def fingerprint(self) -> Any:
        """Dtypes and ranks of a batch: its shape may differ from that of another."""
        return [[str(leaf.dtype), len(leaf.shape)] for leaf in jax.tree.leaves(self.spec)]

    def close(self) -> None:
        """Stop reading ahead."""
        self._stopped.set()
        while self._thread.is_alive():
            while not self._queue.empty():
                self._queue.get_nowait()
            self._thread.join(0.01)

    def _next_block(self) -> None:
        block = self._queue.get()
        if isinstance(block, BaseException):
            raise block
        self._position = self.state()
        self.sample, self._block, self._positions = block
        self._taken = 0

    def _work(self) -> None:
        try:
            for batches, positions in self._blocks:
                placed = self._placed(batches)
                sample = jax.tree.map(lambda a, b: a[0].astype(b.dtype), batches, placed)
                self._put((sample, placed, positions))
                if self._stopped.is_set():
                    return
            self._put(
                ValueError(
                    "fit: the stream of batches has ended before the epochs have; make it endless, "
                    "or take fewer epochs"
                )
            )
        except BaseException as error:
            self._put(error)

    def _placed(self, batches: Batch) -> Batch:
        if self._layout is None:
            return jax.device_put(batches)
        size = self.batch_size
        spec = jax.tree.map(
            lambda a: jax.ShapeDtypeStruct((len(a), size, *a.shape[2:]), a.dtype), batches
        )
        return jax.tree.map(
            lambda leaf, sharding: put_slots(leaf, sharding, self._slots, size),
            batches,
            self._layout.batch(spec, 1),
        )

    def _put(self, item: Any) -> None:
        while not self._stopped.is_set():
            try:
                return self._queue.put(item, timeout=0.1)
            except queue.Full:
                continue
        return None

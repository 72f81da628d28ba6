"""Sequences of different lengths in full batches of few shapes.

Sequences of about one length make a bucket, padded to its longest. Bucket b of n_b examples is an
endless stream of its own; epoch e holds its batches floor(e·n_b / B) up to floor((e+1)·n_b / B),
those of all buckets in one shuffled order. So every batch is full, each example comes equally
often in the long run, and batch k is known without its predecessors.
"""

import copy
from bisect import bisect_right
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from ._order import Order
from ._padding import least_padded, padded
from ._source import Source, State, checked_batch, checked_state
from ._split import rows
from ._stream import check_stream


class _Sequences(NamedTuple):
    """One ragged part of the data: sequences (time, ...), and their lengths."""

    values: list[NDArray[Any]]
    lengths: NDArray[np.int32]


class _Bucketed:
    def __init__(
        self, data: tuple[Any, ...], batch_size: int, key: jax.Array, buckets: int, pad: Any
    ) -> None:
        self._data, self._pad = data, pad
        longest = _longest(data)
        check_stream("bucketed", key, batch_size, len(longest))
        self.batch_size = self._whole = int(batch_size)
        self._slots = np.arange(self._whole)
        self.examples: int | None = len(longest)
        place = np.searchsorted(least_padded(longest, buckets), longest)
        self._members = [np.flatnonzero(place == b) for b in range(place.max() + 1)]
        self._orders = [
            Order("bucketed", jax.random.fold_in(key, b), batch_size, len(members))
            for b, members in enumerate(self._members)
        ]
        self._seed = jax.random.key_data(key).tolist()
        self._made = {
            "batch_size": self.batch_size,
            "examples": len(longest),
            "key": self._seed,
            "buckets": [int(longest[members].max()) for members in self._members],
        }
        self._step = 0
        self._epoch, self._plan = -1, np.zeros((0, 2), np.int64)

    def __next__(self) -> Any:
        epoch = bisect_right(range(self._epochs_bound()), self._step, key=self._before) - 1
        if epoch != self._epoch:
            self._epoch, self._plan = epoch, self._planned(epoch)
        bucket, step = self._plan[self._step - self._before(epoch)]
        members = self._members[bucket]
        chosen = members[self._orders[bucket].rows(int(step))[self._slots]]
        batch = _taken(self._data, chosen, members, self._pad)
        self._step += 1
        return batch

    def part(self, slots: NDArray[np.intp]) -> Source:
        part = copy.copy(self)
        part._slots = self._slots[slots]
        part.batch_size = len(slots)
        return part

    def state(self) -> State:
        return {"source": "bucketed", **self._made, "step": self._step}

    def restore(self, state: State) -> None:
        self._step = checked_state("bucketed", state, self._made, {"step"})["step"]

    def _before(self, epoch: int) -> int:
        """Return how many batches come before an epoch."""
        return sum(epoch * len(members) // self._whole for members in self._members)

    def _epochs_bound(self) -> int:
        n = sum(map(len, self._members))
        return (self._step + len(self._members) + 1) * self._whole // n + 2

    def _planned(self, epoch: int) -> NDArray[np.int64]:
        """Return the (bucket, step) of every batch of an epoch, in order."""
        plan = []
        for b, members in enumerate(self._members):
            first, end = (e * len(members) // self._whole for e in (epoch, epoch + 1))
            plan += [(b, step) for step in range(first, end)]
        # The legacy generator, because NumPy freezes its stream and no other.
        order = np.random.RandomState([*self._seed, epoch]).permutation(len(plan))
        return np.array(plan, np.int64)[order]


def bucketed(
    data: tuple[Any, ...], *, batch_size: int, key: jax.Array, buckets: int = 4, pad: Any = 0
) -> Source:
    """Return batches of sequences of different lengths, each batch of about one length.

    A list of arrays (time, ...) is padded with `pad`; anything else has its rows taken. Where x
    is such a list, the batch is `(x, y, {"lengths": lengths})`, as recurrent layers and attention
    want it. Where y is one, it becomes `(y, mask)`, as `nn.losses.masked` wants it. For two
    sequences, as in translation, give x as `((source, target), y, {"memory_lengths": lengths})`.

    There are at most `buckets` shapes, cut so that the least is padded; a training step is compiled
    for each of them once. More buckets waste less arithmetic and take longer to compile. The order
    is decided by the key; batch k is known at once, so restoring costs nothing.

    Args:
        data: `(x, y)` or `(x, y, side)`: trees of arrays (examples, ...) and of lists of arrays
            (time, ...).
        batch_size: examples a batch.
        key: decides the order.
        buckets: at most so many shapes.
        pad: what sequences are filled up with.

    Raises:
        TypeError: data that are no such tuple, or hold no list; sequences that are not alike.
        ValueError: lengths of data that differ; sizes out of range.

    >>> import jax
    >>> texts = [np.arange(n) for n in (2, 3, 2, 9, 3, 8)]
    >>> labels = np.array([0, 0, 0, 1, 0, 1])
    >>> source = bucketed((texts, labels), batch_size=2, key=jax.random.key(0), buckets=2)
    >>> batches = [next(source) for _ in range(3)]
    >>> sorted({x.shape for x, y, side in batches})
    [(2, 3), (2, 9)]
    >>> all(((y == 1) == (side["lengths"] > 3)).all() for x, y, side in batches)
    True
    """
    if not isinstance(data, tuple) or len(data) not in (2, 3):
        raise TypeError(
            f"bucketed: data must be (x, y) or (x, y, side), got {type(data).__name__}; x or y a "
            "list of sequences"
        )
    if isinstance(buckets, bool) or not isinstance(buckets, int) or buckets < 1:
        raise ValueError(f"bucketed: buckets must be an integer of at least 1, got {buckets!r}")
    return _Bucketed(_parts(data), batch_size, key, buckets, pad)


def _parts(data: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return (x, y, side) with every list read as sequences, and the lengths of x in side."""
    x, y, *rest = jax.tree_util.tree_map_with_path(
        _part, data, is_leaf=lambda part: isinstance(part, list)
    )
    side = rest[0] if rest else {}
    if isinstance(x, _Sequences) and not {"lengths", "mask"} & set(side):
        side = {**side, "lengths": x.lengths}
    return x, y, side


def _part(path: Any, part: Any) -> Any:
    name = "/".join(
        ["data", *filter(None, [jax.tree_util.keystr(path, simple=True, separator="/")])]
    )
    if not isinstance(part, list):
        return checked_batch("bucketed", part)
    values = [np.asarray(value) for value in part]
    for i, value in enumerate(values):
        if value.ndim == 0 or value.dtype == object:
            raise TypeError(
                f"bucketed: {name} must be a list of arrays (time, ...), its entry {i} is "
                f"{value.dtype}{list(value.shape)}; give an array where all are of one length"
            )
        if value.shape[1:] != values[0].shape[1:] or value.dtype != values[0].dtype:
            raise TypeError(
                f"bucketed: the sequences of {name} must be alike but for their length, entry {i} "
                f"is {value.dtype}{list(value.shape)}, the first "
                f"{values[0].dtype}{list(values[0].shape)}"
            )
    return _Sequences(values, np.array([len(value) for value in values], np.int32))


def _is_sequences(part: Any) -> bool:
    return isinstance(part, _Sequences)


def _longest(data: tuple[Any, ...]) -> NDArray[np.int32]:
    """Return the longest sequence of each example."""
    parts = jax.tree.leaves(data, is_leaf=_is_sequences)
    lengths = [part.lengths for part in parts if _is_sequences(part)]
    if not lengths:
        raise TypeError(
            "bucketed: no part of the data is a list of sequences; use indexed where all examples "
            "are of one shape"
        )
    rows(jax.tree.map(lambda p: p.lengths if _is_sequences(p) else p, data, is_leaf=_is_sequences))
    longest: NDArray[np.int32] = np.max(lengths, 0)
    return longest


def _taken(
    data: tuple[Any, ...], chosen: NDArray[Any], members: NDArray[Any], pad: Any
) -> tuple[Any, ...]:
    """Return the batch of the rows `chosen`, padded to the longest of the bucket's `members`."""

    def part(part: Any) -> Any:
        if not _is_sequences(part):
            return part[chosen]
        return padded([part.values[i] for i in chosen], int(part.lengths[members].max()), pad)

    x, y, side = jax.tree.map(part, data, is_leaf=_is_sequences)
    if _is_sequences(data[1]):
        y = y, np.arange(y.shape[1])[None] < data[1].lengths[chosen][:, None]
    return x, y, side

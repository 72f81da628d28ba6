"""Batches from what can only be read from front to back, epoch after epoch.

The elements of the iterable are batches of any size, one cut or merged with the next until
batch_size examples are together; the end of an epoch is no border. A position is the place before
the element read last, and how many of its examples are used up.
"""

from collections.abc import Callable, Iterable
from typing import Any
from zlib import crc32

import jax
import numpy as np

from ._cursor import Cursor, Place
from ._source import Source, State, checked_batch, checked_state
from ._split import rows


class _Iterated:
    def __init__(
        self, make: Callable[[int], Iterable[Any]], batch_size: int, examples: int | None
    ) -> None:
        self.batch_size, self.examples = int(batch_size), examples
        self._made = {"batch_size": self.batch_size}
        self._cursor = Cursor(make)
        self._place: Place = self._cursor.place()  # before the element
        self._element: Any = None
        self._used = 0
        self._spec: Any = None

    def __next__(self) -> Any:
        parts: list[Any] = []
        missing = self.batch_size
        while missing:
            if self._element is None or self._used == rows(self._element):
                self._fetch()
            end = min(rows(self._element), self._used + missing)
            start, self._used = self._used, end
            parts.append(jax.tree.map(lambda a: a[start:end], self._element))  # noqa: B023
            missing -= end - start
        return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)

    def state(self) -> State:
        check = 0 if self._element is None else _checksum(self._element)
        position = {"place": self._place, "used": self._used, "check": check}
        return {"source": "iterated", **self._made, **position}

    def restore(self, state: State) -> None:
        at = checked_state("iterated", state, self._made, {"place", "used", "check"})
        self._cursor.go(at["place"])
        self._place, self._element, self._used = at["place"], None, 0
        if not at["used"]:
            return
        self._fetch()
        self._used = at["used"]
        if _checksum(self._element) != at["check"]:
            raise ValueError(
                "iterated: restore: make(epoch) did not give the batches again that it gave before;"
                " let the epoch decide all that it draws, as by a seed made of it"
            )

    def _fetch(self) -> None:
        place = self._cursor.place()
        element = checked_batch("iterated", self._cursor.next())
        self._place, self._element, self._used = place, element, 0
        spec = jax.tree.map(lambda a: (a.shape[1:], a.dtype.name), element)
        if self._spec not in (None, spec):
            raise ValueError(
                f"iterated: batches must be alike but for their length, got {spec} after "
                f"{self._spec} (shape of an example, dtype); pad sequences to one length"
            )
        self._spec = spec


def iterated(
    make: Callable[[int], Iterable[Any]], *, batch_size: int, examples: int | None = None
) -> Source:
    """Return batches of an iterable: a generator, PyTorch's DataLoader, grain, a streamed data set.

    `make(epoch)` is called at the start of each epoch, from 0 on, and gives the iterable of that
    epoch, whose elements are batches of any size: they are cut and merged to `batch_size`, over the
    ends of epochs too, so that every batch is full. Its order must be decided by the epoch: seed by
    it what shuffles.

    Restoring is at once where the iterable knows its place itself: a grain data set (`get_state`),
    a Hugging Face `IterableDataset` (`state_dict`). All others, and a Hugging Face stream shuffled
    by a buffer, which its state leaves out, are read again from the start of the epoch: k elements
    cost what they cost the first time.

    Args:
        make: gives an iterable of batches for an epoch's number. One with `set_epoch` is told it.
        batch_size: examples a batch.
        examples: how many an epoch holds, where that is known.

    Raises:
        TypeError: `make` is no function, or gives nothing to iterate over, or no numbers.
        ValueError: an epoch without batches; batches that are not alike; from `restore`, batches
            that are not those of before.

    >>> def numbers(epoch):
    ...     order = np.random.default_rng(epoch).permutation(5)
    ...     yield from (order[:2], order[2:4], order[4:])
    >>> source = iterated(numbers, batch_size=5)
    >>> sorted(next(source).tolist())
    [0, 1, 2, 3, 4]
    >>> state, rest = source.state(), next(source)
    >>> source.restore(state)
    >>> bool((next(source) == rest).all())
    True
    """
    if not callable(make):
        raise TypeError(
            f"iterated: make: expected a function of the epoch that gives an iterable, got "
            f"{type(make).__name__}; for one that is the same in every epoch: lambda epoch: loader"
        )
    if not isinstance(batch_size, int | np.integer) or batch_size < 1:
        raise ValueError(
            f"iterated: batch_size must be an integer of at least 1, got {batch_size!r}"
        )
    return _Iterated(make, batch_size, examples)


def _checksum(batch: Any) -> int:
    check = 0
    for leaf in jax.tree.leaves(batch):
        check = crc32(np.ascontiguousarray(leaf).tobytes(), check)
    return check

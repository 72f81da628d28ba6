"""A pass over examples that do not lie in memory whole: what evaluation and prediction read.

for batch in examples        each example once, in host arrays; the last batch may be shorter
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any

import numpy as np

from ._addressed import Addressed
from ._source import checked_batch
from ._stream import check_sizes


class Pass:
    """Batches that hold each example once, and that can be read again from the first one on.

    `once` and `in_order` make them; `evaluate`, `predict` and the validation of `fit` read them.
    """

    def __init__(self, make: Callable[[], Iterable[Any]], where: str) -> None:
        self._make, self._where = make, where

    def __iter__(self) -> Iterator[Any]:
        """Return an iterator over the batches, from the first one on.

        Raises:
            TypeError: batches that are no arrays of numbers.
            ValueError: no batches, or leading axes that differ.
        """
        found = self._make()
        if not isinstance(found, Iterable):
            raise TypeError(
                f"{self._where}: make() gives a {type(found).__name__}, which cannot be iterated "
                "over; give an iterable of batches"
            )
        batch = None
        for batch in found:
            yield checked_batch(self._where, batch)
        if batch is None:
            raise ValueError(
                f"{self._where}: make() gives no batches; give at least one, and a new iterator at "
                "every call"
            )

    @cached_property
    def sample(self) -> Any:
        """The first batch."""
        return next(iter(self))


def once(make: Callable[[], Iterable[Any]]) -> Pass:
    """Return the pass over the batches that `make()` gives, an iterable made anew for every pass.

    For loaders and generators: `once(lambda: loader)`.

    Args:
        make: from nothing to an iterable of batches, pytrees of arrays with a common leading axis.

    Raises:
        TypeError: `make` is no function.

    >>> from laminax.train.data import once
    >>> examples = once(lambda: ((np.arange(n), np.ones(n)) for n in (3, 3, 1)))
    >>> [len(x) for x, _ in examples], [len(x) for x, _ in examples]
    ([3, 3, 1], [3, 3, 1])
    """
    if not callable(make):
        raise TypeError(
            f"once: make: expected a function, got {type(make).__name__}; write "
            "once(lambda: loader)"
        )
    return Pass(make, "once")


def in_order(data: Any, *, batch_size: int = 1024) -> Pass:
    """Return the pass over whatever answers to row numbers, from the first row to the last.

    Args:
        data: as in `indexed`: arrays in memory or on disk, a Hugging Face or PyTorch data set.
        batch_size: examples a batch.

    Raises:
        TypeError, ValueError: as `indexed`.

    >>> from laminax.train.data import in_order
    >>> [x.tolist() for x in in_order(np.arange(5) ** 2, batch_size=2)]
    [[0, 1], [4, 9], [16]]
    """
    rows = Addressed("in_order", data, instead="once")
    check_sizes("in_order", batch_size, rows.examples)

    def make() -> Iterator[Any]:
        every = np.arange(rows.examples, dtype=np.int32)
        for first in range(0, rows.examples, batch_size):
            yield rows.read(every[first : first + batch_size])

    return Pass(make, "in_order")

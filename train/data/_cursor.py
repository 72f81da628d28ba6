"""A place in the endless chain of the iterables make(0), make(1), ...

place = {"epoch": e, "inner": what the iterable itself says, or how many elements were read}
"""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Place = dict[str, Any]


class Cursor:
    """Reads the iterables of one epoch after another, and can be put back to any place."""

    def __init__(self, make: Callable[[int], Iterable[Any]]) -> None:
        self._make = make
        self._iterator: Iterator[Any]
        self._count: int
        self._gone_to: Place | None
        self._own: _OfIterator | _OfIterable | None
        self._open(0)

    def next(self) -> Any:
        """Return the next element, of the next epoch where one is at its end.

        Raises:
            ValueError: an epoch without elements.
        """
        try:
            element = next(self._iterator)
        except StopIteration:
            self._open(self._epoch + 1)
            try:
                element = next(self._iterator)
            except StopIteration:
                raise ValueError(
                    f"iterated: make({self._epoch}) gives no batches; give at least one an epoch, "
                    "and a new iterator at every call"
                ) from None
        self._count += 1
        self._gone_to = None
        return element

    def place(self) -> Place:
        """Return the place before the next element."""
        if self._gone_to is not None:  # an iterable may tell its place only once it is read again
            return self._gone_to
        inner = self._count if self._own is None else self._own.get()
        return {"epoch": self._epoch, "inner": inner}

    def go(self, place: Place) -> None:
        """Go to a place."""
        self._open(place["epoch"])
        self._gone_to = place
        if self._own is None:
            self._count = place["inner"]
            for _ in itertools.islice(self._iterator, self._count):
                pass
        elif place["inner"] is not None:
            self._own.set(place["inner"])
            self._iterator = self._own.iterator()

    def _open(self, epoch: int) -> None:
        iterable = self._make(epoch)
        if not isinstance(iterable, Iterable):
            raise TypeError(
                f"iterated: make({epoch}) gives a {type(iterable).__name__}, which cannot be "
                "iterated over; give an iterable of batches"
            )
        if hasattr(iterable, "set_epoch"):
            iterable.set_epoch(epoch)
        self._epoch, self._count = epoch, 0
        self._gone_to = None
        self._iterator = iter(iterable)
        self._own = _own_place(iterable, self._iterator)


class _OfIterator:
    """The place that an iterator tells itself: grain's, by `get_state` and `set_state`."""

    def __init__(self, iterator: Any) -> None:
        self._iterator = iterator

    def get(self) -> Any:
        state = self._iterator.get_state()
        return {"text": state.decode()} if isinstance(state, bytes) else _frozen(state)

    def set(self, state: Any) -> None:
        self._iterator.set_state(state["text"].encode() if set(state) == {"text"} else state)

    def iterator(self) -> Iterator[Any]:
        return iter(self._iterator)


class _OfIterable:
    """The place that an iterable tells: `state_dict` and `load_state_dict`, read at a new start."""

    def __init__(self, iterable: Any) -> None:
        self._iterable = iterable

    def get(self) -> Any:
        return _frozen(self._iterable.state_dict())

    def set(self, state: Any) -> None:
        self._iterable.load_state_dict(state)

    def iterator(self) -> Iterator[Any]:
        return iter(self._iterable)


def _own_place(iterable: Any, iterator: Any) -> _OfIterator | _OfIterable | None:
    if hasattr(iterator, "get_state") and hasattr(iterator, "set_state"):
        return _OfIterator(iterator)
    if not hasattr(iterable, "state_dict") or _forgets(iterable):
        return None
    own = _OfIterable(iterable)
    try:
        own.get()
    except TypeError:  # it holds what JSON cannot
        return None
    return own


def _forgets(iterable: Any) -> bool:
    """Whether a Hugging Face stream is shuffled by a buffer, which its state leaves out."""
    stage = getattr(iterable, "_ex_iterable", None)
    while stage is not None:
        if "Shuffled" in type(stage).__name__:
            return True
        stage = getattr(stage, "ex_iterable", None)
    return False


def _frozen(state: Any) -> Any:
    """Return a copy that no further reading changes, and that JSON can hold."""
    return json.loads(json.dumps(state))

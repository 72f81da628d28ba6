"""What a stream of training batches is, when it does not lie in memory whole.

    next(source)            -> batch, a pytree of host arrays with leading axis batch_size
    source.state()          -> where the stream stands, between two batches: JSON-able
    source.restore(state)   -> the stream goes on from there

The law of sources: after k batches take `state()`; a new source made alike, `restore(state)`, gives
the rest that the old one gives, at every k, and though the state went through JSON.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from numpy.typing import NDArray

from ._split import rows

State = dict[str, Any]


@runtime_checkable
class Source(Protocol):
    """A stream of training batches that can be left and taken up again.

    Attributes:
        batch_size: the leading axis of every array of every batch.
        examples: how many make an epoch; None where that is unknown.
    """

    @property
    def batch_size(self) -> int: ...

    @property
    def examples(self) -> int | None: ...

    def __next__(self) -> Any:
        """Return the next batch, a pytree of host arrays; StopIteration ends finite streams only.

        Raises:
            StopIteration: the stream is finite, and at its end.
        """

    def state(self) -> State:
        """Return where the stream stands, between two batches: JSON-able, and yours to keep."""

    def restore(self, state: State) -> None:
        """Go on from where a source made alike stood when it gave `state`.

        Raises:
            ValueError: the state is of a source made otherwise.
        """


@runtime_checkable
class Divisible(Source, Protocol):
    """A source that can read some slots of its batches without the others.

    Of several processes that train together each then reads what its own devices need, and no
    more: `indexed`, `bucketed`, and what is `mapped` from these.
    """

    def part(self, slots: NDArray[np.intp]) -> Source:
        """Return the source of batches that hold these slots of each batch, in this order.

        It goes on from where this one stands; its `state()` is that of the whole, so that a run may
        be taken up by another number of processes.
        """


class _Mapped:
    def __init__(self, source: Source, function: Callable[[Any], Any]) -> None:
        self._source, self._function = source, function
        self.batch_size, self.examples = source.batch_size, source.examples

    def __next__(self) -> Any:
        batch = checked_batch("mapped", self._function(next(self._source)))
        if (n := rows(batch)) != self.batch_size:
            raise ValueError(
                f"mapped: the function made {n} examples of a batch of {self.batch_size}; it must "
                "keep their number"
            )
        return batch

    def state(self) -> State:
        return self._source.state()

    def restore(self, state: State) -> None:
        self._source.restore(state)


class _DivisibleMapped(_Mapped):
    def part(self, slots: NDArray[np.intp]) -> Source:
        assert isinstance(self._source, Divisible)
        return mapped(self._source.part(slots), self._function)


def mapped(source: Source, function: Callable[[Any], Any]) -> Source:
    """Return the source of `function(batch)` for the batches of a source.

    To name the parts of a batch, to decode or to convert; it runs on the host, on NumPy arrays.
    What is random belongs into the program instead: `train.augmented`.

    Args:
        source: the source; from now on it is read through this one alone.
        function: pure, of each example by itself; keeps their number.

    >>> import jax
    >>> from laminax.train.data import indexed
    >>> table = {"image": np.arange(6.0), "label": np.arange(6)}
    >>> named = indexed(table, batch_size=2, key=jax.random.key(0))
    >>> x, y = next(mapped(named, lambda batch: (batch["image"] / 2, batch["label"])))
    >>> bool((x * 2 == y).all())
    True
    """
    if not isinstance(source, Source):
        raise TypeError(
            f"mapped: source: expected a Source, got {type(source).__name__}; make one, such as "
            "indexed(data, batch_size=128, key=key)"
        )
    if not callable(function):
        raise TypeError(f"mapped: function: expected a function, got {type(function).__name__}")
    divisible = isinstance(source, Divisible)
    return (_DivisibleMapped if divisible else _Mapped)(source, function)


def checked_batch(where: str, batch: Any) -> Any:
    """Return a batch with every leaf a NumPy array of numbers, of one leading axis.

    Raises:
        TypeError: a leaf that is no array of numbers.
        ValueError: no leaves, leading axes that are missing or differ.
    """

    def leaf(path: Any, value: Any) -> Any:
        array = np.asarray(value)
        if array.dtype != bool and not jax.numpy.issubdtype(array.dtype, np.number):
            name = jax.tree_util.keystr(path, simple=True, separator="/") or "data"
            raise TypeError(
                f"{where}: batches must be arrays of numbers, got {array.dtype}"
                f"{list(array.shape)} at {name!r}; encode texts as integers, pad sequences to one "
                "length (data.bucketed)"
            )
        return array

    batch = jax.tree_util.tree_map_with_path(leaf, batch)
    try:
        rows(batch)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    return batch


def checked_state(where: str, state: Any, made: Mapping[str, Any], names: set[str]) -> State:
    """Return the entries `names` of a state, which must be of a source made as `made` says.

    Raises:
        TypeError: no state.
        ValueError: a state of another kind of source, or of one made otherwise.
    """
    if not isinstance(state, Mapping):
        raise TypeError(
            f"{where}: restore: expected what state() returned, got {type(state).__name__}"
        )
    if set(state) != names | {*made, "source"} or state["source"] != where:
        raise ValueError(
            f"{where}: restore: the state is of another source: {json.dumps(dict(state))[:200]}; "
            "make the source as it was made when the state was taken"
        )
    for name, value in made.items():
        if state[name] != value:
            raise ValueError(
                f"{where}: restore: the state was taken with {name} = {state[name]}, this source "
                f"was made with {value}; make it as it was made then"
            )
    return {name: state[name] for name in names}

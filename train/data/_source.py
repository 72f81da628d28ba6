"""The contract of a stream: batches one after another, left at any of them and taken up again."""

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Source(Protocol):
    """A stream of training batches.

    Attributes:
        batch_size: examples a batch; every batch is full.
        examples: an epoch's length; None where it is not known.
    """

    batch_size: int
    examples: int | None

    def __next__(self) -> Any:
        """Return the next batch, a pytree of arrays with leading axis `batch_size`."""

    def state(self) -> Any:
        """Return where the stream stands, between two batches, as JSON."""

    def restore(self, state: Any) -> None:
        """Go to where `state` was told."""

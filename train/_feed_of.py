"""Which feed a run has: data on the device while they fit, else batches read from the host."""

from collections.abc import Callable
from typing import Any

import jax

from ._check import checked_batch_size, checked_data, checked_weights
from ._feed import Feed, Resident, Streaming
from ._layout import Layout
from ._objective import Batch
from .data import Source, indexed

_SHARE = 0.5  # of a device's memory, which examples may take


def feed_of(
    data: Batch | Source,
    batch_size: int,
    weights: Any,
    order: Callable[[], jax.Array],
    layout: Layout | None,
    position: Any,
) -> Feed:
    """Return the feed of a run, at a position where it goes on from one.

    Args:
        data: examples, or a stream of batches.
        batch_size: of the examples that a step takes.
        weights: of the examples, or None.
        order: gives the key of the examples' order.
        layout: how batches lie on a mesh.
        position: what the feed's `state()` told.
    """
    if isinstance(data, Source):
        if weights is not None:
            raise ValueError("fit: a stream has no weights; put them into its batches and the loss")
        return Streaming(data, position, layout)
    examples = checked_data("fit", data)
    checked_batch_size("fit", batch_size, examples)
    weights = checked_weights("fit", weights, examples)
    if weights is not None or fits(data):
        return Resident(data, weights, batch_size, layout)
    feed = Streaming(indexed(data, batch_size=batch_size, key=order()), position, layout)
    feed.sample = data
    return feed


def fits(data: Batch) -> bool:
    """Whether arrays of the host leave room on a device, where it tells how much it has."""
    limit = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")
    arrays = [leaf for leaf in jax.tree.leaves(data) if not isinstance(leaf, jax.Array)]
    return limit is None or sum(array.nbytes for array in arrays) <= _SHARE * limit

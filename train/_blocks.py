"""Blocks of a stream: batches stacked, so that many go to the device at once."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from ._objective import Batch
from .data import Source

_BLOCK_BYTES = 32 << 20
_BLOCK_STEPS = 64


def read_ahead(source: Source, whole: int) -> Iterator[tuple[Batch, list[Any]]]:
    """Yield blocks of stacked batches, each with the source's state after every batch of it.

    All blocks have one length, so that one program serves them; one that is cut short, by the end
    of the stream, is filled up with its last batch, which is never taken. Where batches come in
    several shapes, from then on each is a block of its own, and each shape has its program. The
    length is that of whole batches of so many examples, the same in every process.
    """
    batches: list[Batch] = []
    positions: list[Any] = []
    steps = 0
    while (batch := next(source, None)) is not None:
        batch = jax.tree.map(np.asarray, batch)
        if batches and _shapes(batch) != _shapes(batches[-1]):
            yield _stacked(batches, steps), positions
            batches, positions, steps = [], [], 1
        batches.append(batch)
        positions.append(source.state())
        size = sum(leaf.nbytes // len(leaf) for leaf in jax.tree.leaves(batch)) * whole
        steps = steps or max(1, min(_BLOCK_STEPS, _BLOCK_BYTES // max(size, 1)))
        if len(batches) == steps:
            yield _stacked(batches, steps), positions
            batches, positions = [], []
    if batches:
        yield _stacked(batches, steps), positions


def _shapes(batch: Batch) -> list[tuple[int, ...]]:
    return [leaf.shape for leaf in jax.tree.leaves(batch)]


def _stacked(batches: list[Batch], steps: int) -> Batch:
    filled = batches + batches[-1:] * (steps - len(batches))
    return jax.tree.map(lambda *leaves: np.stack(leaves), *filled)

"""Sequences of different lengths as arrays: which few lengths to pad to, and the padding.

Sequences of lengths t_i are put into m groups, each padded to its longest. The groups that pad
least are cut out of the sorted lengths: with c(i, j) = j-th length · (how many are in i..j),

    cost_1(j) = c(1, j),    cost_g(j) = min_i cost_{g-1}(i) + c(i + 1, j)
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def least_padded(lengths: NDArray[Any], groups: int) -> list[int]:
    """Return the at most `groups` lengths, rising, that pad least, each sequence to the next one.

    >>> least_padded(np.array([1, 1, 1, 2, 8, 9]), 2)
    [2, 9]
    """
    values, counts = np.unique(lengths, return_counts=True)
    below = np.concatenate([[0], np.cumsum(counts)])  # sequences shorter than value j
    groups = min(groups, len(values))
    cost = np.concatenate([[0], values * below[1:]]).astype(float)
    cuts = []
    for _ in range(groups - 1):
        # entry (i, j): the first i values by the groups so far, those up to the j-th by one more
        last = values[None] * (below[None, 1:] - below[:-1, None])
        total = np.where(np.tri(len(values), k=-1, dtype=bool), np.inf, cost[:-1, None] + last)
        cuts.append(total.argmin(0))
        cost = np.concatenate([[0], total.min(0)])
    chosen = [len(values) - 1]
    for cut in reversed(cuts):
        if chosen[0] >= 0 and cut[chosen[0]] > 0:
            chosen.insert(0, int(cut[chosen[0]]) - 1)
    return [int(values[j]) for j in chosen]


def padded(sequences: Sequence[NDArray[Any]], length: int, value: Any) -> NDArray[Any]:
    """Return sequences (time, ...) as one array (len(sequences), length, ...), filled up.

    >>> padded([np.array([1, 2]), np.array([3])], 3, 0).tolist()
    [[1, 2, 0], [3, 0, 0]]
    """
    first = sequences[0]
    filled = np.full((len(sequences), length, *first.shape[1:]), value, first.dtype)
    for row, sequence in zip(filled, sequences, strict=True):
        row[: len(sequence)] = sequence
    return filled

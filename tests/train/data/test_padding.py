import itertools

import numpy as np
import pytest

from laminax.train.data._padding import least_padded, padded


def cost(lengths, bounds):
    return sum(min(b for b in bounds if b >= t) for t in lengths)


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("seed", range(12))
def test_no_other_lengths_pad_less(groups, seed):
    random = np.random.default_rng(seed)
    lengths = random.integers(0, 12, random.integers(1, 40))
    bounds = least_padded(lengths, groups)
    assert bounds == sorted(set(bounds)) and len(bounds) <= groups
    assert set(bounds) <= set(lengths.tolist()) and bounds[-1] == lengths.max()
    values = sorted(set(lengths.tolist()))
    least = min(
        cost(lengths, [*chosen, values[-1]])
        for k in range(min(groups, len(values)))
        for chosen in itertools.combinations(values[:-1], k)
    )
    assert cost(lengths, bounds) == least


def test_padding_fills_up_the_end():
    rows = padded([np.ones((2, 3), np.float32), np.zeros((0, 3), np.float32)], 4, 7)
    assert rows.dtype == np.float32 and rows.shape == (2, 4, 3)
    np.testing.assert_array_equal(rows[:, :, 0], [[1, 1, 7, 7], [7, 7, 7, 7]])

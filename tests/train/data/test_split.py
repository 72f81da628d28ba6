import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laminax.train.data import rows, split


@given(n=st.integers(2, 400), fraction=st.floats(0.01, 0.99), seed=st.integers(0, 2**32 - 1))
def test_parts_are_disjoint_and_exhaustive(n: int, fraction: float, seed: int) -> None:
    first = round(fraction * n)
    data = {"x": np.arange(n), "y": (np.arange(n) * 10,)}
    if not 0 < first < n:
        with pytest.raises(ValueError, match="leave one part empty"):
            split(data, fraction, seed)
        return
    train, test = split(data, fraction, seed)
    assert len(train["x"]) == first
    assert sorted([*train["x"].tolist(), *test["x"].tolist()]) == list(range(n))
    for part in (train, test):
        np.testing.assert_array_equal(part["y"][0], part["x"] * 10)


def test_shuffled_and_set_by_the_seed() -> None:
    x = np.arange(1000)
    again, same, other = (split(x, seed=seed)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(again, same)
    assert np.mean(again == other) < 0.02
    assert abs(np.corrcoef(again, np.arange(700))[0, 1]) < 0.15
    assert split(np.arange(10))[1].tolist() == [3, 0, 5]  # pinned: results quote this split


def test_keeps_the_kind_of_array() -> None:
    train, test = split((np.zeros((4, 2), np.uint8), jnp.arange(4)), 0.5)
    assert isinstance(train[0], np.ndarray) and isinstance(test[1], jax.Array)
    assert train[0].dtype == np.uint8 and train[0].shape == (2, 2)


def test_rows_counts_examples() -> None:
    assert rows((np.zeros((3, 2)), {"y": np.zeros(3)})) == 3
    assert rows(np.zeros(7)) == 7


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.5, float("nan"), float("inf")])
def test_fraction_out_of_range_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match=r"fraction is .*between 0 and 1"):
        split(np.arange(10), fraction)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ((), "no arrays"),
        ({"x": None}, "no arrays"),
        (np.zeros((0, 3)), r"empty, data has shape \(0, 3\)"),
        ((np.zeros((0, 3)), np.zeros(0)), r"empty, data/0 has shape \(0, 3\)"),
        ((np.zeros(4), np.zeros((5, 2))), "data/0 has 4, data/1 has 5"),
        ({"x": np.zeros(4), "y": {"z": np.zeros(3)}}, "data/x has 4, data/y/z has 3"),
        ((np.zeros(4), np.float32(1)), "data/1 has no axes"),
    ],
)
def test_bad_data_is_refused(data: object, words: str) -> None:
    for f in (rows, split):
        with pytest.raises(ValueError, match=words):
            f(data)

"""Settings by a grid and at random."""

import itertools

import numpy as np
import pytest
from scipy import stats

from laminax import train


def test_a_grid_is_the_product_of_its_lists_the_last_running_fastest():
    settings = train.grid(rate=[0.1, 0.2], width=(8, 16), act=["relu"])
    assert settings == [
        {"rate": rate, "width": width, "act": "relu"}
        for rate, width in itertools.product([0.1, 0.2], [8, 16])
    ]


def test_arrays_give_python_numbers():
    (first, *_) = train.grid(rate=np.logspace(-3, 0, 4), width=np.array([8, 16]))
    assert type(first["rate"]) is float
    assert type(first["width"]) is int


def test_uniform_draws_are_uniform():
    values = [s["p"] for s in train.sample(2000, p=train.uniform(-1, 3))]
    assert stats.kstest(values, stats.uniform(-1, 4).cdf).pvalue > 0.01


def test_log_uniform_draws_are_uniform_in_the_logarithm():
    values = [s["rate"] for s in train.sample(2000, 1, rate=train.log_uniform(1e-4, 1e-1))]
    assert stats.kstest(values, stats.loguniform(1e-4, 1e-1).cdf).pvalue > 0.01
    assert min(values) >= 1e-4 and max(values) <= 1e-1


def test_choices_are_alike_likely():
    values = [s["width"] for s in train.sample(3000, width=train.choice([8, 16, 32]))]
    counts = [values.count(width) for width in (8, 16, 32)]
    assert stats.chisquare(counts).pvalue > 0.01


def test_names_draw_independently_and_stay_as_they_were_beside_others():
    space = {"a": train.uniform(0, 1), "b": train.uniform(0, 1)}
    both = train.sample(500, 3, **space)
    assert [s["a"] for s in train.sample(500, 3, a=space["a"])] == [s["a"] for s in both]
    assert train.sample(20, 3, **space) == both[:20]
    assert train.sample(20, 4, **space) != both[:20]
    assert abs(np.corrcoef([s["a"] for s in both], [s["b"] for s in both])[0, 1]) < 0.15


def test_bounds_are_the_nearest_values_that_can_be_drawn():
    for distribution in (train.uniform(0.25, 0.5), train.log_uniform(0.25, 0.5)):
        assert [distribution.bound(v) for v in (0.1, 0.3, 0.9)] == [0.25, 0.3, 0.5]
    assert train.choice([0.1, 0.2]).bound is None
    assert repr(train.log_uniform(1e-3, 1)) == "log_uniform(0.001, 1)"


@pytest.mark.parametrize(
    "make, error, words",
    [
        (train.grid, ValueError, "grid: got no names"),
        (lambda: train.grid(rate=0.1), TypeError, "grid: rate is 0.1; expected a list"),
        (lambda: train.grid(act="relu"), TypeError, "grid: act is 'relu'; expected a list"),
        (lambda: train.grid(rate=[]), ValueError, "rate has no values"),
        (lambda: train.choice([]), ValueError, "choice: values has no values"),
        (lambda: train.sample(0, a=train.uniform(0, 1)), ValueError, "n must be an integer of at"),
        (lambda: train.sample(2), ValueError, "sample: got no names"),
        (lambda: train.sample(2, a=[1, 2]), TypeError, r"a is \[1, 2\]; expected a distribution"),
        (lambda: train.sample(2, -1, a=train.uniform(0, 1)), ValueError, "seed must be an integer"),
        (lambda: train.uniform(1, 1), ValueError, "low=1, high=1; expected finite numbers low < h"),
        (lambda: train.uniform(0, float("inf")), ValueError, "expected finite"),
        (lambda: train.log_uniform(0, 1), ValueError, "numbers 0 < low < high"),
        (lambda: train.log_uniform("a", 1), ValueError, "low='a'"),
    ],
)
def test_bad_spaces_are_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()

"""What is looked through on the host, and what its messages say."""

import jax.numpy as jnp
import numpy as np
import pytest

from laminax.train._check import checked_batch_size, checked_count, checked_data


@pytest.mark.parametrize(
    "data",
    [
        np.zeros((5, 2)),
        jnp.zeros(5),
        {"image": np.zeros((5, 2), np.uint8), "label": jnp.zeros(5, jnp.int32)},
        (np.zeros(5, bool), [np.zeros((5, 1, 1), np.float16)], None),
        (jnp.zeros(5, jnp.bfloat16), np.zeros(5, complex)),
    ],
)
def test_good_data_are_counted(data):
    assert checked_data("fit", data) == 5


@pytest.mark.parametrize(
    "data, error, words",
    [
        ((), ValueError, "fit: data: .*holds no arrays; give a pytree"),
        (None, ValueError, "fit: data: .*holds no arrays; give a pytree"),
        (([1.0], [2.0]), TypeError, "fit: .*leading axis.*got float at '0/0'; use np.asarray"),
        ((np.zeros(3), np.float32(1)), TypeError, "got float32 at '1'"),
        ({"x": np.zeros(())}, ValueError, "fit: data: data/x has no axes.*needs a leading axis"),
        ((np.zeros(3), np.array(["a", "b", "c"])), TypeError, "numbers.*got <U1 .*at '1'"),
        (np.array([None, 1.0]), TypeError, "numbers.*got object .*at 'data'"),
        (np.array(["2020-01-01"], "M8[D]"), TypeError, r"numbers.*got datetime64\[D\]"),
        (
            {"x": np.zeros(3), "y": np.zeros(4)},
            ValueError,
            "data/x has 3, data/y has 4.*must be equal",
        ),
        (
            np.zeros((0, 3)),
            ValueError,
            r"data is empty, data has shape \(0, 3\); give at least one",
        ),
        (np.array([[0.0, 1], [2, np.nan]]), ValueError, r"got nan at 'data'\[1, 1\] \(1 such"),
        ((np.zeros(2), np.array([-np.inf, np.nan])), ValueError, r"got -inf at '1'\[0\] \(2 such"),
        (jnp.array([1.0, jnp.nan], jnp.bfloat16), ValueError, r"got nan at 'data'\[1\].*clean or"),
    ],
)
def test_bad_data_are_refused(data, error, words):
    with pytest.raises(error, match=words):
        checked_data("fit", data)


@pytest.mark.parametrize("value", [1, np.int64(7)])
def test_counts_come_back_as_plain_integers(value):
    assert type(checked_count("fit", "epochs", value)) is int


@pytest.mark.parametrize("value", [0, -1, 1.0, True, None, "3", np.nan])
def test_what_counts_nothing_is_refused(value):
    with pytest.raises(ValueError, match="fit: epochs must be an integer of at least 1, got"):
        checked_count("fit", "epochs", value)


def test_a_batch_is_no_larger_than_the_data():
    assert checked_batch_size("fit", 8, 8) == 8
    with pytest.raises(ValueError, match=r"batch_size is 9 but there are only 8.*at most 8"):
        checked_batch_size("fit", 9, 8)

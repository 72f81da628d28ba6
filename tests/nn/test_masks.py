"""The mask of real steps, from either side input, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn
from laminax.nn._core._masks import padding_mask

X = jnp.zeros((3, 4, 2))
LENGTHS = np.array([4, 0, 2])
MASK = np.array([[1, 1, 1, 1], [0, 0, 0, 0], [1, 1, 0, 0]], bool)


def mask_of(name="mask", **side):
    return padding_mask("kind", nn.Context(side=side), X, name)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64])
def test_lengths_are_a_mask_of_prefixes(dtype):
    np.testing.assert_array_equal(mask_of(lengths=LENGTHS.astype(dtype)), MASK)


def test_narrow_lengths_do_not_wrap_around():
    x = jnp.zeros((1, 300, 1))
    mask = padding_mask("kind", nn.Context(side={"lengths": np.array([200], np.uint8)}), x)
    assert int(mask.sum()) == 200


def test_a_mask_is_returned_as_it_is():
    np.testing.assert_array_equal(mask_of(mask=MASK), MASK)


def test_none_is_not_given():
    assert mask_of() is None
    assert mask_of(memory_mask=MASK) is None
    np.testing.assert_array_equal(mask_of(mask=MASK, lengths=None), MASK)


def test_memory_has_its_own():
    side = {"mask": ~MASK, "memory_lengths": LENGTHS}
    np.testing.assert_array_equal(mask_of("memory_mask", **side), MASK)
    np.testing.assert_array_equal(mask_of("memory_mask", memory_mask=MASK), MASK)


def test_under_jit_and_in_float64():
    run = jax.jit(lambda lengths: mask_of(lengths=lengths))
    np.testing.assert_array_equal(run(LENGTHS), MASK)
    with jax.enable_x64(True):
        np.testing.assert_array_equal(mask_of(lengths=jnp.asarray(LENGTHS)), MASK)


@pytest.mark.parametrize(
    ("side", "error", "message"),
    [
        ({"mask": MASK, "lengths": LENGTHS}, ValueError, "got both mask and lengths"),
        ({"mask": MASK[:, :3]}, ValueError, r"\(batch, time\) = \(3, 4\).*got bool\[3, 3\]"),
        ({"mask": MASK.astype(int)}, TypeError, r"mask must be an array of bools.*got int"),
        ({"lengths": LENGTHS[:2]}, ValueError, r"\(batch,\) = \(3,\).*got int.*\[2\]"),
        ({"lengths": LENGTHS * 1.0}, TypeError, "lengths must be an array of integers.*got float"),
        ({"lengths": [4, 0, 2]}, TypeError, "lengths must be an array of integers"),
        ({"lengths": LENGTHS + 1}, ValueError, r"lie in \[0, 4\].*got 1 to 5"),
        ({"lengths": LENGTHS - 1}, ValueError, r"lie in \[0, 4\].*got -1 to 3"),
    ],
)
def test_misuse_is_named(side, error, message):
    with pytest.raises(error, match=f"kind: {message}|kind: .*{message}"):
        mask_of(**side)

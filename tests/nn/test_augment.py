"""Augmentation: what it may do to an image, how often, and never in evaluation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

EMPTY = nn.Variables({}, {})


def moved(image, *by):
    """Return image[i + s] by NumPy, zeros where that lies outside."""
    n = 9
    wide = np.pad(image, [(n, n)] * len(by) + [(0, 0)])
    return wide[tuple(slice(n + s, n + s + size) for s, size in zip(by, image.shape, strict=False))]


@pytest.mark.parametrize("shape", [(7, 3), (5, 6, 2)])
def test_each_example_is_moved_by_its_own_draw_all_equally_often(shape):
    image = np.random.default_rng(0).uniform(1, 2, shape).astype(np.float32)
    x, ctx = jnp.broadcast_to(image, (4000, *shape)), nn.Context(jax.random.key(0), train=True)
    got = np.asarray(nn.random_shift(2).apply({}, {}, x, ctx)[0])
    moves = list(np.ndindex(*[5] * (len(shape) - 1)))
    ways = np.stack([moved(image, *np.subtract(move, 2)) for move in moves])
    flat = got.reshape(4000, 1, -1) == ways.reshape(1, len(ways), -1)
    assert (flat.all(-1).sum(1) == 1).all(), "not a shift by at most 2"
    counts = flat.all(-1).sum(0)
    expected = 4000 / len(ways)
    assert np.abs(counts - expected).max() < 4.5 * np.sqrt(expected)


def test_evaluation_changes_nothing_and_every_dtype_stays():
    x = jnp.arange(48, dtype=jnp.uint8).reshape(2, 4, 3, 2)
    np.testing.assert_array_equal(nn.random_shift(1)(EMPTY, x), x)
    np.testing.assert_array_equal(nn.random_shift(0).apply({}, {}, x, nn.Context(train=True))[0], x)
    ctx = nn.Context(jax.random.key(0), train=True)
    assert nn.random_shift(1).apply({}, {}, x, ctx)[0].dtype == jnp.uint8


def test_wrong_use_raises():
    with pytest.raises(ValueError, match="random_shift: size must be an integer of at least 0"):
        nn.random_shift(-1)
    with pytest.raises(ValueError, match="random_shift: x must have at least 3 axes"):
        nn.random_shift(1).init(jax.random.key(0), jnp.zeros((2, 3)))
    with pytest.raises(ValueError, match="random_shift: needs a random key"):
        nn.random_shift(1).apply({}, {}, jnp.zeros((2, 3, 3, 1)), nn.Context(train=True))

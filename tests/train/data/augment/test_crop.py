import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from laminax.train.data.augment import crop, cutout, flip


def numbered(n, height=7, width=5):
    """Images whose pixels are all different, from 1 on."""
    one = 1 + np.arange(height * width, dtype=np.int32).reshape(1, height, width, 1)
    return np.broadcast_to(one, (n, height, width, 1))


@pytest.mark.parametrize(("axis", "reverse"), [(1, np.s_[:, ::-1]), (2, np.s_[:, :, ::-1])])
def test_flip_mirrors_as_often_as_it_should(axis, reverse):
    x = numbered(2000)
    y = np.asarray(flip(jax.random.key(0), x, 0.3, axis=axis))
    mirrored = (y == x[reverse]).all((1, 2, 3))
    assert (mirrored | (y == x).all((1, 2, 3))).all()
    assert stats.binomtest(int(mirrored.sum()), 2000, 0.3).pvalue > 1e-3


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge"])
def test_crop_cuts_a_window_out_of_the_padded_image(mode):
    x, padding = numbered(1500), 2
    y = np.asarray(crop(jax.random.key(0), x, padding, mode=mode))
    padded = np.pad(x[0, ..., 0], padding, mode=mode)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (7, 5))
    assert windows.shape[:2] == (5, 5)
    found = (y[:, None, None, ..., 0] == windows[None]).all((3, 4))
    assert (found.sum((1, 2)) == 1).all()
    assert stats.chisquare(found.sum(0).ravel()).pvalue > 1e-3


@pytest.mark.parametrize("size", [1, 3, 4])
def test_cutout_blanks_a_square_around_any_pixel(size):
    x = numbered(3000)
    y = np.asarray(cutout(jax.random.key(0), x, size, fill=-1))[..., 0]
    assert ((y == x[..., 0]) | (y == -1)).all()
    seen = {}
    for image in y:
        key = (image == -1).tobytes()
        seen[key] = seen.get(key, 0) + 1
    expected = {}
    for row in range(7):
        for column in range(5):
            blank = np.zeros((7, 5), bool)
            top, left = row - size // 2, column - size // 2
            blank[max(top, 0) : top + size, max(left, 0) : left + size] = True
            expected[blank.tobytes()] = expected.get(blank.tobytes(), 0) + 1
    assert set(seen) == set(expected)
    counts = [(seen[key], 3000 * expected[key] / 35) for key in expected]
    assert stats.chisquare(*zip(*counts, strict=True)).pvalue > 1e-3


def test_cutout_of_a_size_that_is_traced():
    x = jnp.asarray(numbered(50))
    for size in (2, 5):
        traced = jax.jit(cutout)(jax.random.key(0), x, size)
        np.testing.assert_array_equal(traced, cutout(jax.random.key(0), x, size))

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage, stats

from laminax.train.data.augment import _affine, affine, rotate, scale, shift

MODES = {"constant": "grid-constant", "nearest": "nearest", "reflect": "reflect"}
MODES |= {"mirror": "mirror", "wrap": "grid-wrap"}


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def images(n=3, height=11, width=8, channels=2, seed=0):
    return np.random.default_rng(seed).normal(size=(n, height, width, channels))


def reference(image, offset, angle, factor, mode):
    """scipy reads x at matrix·p + start."""
    center = (np.array(image.shape[:2]) - 1) / 2
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    matrix = turn / factor
    start = center - matrix @ (center + offset)
    read = [
        ndimage.affine_transform(c, matrix, start, order=1, mode=MODES[mode])
        for c in np.moveaxis(image, -1, 0)
    ]
    return np.stack(read, -1)


@pytest.mark.parametrize("mode", MODES)
def test_moved_is_scipys_affine_transform(mode):
    x = images()
    offset = np.array([[1.5, -0.75], [0.0, 3.0], [-2.25, 0.5]])
    angle, factor = np.array([0.3, -1.2, 2.9]), np.array([1.3, 0.8, 1.0])
    y = _affine.moved(*map(jnp.asarray, (x, offset, angle, factor)), mode)
    expected = [reference(*each, mode) for each in zip(x, offset, angle, factor, strict=True)]
    np.testing.assert_allclose(y, np.stack(expected), rtol=1e-10, atol=1e-12)


def moved(x, offset=(0.0, 0.0), angle=0.0, factor=1.0):
    n = len(x)
    offset = jnp.broadcast_to(jnp.asarray(offset), (n, 2))
    return _affine.moved(jnp.asarray(x), offset, jnp.full(n, angle), jnp.full(n, factor), "wrap")


def test_directions():
    x = images(height=9, width=9)
    np.testing.assert_allclose(moved(x, (2.0, -1.0)), np.roll(x, (2, -1), (1, 2)), atol=1e-12)
    np.testing.assert_allclose(moved(x, angle=np.pi / 2), np.rot90(x, axes=(1, 2)), atol=1e-12)
    larger = moved(x, factor=2.0)
    np.testing.assert_allclose(larger[:, ::2, ::2], x[:, 2:7, 2:7], atol=1e-12)


def ramps(n, height=21, width=31):
    """Images whose values are the row and the column they stand in."""
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    return np.broadcast_to(np.stack([rows, columns], -1).astype(float), (n, height, width, 2))


def uniform(values, low, high):
    return stats.kstest((values - low) / (high - low), "uniform").pvalue > 1e-3


def test_shifts_are_uniform_up_to_the_fraction():
    y = np.asarray(shift(jax.random.key(0), ramps(800), 0.2))
    down, right = 10 - y[:, 10, 15, 0], 15 - y[:, 10, 15, 1]
    assert uniform(down, -0.2 * 21, 0.2 * 21) and uniform(right, -0.2 * 31, 0.2 * 31)
    assert abs(np.corrcoef(down, right)[0, 1]) < 0.12


def test_angles_are_uniform_up_to_the_degrees():
    y = np.asarray(rotate(jax.random.key(0), ramps(800), 30.0))
    np.testing.assert_allclose(y[:, 10, 15], np.tile([10.0, 15.0], (800, 1)), atol=1e-9)
    angle = np.rad2deg(np.arctan2(y[:, 10, 20, 0] - 10, y[:, 10, 20, 1] - 15))
    assert uniform(angle, -30, 30)


def test_scales_are_uniform_in_their_logarithm():
    y = np.asarray(scale(jax.random.key(0), ramps(800), 1.5))
    factor = 5 / (y[:, 10, 20, 1] - 15)
    assert uniform(np.log(factor), -np.log(1.5), np.log(1.5))


def test_affine_draws_all_three_apart():
    options = {"shift": 0.1, "degrees": 20.0, "scale": 1.3}
    y = np.asarray(affine(jax.random.key(1), ramps(600), **options))
    across, center = y[:, 10, 20] - y[:, 10, 15], y[:, 10, 15]
    drawn = [np.arctan2(*across.T), np.log(np.hypot(*across.T))]
    turn = np.stack([np.cos(drawn[0]), np.sin(drawn[0])])
    back = center - [10, 15]  # -R(-θ) t / s
    down = -(turn[0] * back[:, 0] - turn[1] * back[:, 1]) * 5 / np.hypot(*across.T)
    assert uniform(down, -2.1, 2.1)
    assert np.abs(np.corrcoef([*drawn, down]) - np.eye(3)).max() < 0.15

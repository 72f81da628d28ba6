import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from laminax.train.data.augment import _elastic, elastic


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("sigma", [0.4, 1.5, 4.0])
def test_the_field_is_smoothed_as_scipy_smooths(sigma):
    field = np.random.default_rng(0).uniform(-1, 1, (2, 3, 13, 9))
    expected = field
    for axis in (2, 3):
        radius = field.shape[axis] - 1
        expected = ndimage.gaussian_filter1d(expected, sigma, axis, mode="constant", radius=radius)
    smoothed = _elastic.smoothed(jnp.asarray(field), jnp.asarray(sigma))
    np.testing.assert_allclose(smoothed, expected, rtol=1e-10, atol=1e-14)


def test_a_deformation_is_scipys_reading_at_the_moved_places():
    x = np.random.default_rng(0).normal(size=(2, 17, 12, 2))
    key, alpha, sigma = jax.random.key(3), 9.0, 2.0
    y = elastic(key, x, alpha, sigma)
    drawn = jax.random.uniform(jax.random.clone(key), (2, 2, 17, 12), jnp.float32, -1, 1)
    drawn = np.asarray(drawn, float)
    for i in range(2):
        field = [
            ndimage.gaussian_filter1d(
                ndimage.gaussian_filter1d(u, sigma, 0, mode="constant", radius=16),
                *(sigma, 1),
                mode="constant",
                radius=11,
            )
            for u in drawn[:, i]
        ]
        places = np.indices((17, 12)) + alpha * np.stack(field)
        for c in range(2):
            expected = ndimage.map_coordinates(x[i, ..., c], places, order=1, mode="grid-constant")
            np.testing.assert_allclose(y[i, ..., c], expected, rtol=1e-9, atol=1e-12)


def test_neighbors_go_together():
    ramp = np.broadcast_to(np.indices((29, 29)).transpose(1, 2, 0).astype(float), (20, 29, 29, 2))
    moved = np.asarray(elastic(jax.random.key(0), ramp, mode="nearest") - ramp)[:, 8:21, 8:21]
    apart = np.abs(np.diff(moved, axis=1)).mean()
    assert 0.5 < np.abs(moved).mean() < 4 and apart < 0.35 * np.abs(moved).mean()
    assert abs(moved.mean()) < 0.3

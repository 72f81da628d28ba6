import colorsys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from laminax.train.data.augment import _color, brightness, contrast, hue, noise, saturation

GRAY = np.array([0.299, 0.587, 0.114])
X = np.random.default_rng(0).uniform(size=(4, 5, 3, 3))
FACTOR = np.array([0.3, 1.0, 1.4, 0.0])


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def test_brightness_contrast_and_saturation_are_their_formulas():
    f = FACTOR[:, None, None, None]
    gray = (X * GRAY).sum(-1, keepdims=True)
    mean = gray.mean((1, 2, 3), keepdims=True)
    x, factor = jnp.asarray(X), jnp.asarray(f)
    close = {"rtol": 1e-10, "atol": 1e-14}
    np.testing.assert_allclose(_color.brightened(x, factor), f * X, **close)
    np.testing.assert_allclose(_color.contrasted(x, factor), f * X + (1 - f) * mean, **close)
    np.testing.assert_allclose(_color.saturated(x, factor), f * X + (1 - f) * gray, **close)
    one = X[..., :1]
    expected = f * one + (1 - f) * one.mean((1, 2, 3), keepdims=True)
    np.testing.assert_allclose(_color.contrasted(jnp.asarray(one), factor), expected, **close)


def test_hue_is_that_of_the_standard_library():
    x = np.concatenate([X.reshape(-1, 3), np.eye(3), 1 - np.eye(3), np.full((2, 3), 0.4)])
    for turn in (0.0, 0.1, -0.3, 0.5):
        y = _color.hue_turned(jnp.asarray(x[None, None]), jnp.array([turn]))
        expected = []
        for color in x:
            h, s, v = colorsys.rgb_to_hsv(*color)
            expected.append(colorsys.hsv_to_rgb((h + turn) % 1, s, v))
        np.testing.assert_allclose(y[0, 0], expected, rtol=1e-10, atol=1e-12)


def factors(function, strength, x):
    """The factor of each of many images, found from what became of them."""
    y = np.asarray(function(jax.random.key(0), np.broadcast_to(x, (900, *x.shape)), strength))
    if function is brightness:
        return (y / x).mean((1, 2, 3))
    gray = (x * GRAY).sum(-1, keepdims=True)
    around = gray if function is saturation else gray.mean()
    return ((y - around) / (x - around)).mean((1, 2, 3))


@pytest.mark.parametrize("function", [brightness, contrast, saturation])
def test_factors_are_uniform_about_one(function):
    x = 0.4 + 0.2 * X[0]  # so that nothing is clipped
    found = factors(function, 0.3, x)
    assert stats.kstest((found - 0.7) / 0.6, "uniform").pvalue > 1e-3


def test_turns_of_hue_are_uniform():
    red = np.broadcast_to(np.array([1.0, 0.0, 0.0]), (900, 1, 1, 3))
    y = np.asarray(hue(jax.random.key(0), red, 0.1))[:, 0, 0]
    turns = [colorsys.rgb_to_hsv(*color)[0] for color in y]
    turns = np.array([turn - 1 if turn > 0.5 else turn for turn in turns])
    assert stats.kstest((turns + 0.1) / 0.2, "uniform").pvalue > 1e-3


def test_noise_is_normal_and_not_clipped():
    x = np.zeros((10, 20, 20, 1))
    y = np.asarray(noise(jax.random.key(0), x, 0.25)).ravel()
    assert stats.kstest(y / 0.25, "norm").pvalue > 1e-3


@pytest.mark.parametrize("function", [brightness, contrast, saturation, hue])
def test_colors_stay_colors(function):
    bright = np.clip(X * 3 - 1, 0, 1)
    y = np.asarray(function(jax.random.key(0), bright, 0.5))
    assert y.min() >= 0 and y.max() <= 1
    whole = np.asarray(function(jax.random.key(0), np.round(255 * bright).astype(np.uint8), 0.5))
    np.testing.assert_allclose(whole / 255, y, atol=0.012)


def test_other_integers_have_their_own_white():
    x = np.full((1, 2, 2, 1), 20_000, np.uint16)
    y = np.asarray(brightness(jax.random.key(2), x, 1.0))
    small = np.asarray(brightness(jax.random.key(2), x / 65_535.0, 1.0))
    np.testing.assert_allclose(y / 65_535, small, atol=1e-4)

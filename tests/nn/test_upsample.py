"""Upsampling against NumPy: repetition, and interpolation between the centers of entries."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

EMPTY = nn.Variables({}, {})
CASES = [((5,), (3,)), ((4, 5), (2, 3)), ((1, 3), (4, 1)), ((2, 3, 4), (3, 1, 2))]


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(("sizes", "factor"), CASES)
def test_nearest_repeats(sizes, factor):
    x = expected = normal(2, *sizes, 3)
    for axis, times in enumerate(factor, 1):
        expected = expected.repeat(times, axis)
    np.testing.assert_array_equal(jax.jit(nn.upsample(factor))(EMPTY, x), expected)


@pytest.mark.parametrize(("sizes", "factor"), CASES)
def test_linear_interpolates_between_centers(sizes, factor):
    x = expected = normal(2, *sizes, 3)
    for axis, times in enumerate(factor, 1):
        n = x.shape[axis]
        centers = (np.arange(n * times) + 0.5) / times - 0.5
        expected = np.apply_along_axis(
            lambda line, at=centers, n=n: np.interp(at, np.arange(n), line), axis, expected
        )
    y = jax.jit(nn.upsample(factor, "linear"))(EMPTY, x)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


def test_the_gradient_is_shared_out():
    """Every output is a mean of entries, so a gradient of ones adds up to the outputs."""
    x = jnp.asarray(normal(1, 4, 5, 1))
    for method in ("nearest", "linear"):
        gradient = jax.grad(lambda x, m=method: nn.upsample(3, m)(EMPTY, x).sum())(x)
        np.testing.assert_allclose(gradient, np.full(x.shape, 9), rtol=1e-6)


def test_dtypes():
    x = jnp.arange(3, dtype=jnp.uint8).reshape(1, 3, 1)
    assert nn.upsample(2)(EMPTY, x).dtype == jnp.uint8
    np.testing.assert_allclose(
        nn.upsample(2, "linear")(EMPTY, x).ravel(), [0, 0.25, 0.75, 1.25, 1.75, 2]
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.upsample(0), "factor must be an integer"),
        (lambda: nn.upsample(2, "cubic"), 'method must be "nearest" or "linear", got'),
        (lambda: nn.upsample((2, 2, 2)), r"\(batch, depth, height, width, channels\)"),
    ],
)
def test_bad_arguments_say_what_is_wrong(make, message):
    with pytest.raises(ValueError, match=f"upsample: .*{message}"):
        make()(EMPTY, jnp.zeros((1, 4, 4, 1)))

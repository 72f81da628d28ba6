"""Depthwise and separable convolution against NumPy, and as convolutions in groups."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_depthwise_reads_one_channel_for_each_of_its_own():
    """y[2 c + j] sums the window of channel c alone, times its own weights."""
    x, w, b = normal(2, 6, 3), normal(3, 1, 6, seed=1), normal(6, seed=2)
    y = nn.depthwise_conv((3,), 2, padding="valid")(nn.Variables({"w": w, "b": b}, {}), x)
    for f in range(6):
        expected = sum(x[:, t : t + 4, f // 2] * w[t, 0, f] for t in range(3)) + b[f]
        np.testing.assert_allclose(y[..., f], expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize(
    "options", [{}, {"stride": 2, "padding": 1}, {"dilation": (2, 1), "padding": "valid"}], ids=str
)
def test_depthwise_is_conv_with_as_many_groups_as_channels(options):
    x, w = normal(2, 6, 7, 4), normal(3, 2, 1, 8, seed=1)
    variables = nn.Variables({"w": w}, {})
    depthwise = nn.depthwise_conv((3, 2), 2, bias=False, **options)
    grouped = nn.conv(8, (3, 2), groups=4, bias=False, **options)
    np.testing.assert_array_equal(depthwise(variables, x), grouped(variables, x))


def test_separable_is_depthwise_then_pointwise():
    x, d, w, b = normal(2, 5, 5, 3), normal(2, 2, 1, 3), normal(1, 1, 3, 4, seed=1), normal(4)
    params = {"depthwise": {"w": d}, "pointwise": {"w": w, "b": b}}
    y = nn.separable_conv(4, 2, padding="valid")(nn.Variables(params, {}), x)
    mid = sum(x[:, i : i + 4, j : j + 4] * d[i, j, 0] for i in range(2) for j in range(2))
    np.testing.assert_allclose(y, mid @ w[0, 0] + b, rtol=1e-5, atol=1e-5)


def test_starts_with_unit_variance():
    x = jax.random.normal(jax.random.key(1), (4, 12, 12, 64))
    layer = nn.depthwise_conv(3, 2, padding="valid")
    variables = layer.init(jax.random.key(0), x)
    assert variables.params["w"].shape == (3, 3, 1, 128)
    np.testing.assert_allclose(jax.jit(layer)(variables, x).var(), 1, rtol=0.1)


def test_bad_arguments_say_what_is_wrong():
    with pytest.raises(ValueError, match="depthwise_conv: multiplier must be an integer"):
        nn.depthwise_conv(3, 0)
    with pytest.raises(ValueError, match="depthwise_conv: kernel must be an integer"):
        nn.separable_conv(4, 0)
    with pytest.raises(ValueError, match="depthwise_conv: a window of 5 entries does not fit"):
        nn.depthwise_conv(5, padding="valid").init(jax.random.key(0), jnp.zeros((1, 4, 4, 2)))
    layer = nn.depthwise_conv(3, 2)
    variables = layer.init(jax.random.key(0), jnp.zeros((1, 4, 4, 2)))
    with pytest.raises(ValueError, match=r"depthwise_conv: x has 3 features .* made for 2"):
        layer(variables, jnp.zeros((1, 4, 4, 3)))
    with pytest.raises(ValueError, match=r"x has 2 features .* made for 4"):
        nn.depthwise_conv(3)(variables, jnp.zeros((1, 4, 4, 2)))

"""Dropout: the fraction, the scale, the keys."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

N = 100_000


def train(key=0):
    return nn.Context(jax.random.key(key), train=True)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_a_fraction_is_dropped_and_the_rest_scaled(rate):
    x = 1 + np.random.default_rng(0).uniform(size=N).astype(np.float32)
    y, _ = nn.dropout(rate).apply({}, {}, jnp.asarray(x), train())
    kept = np.asarray(y) != 0
    error = np.sqrt(rate * (1 - rate) / N)
    assert abs(kept.mean() - (1 - rate)) < 4 * error
    np.testing.assert_allclose(np.asarray(y)[kept], x[kept] / (1 - rate), rtol=1e-6)


def test_units_are_dropped_one_by_one():
    y, _ = nn.dropout(0.5).apply({}, {}, jnp.ones((300, 300)), train())
    for axis in (0, 1):
        assert (y.mean(axis) - 1).std() < 2 / np.sqrt(300)
    half = np.asarray(y).reshape(-1, 2)
    assert abs(np.corrcoef(half.T)[0, 1]) < 0.02


def test_evaluation_and_rate_zero_change_nothing():
    x = jnp.arange(4.0)
    np.testing.assert_array_equal(nn.dropout(0.5)(nn.Variables({}, {}), x), x)
    np.testing.assert_array_equal(nn.dropout(0)(nn.Variables({}, {}), x), x)
    np.testing.assert_array_equal(nn.dropout(0.0).apply({}, {}, x, nn.Context(train=True))[0], x)


def test_the_gradient_passes_where_units_were_kept():
    layer = nn.dropout(0.5)
    apply = lambda x: layer.apply({}, {}, x, train())[0]  # noqa: E731
    x = jnp.ones(100)
    np.testing.assert_array_equal(jax.grad(lambda x: apply(x).sum())(x), apply(x))


def test_siblings_draw_their_own():
    model = nn.parallel(nn.dropout(0.5), nn.dropout(0.5))
    (a, b), _ = model.apply({}, {}, jnp.ones(100), train())
    assert (a != b).any()


def test_dropped_infinities_are_zero():
    y, _ = nn.dropout(0.9).apply({}, {}, jnp.full(100, jnp.inf), train())
    assert not jnp.isnan(y).any() and (y == 0).any()


@pytest.mark.parametrize("rate", [1, 1.0, -0.1, float("nan"), "0.5", True])
def test_a_rate_is_refused(rate):
    with pytest.raises(ValueError, match=r"dropout: rate must be a number in \[0, 1\), got"):
        nn.dropout(rate)


def test_training_without_a_key_is_refused():
    with pytest.raises(ValueError, match="dropout: needs a random key in training, got key=None"):
        nn.dropout(0.5).apply({}, {}, jnp.ones(3), nn.Context(train=True))


@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 5), (2, 1)])
def test_any_shape_is_masked(shape):
    seen = {
        float(v)
        for key in range(8)
        for v in np.ravel(nn.dropout(0.5).apply({}, {}, jnp.ones(shape), train(key))[0])
    }
    assert seen == {0.0, 2.0}
    assert nn.dropout(0.5).apply({}, {}, jnp.ones(shape), train())[0].shape == shape


@pytest.mark.parametrize("rate", [1e-9, 1 - 1e-9])
def test_extreme_rates(rate):
    y, _ = nn.dropout(rate).apply({}, {}, jnp.ones(N), train())
    assert abs((y == 0).mean() - rate) < 1e-4
    assert jnp.isfinite(y).all()


def test_channels_are_dropped_whole_and_scaled():
    x = 1 + np.random.default_rng(0).uniform(size=(300, 3, 2, 40)).astype(np.float32)
    y, _ = nn.channel_dropout(0.3).apply({}, {}, jnp.asarray(x), train())
    kept = np.asarray(y) != 0
    assert (kept == kept[:, :1, :1]).all()
    of_channel = kept[:, 0, 0]
    assert abs(of_channel.mean() - 0.7) < 4 * np.sqrt(0.21 / of_channel.size)
    for axis in (0, 1):  # examples and channels are drawn apart
        assert 0 < of_channel.mean(axis).std() < 4 * np.sqrt(0.21 / of_channel.shape[axis])
    np.testing.assert_allclose(np.asarray(y)[kept], x[kept] / 0.7, rtol=1e-6)


def test_stepping_drops_the_same_channels_at_every_stretch():
    layer, x = nn.channel_dropout(0.5), jnp.ones((4, 6, 5))
    whole, _ = layer.apply({}, {}, x, train())
    empty = nn.Variables({}, {})
    carry = layer.start(empty, x, train())
    for i in range(6):
        carry, y = layer.step(empty, carry, x[:, i : i + 1], train())
        np.testing.assert_array_equal(y, whole[:, i : i + 1])


def test_channel_dropout_refuses():
    with pytest.raises(ValueError, match=r"channel_dropout: rate must be a number in \[0, 1\)"):
        nn.channel_dropout(1.0)
    with pytest.raises(ValueError, match="channel_dropout: x must have at least 2 axes"):
        nn.channel_dropout(0.5).apply({}, {}, jnp.ones(3), train())
    with pytest.raises(ValueError, match="channel_dropout: needs a random key"):
        nn.channel_dropout(0.5).apply({}, {}, jnp.ones((3, 2)), nn.Context(train=True))

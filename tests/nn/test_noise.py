"""Noise on activations and labels: its distribution, its absence in evaluation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

EMPTY = nn.Variables({}, {})
X = np.zeros(2, np.float32)
N = 40_000


def train():
    return nn.Context(jax.random.key(0), train=True)


def test_gaussian_noise_is_added():
    x = np.random.default_rng(0).normal(3, 1, (N,)).astype(np.float32)
    noise = np.asarray(nn.gaussian_noise(0.2).apply({}, {}, x, train())[0]) - x
    assert abs(noise.mean()) < 4 * 0.2 / np.sqrt(N)
    assert abs(noise.std() - 0.2) < 4 * 0.2 / np.sqrt(2 * N)
    assert abs((np.abs(noise) < 0.2).mean() - 0.6827) < 0.01, "not Gaussian"
    assert abs(np.corrcoef(noise[1:], noise[:-1])[0, 1]) < 0.02
    assert abs(np.corrcoef(noise, x)[0, 1]) < 0.02


def test_labels_give_way_to_classes_drawn_from_all():
    labels = jnp.asarray(np.arange(N) % 3, jnp.uint8)
    noisy, _ = nn.label_noise(0.4, 5).apply({}, {}, labels, train())
    assert noisy.dtype == jnp.uint8
    counts = np.zeros((3, 5))
    np.add.at(counts, (np.asarray(labels), np.asarray(noisy)), 1)
    expected = 0.4 / 5 + 0.6 * np.eye(3, 5)
    np.testing.assert_allclose(counts / counts.sum(1, keepdims=True), expected, atol=0.015)


def test_evaluation_and_no_noise_change_nothing():
    x, labels = jnp.arange(4.0), jnp.arange(4)
    np.testing.assert_array_equal(nn.gaussian_noise(2.0)(EMPTY, x), x)
    np.testing.assert_array_equal(nn.label_noise(0.9, 4)(EMPTY, labels), labels)
    keyless = nn.Context(train=True)
    np.testing.assert_array_equal(nn.gaussian_noise(0).apply({}, {}, x, keyless)[0], x)
    np.testing.assert_array_equal(nn.label_noise(0, 4).apply({}, {}, labels, keyless)[0], labels)


@pytest.mark.parametrize("std", [-0.1, float("nan"), float("inf"), "1", True])
def test_a_deviation_is_refused(std):
    with pytest.raises(ValueError, match="gaussian_noise: std must be a finite number of at least"):
        nn.gaussian_noise(std)


def test_label_noise_refuses():
    with pytest.raises(ValueError, match=r"label_noise: rate must be a number in \[0, 1\)"):
        nn.label_noise(1.0, 3)
    with pytest.raises(ValueError, match="label_noise: classes must be an integer of at least 1"):
        nn.label_noise(0.1, 0)
    with pytest.raises(TypeError, match=r"labels must be integers in \[0, 3\), got float32\[2\]"):
        nn.label_noise(0.1, 3).apply({}, {}, jnp.zeros(2), train())
    for layer, x in ((nn.label_noise(0.1, 3), jnp.zeros(2, int)), (nn.gaussian_noise(1), X)):
        with pytest.raises(ValueError, match=f"{layer.name}: needs a random key in training"):
            layer.apply({}, {}, x, nn.Context(train=True))

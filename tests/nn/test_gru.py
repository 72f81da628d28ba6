"""The GRU by itself: what its two gates do."""

import numpy as np
import pytest

from laminax import nn

X = np.random.default_rng(0).normal(size=(2, 5, 1)).astype(np.float32)


def gru_of(r, z, wh=1.0):
    """One unit with both gates held at r and z, which are 0 or 1."""
    b = np.array([100 * r - 50, 100 * z - 50, 0], np.float32)
    wi, wh = np.array([[0, 0, 1]], np.float32), np.array([[0, 0, wh]], np.float32)
    params = {"wi": wi, "wh": wh, "b": b, "bh": np.array([0.5], np.float32)}
    return nn.gru(1)(nn.Variables(params, {}), X)[..., 0]


def test_an_update_gate_of_one_keeps_the_start():
    np.testing.assert_allclose(gru_of(1, 1), 0, atol=1e-6)


@pytest.mark.parametrize("r", [0, 1])
def test_the_reset_gate_lets_the_past_and_its_bias_through(r):
    h, expected = np.zeros(2), []
    for x in X[..., 0].T:
        h = np.tanh(x + r * (h + 0.5))
        expected.append(h)
    np.testing.assert_allclose(gru_of(r, 0).T, expected, rtol=1e-5)

"""The LSTM by itself: its constants, its gates far from zero, peepholes that are zero."""

import jax
import jax.numpy as jnp
import numpy as np

from laminax import nn

X = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)


def test_the_forget_gate_starts_open():
    for layer, bias in ((nn.lstm(4), 1.0), (nn.lstm(4, forget_bias=-2.0), -2.0)):
        b = layer.init(jax.random.key(0), X).params["b"]
        np.testing.assert_array_equal(b, [0] * 4 + [bias] * 4 + [0] * 8)


def test_a_cell_that_only_counts():
    """With i = f = o = 1 and g = tanh(x), c is the sum of tanh(x): the constant error carousel."""
    wi = np.zeros((3, 4), np.float32)
    wi[0, 2] = 1
    params = {"wi": wi, "wh": np.zeros((1, 4), np.float32), "b": np.array([50, 50, 0, 50], "f4")}
    y, (_, c) = nn.rnn(nn.lstm(1), carry=True)(nn.Variables(params, {}), X)
    sums = np.cumsum(np.tanh(X[..., 0]), 1)
    np.testing.assert_allclose(y[..., 0], np.tanh(sums), rtol=1e-5)
    np.testing.assert_allclose(c[:, 0], sums[:, -1], rtol=1e-5)


def test_saturated_gates_have_finite_gradients():
    layer = nn.lstm(4)
    variables = layer.init(jax.random.key(0), X)
    gradients = jax.grad(lambda v, x: layer(v, x).sum(), (0, 1))(variables, 1e4 * X)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


def test_peepholes_of_zero_change_nothing_and_are_learned():
    plain, peeping = nn.lstm(4), nn.lstm(4, peepholes=True)
    variables = peeping.init(jax.random.key(0), X)
    params = {name: variables.params[name] for name in ("wi", "wh", "b")}
    np.testing.assert_allclose(
        peeping(variables, X), plain(nn.Variables(params, {}), X), rtol=1e-5, atol=1e-6
    )
    slope = jax.grad(lambda v: peeping(v, X).sum())(variables).params["wc"]
    assert bool((jnp.abs(slope) > 1e-6).all())

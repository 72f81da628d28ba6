"""Feed-forward blocks against their equations in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

X = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)


def made(layer):
    params, _ = layer.init(jax.random.key(0), X)
    return nn.Variables(jax.tree.map(lambda p: p + 0.1, params), {})


def test_feed_forward_is_its_equation():
    layer = nn.feed_forward(4, jnp.tanh)
    variables = made(layer)
    a, b = (jax.tree.map(np.asarray, variables.params[name]) for name in ("in", "out"))
    expected = np.tanh(X @ a["w"] + a["b"]) @ b["w"] + b["b"]
    np.testing.assert_allclose(layer(variables, X), expected, rtol=1e-5, atol=1e-6)


def test_swiglu_is_its_equation():
    layer = nn.swiglu(4)
    variables = made(layer)
    w, v = np.split(np.asarray(variables.params["in"]["w"]), 2, 1)
    expected = (X @ w / (1 + np.exp(-X @ w)) * (X @ v)) @ variables.params["out"]["w"]
    np.testing.assert_allclose(layer(variables, X), expected, rtol=1e-5, atol=1e-6)


def test_dropout_acts_between_the_maps():
    layer = nn.feed_forward(4, lambda x: 0 * x + 1, dropout=0.5)
    params = {"in": {"w": jnp.zeros((3, 4)), "b": jnp.zeros(4)},
              "out": {"w": jnp.eye(4)[:, :3], "b": jnp.zeros(3)}}  # fmt: skip
    y, _ = layer.apply(params, {}, X, nn.Context(jax.random.key(0), train=True))
    assert set(np.unique(y)) == {0.0, 2.0}
    np.testing.assert_array_equal(layer(nn.Variables(params, {}), X), 1)


def test_initializers_are_of_each_map():
    ones, zeros = nn.initializers.ones, nn.initializers.zeros
    layer = nn.feed_forward(4, init=ones, out_init=zeros)
    params = layer.init(jax.random.key(0), X).params
    assert (params["in"]["w"] == 1).all() and (params["out"]["w"] == 0).all()


def test_an_x_of_other_features_raises():
    for layer in (nn.feed_forward(4), nn.swiglu(4)):
        with pytest.raises(ValueError, match=r"4 features .* made for 3"):
            layer(made(layer), np.ones((2, 5, 4), np.float32))
    with pytest.raises(ValueError, match="hidden must be an integer of at least 1, got 0"):
        nn.feed_forward(0)

"""Tied autoencoder: the decoder is the transposed encoder, one leaf read twice."""

import jax
import jax.numpy as jnp
import numpy as np

from laminax import nn


def autoencoder(inputs):
    def forward(c, x):
        code = c.encoder(x)
        w0, w1 = (c.encoder.params[name]["w"] for name in ("dense_0", "dense_1"))
        return jnp.tanh(code @ w1.T) @ w0.T + c.shift()

    encoder = nn.serial(nn.dense(4), jnp.tanh, nn.dense(2))
    return nn.compose(forward, encoder=encoder, shift=nn.parameter((1, inputs)))


def test_tree_holds_each_tied_leaf_once():
    params, state = autoencoder(6).init(jax.random.key(0), jnp.zeros((1, 6)))
    assert jax.tree.map(jnp.shape, params) == {
        "encoder": {"dense_0": {"w": (6, 4), "b": (4,)}, "dense_1": {"w": (4, 2), "b": (2,)}},
        "shift": (1, 6),
    }
    assert state == {}


def test_gradient_of_a_tied_leaf_is_the_sum_over_its_uses():
    model, x = autoencoder(6), jax.random.normal(jax.random.key(1), (5, 6))
    variables = model.init(jax.random.key(0), x)
    encoder, shift = variables.params["encoder"], variables.params["shift"]

    def untied(encode, decode):
        hidden = jnp.tanh(x @ encode["dense_0"]["w"] + encode["dense_0"]["b"][None])
        code = hidden @ encode["dense_1"]["w"] + encode["dense_1"]["b"][None]
        y = jnp.tanh(code @ decode["dense_1"]["w"].T) @ decode["dense_0"]["w"].T + shift
        return jnp.square(y - x).sum()

    def tied(params):
        return jnp.square(model(nn.Variables(params, {}), x) - x).sum()

    loss, tied_grad = jax.value_and_grad(tied)(variables.params)
    expected, uses = jax.value_and_grad(untied, argnums=(0, 1))(encoder, encoder)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    for name in ("dense_0", "dense_1"):
        first, second = uses[0][name]["w"], uses[1][name]["w"]
        assert jnp.abs(first).max() > 0.1 and jnp.abs(second).max() > 0.1
        np.testing.assert_allclose(
            tied_grad["encoder"][name]["w"], first + second, rtol=1e-5, atol=1e-5
        )

"""Siamese network: one encoder, called on both inputs, its weights shared."""

import zlib

import jax
import jax.numpy as jnp
import numpy as np

from laminax import nn

ENCODER = nn.serial(nn.dense(8), jnp.tanh, nn.dropout(0.5), nn.dense(3))
SIAMESE = nn.compose(lambda c, x: (c.encoder(x[0]), c.encoder(x[1])), encoder=ENCODER)
LEFT, RIGHT = jax.random.normal(jax.random.key(1), (2, 4, 5))


def test_the_tree_has_one_entry():
    params, state = SIAMESE.init(jax.random.key(0), (LEFT, RIGHT))
    assert jax.tree.map(jnp.shape, params) == {
        "encoder": {"dense_0": {"w": (5, 8), "b": (8,)}, "dense_1": {"w": (8, 3), "b": (3,)}}
    }
    assert state == {}


def test_gradient_is_the_sum_over_the_calls():
    params, _ = SIAMESE.init(jax.random.key(0), (LEFT, RIGHT))

    def distance(first, second):
        a, b = ENCODER(nn.Variables(first, {}), LEFT), ENCODER(nn.Variables(second, {}), RIGHT)
        return jnp.square(a - b).sum()

    def shared(params):
        a, b = SIAMESE(nn.Variables(params, {}), (LEFT, RIGHT))
        return jnp.square(a - b).sum()

    first, second = jax.grad(distance, argnums=(0, 1))(params["encoder"], params["encoder"])
    got = jax.grad(shared)(params)["encoder"]
    jax.tree.map(
        lambda g, a, b: np.testing.assert_allclose(g, a + b, rtol=1e-5, atol=1e-5),
        got, first, second,
    )  # fmt: skip


def test_each_call_drops_other_units_by_its_own_key():
    params, _ = SIAMESE.init(jax.random.key(0), (LEFT, LEFT))
    key = jax.random.key(2)
    (a, b), _ = SIAMESE.apply(params, {}, (LEFT, LEFT), nn.Context(key, train=True))
    child = jax.random.fold_in(key, zlib.crc32(b"encoder"))
    for y, call_key in ((a, child), (b, jax.random.fold_in(child, 1))):
        expected, _ = ENCODER.apply(params["encoder"], {}, LEFT, nn.Context(call_key, train=True))
        np.testing.assert_array_equal(y, expected)
    assert jnp.abs(a - b).max() > 0.01

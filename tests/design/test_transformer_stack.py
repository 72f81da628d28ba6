"""Transformer stack: one block, scanned over depth, recomputed in the backward pass."""

import jax
import jax.numpy as jnp
import numpy as np

from laminax import nn


def block():
    mix = nn.residual(nn.layer_norm(), nn.attention(2), nn.dropout(0.3))
    return nn.serial(mix, nn.residual(nn.layer_norm(), nn.feed_forward(16, nn.relu)))


DEPTH = 2
STACK = nn.serial(nn.repeat(nn.remat(block()), DEPTH), nn.rename(nn.dense(2), "head"))
X, KEY = jax.random.normal(jax.random.key(1), (2, 5, 8)), jax.random.key(2)
PARAMS, STATE = jax.jit(STACK.init)(jax.random.key(0), X)


def test_tree():
    norm = {"scale": (2, 8), "bias": (2, 8)}
    assert jax.tree.map(jnp.shape, PARAMS) == {
        "repeat_0": {
            "residual_0": {
                "layer_norm_0": norm,
                "attention_0": {
                    "qkv": {"w": (2, 8, 24), "b": (2, 24)},
                    "out": {"w": (2, 8, 8), "b": (2, 8)},
                },
            },
            "residual_1": {
                "layer_norm_0": norm,
                "feed_forward_0": {
                    "in": {"w": (2, 8, 16), "b": (2, 16)},
                    "out": {"w": (2, 16, 8), "b": (2, 8)},
                },
            },
        },
        "head": {"w": (8, 2), "b": (2,)},
    }
    assert STATE == {}


def test_scanned_equals_unrolled_equals_blocks_by_hand():
    ctx = nn.Context(KEY, train=True)
    scanned = STACK.children["repeat_0"]
    written_out = nn.repeat(block(), DEPTH, unroll=True)

    def by_hand(params, x, ctx):
        for i in range(DEPTH):
            own = nn.Context(jax.random.fold_in(ctx.key, i), train=True)
            x, _ = block().apply(jax.tree.map(lambda leaf, i=i: leaf[i], params), {}, x, own)
        return x

    ways = (
        lambda p, x, ctx: scanned.apply(p, {}, x, ctx)[0],
        lambda p, x, ctx: written_out.apply(p, {}, x, ctx)[0],
        by_hand,
    )

    def reading(way):
        return jax.value_and_grad(lambda params: jnp.square(way(params, X, ctx)).sum())

    readings = jax.jit(lambda params: [reading(way)(params) for way in ways])
    *got, expected = readings(PARAMS["repeat_0"])
    for one in got:
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4), one, expected
        )

"""LSTM language model: the whole text at once, or in chunks of any size with a carry between."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn


def language_model(vocabulary, features):
    def forward(c, tokens):
        return c.body(c.embed(tokens)) @ c.embed.params["table"].T

    table = nn.embedding(vocabulary, features, init=jax.nn.initializers.normal(1.0))
    body = nn.serial(nn.lstm(features), nn.dropout(0.1), nn.layer_norm(), nn.lstm(features))
    return nn.compose(forward, embed=table, body=body)


MODEL = language_model(11, 8)
TOKENS = jax.random.randint(jax.random.key(1), (2, 12), 0, 11)
VARIABLES = jax.jit(MODEL.init)(jax.random.key(0), TOKENS)
STEP = jax.jit(MODEL.step)


def test_tree():
    cell = {"wi": (8, 32), "wh": (8, 32), "b": (32,)}
    assert jax.tree.map(jnp.shape, VARIABLES.params) == {
        "embed": {"table": (11, 8)},
        "body": {"lstm_0": cell, "layer_norm_0": {"scale": (8,), "bias": (8,)}, "lstm_1": cell},
    }


@pytest.mark.parametrize("chunks", [[12], [1] * 12, [5, 7], [3, 1, 6, 2]])
def test_stepping_in_any_chunks_equals_the_whole(chunks):
    carry, outputs, at = MODEL.start(VARIABLES, TOKENS, nn.Context()), [], 0
    assert jax.tree.map(jnp.shape, carry) == {
        "body": {"lstm_0": ((2, 8), (2, 8)), "lstm_1": ((2, 8), (2, 8))}
    }
    for size in chunks:
        carry, y = STEP(VARIABLES, carry, TOKENS[:, at : at + size], nn.Context())
        outputs.append(y)
        at += size
    whole = jax.jit(MODEL)(VARIABLES, TOKENS)
    np.testing.assert_allclose(jnp.concatenate(outputs, 1), whole, rtol=1e-6, atol=1e-6)
    assert whole.std() > 0.5


def test_the_carry_is_what_the_model_remembers():
    fresh = MODEL.start(VARIABLES, TOKENS, nn.Context())
    carry, _ = STEP(VARIABLES, fresh, TOKENS[:, :6], nn.Context())
    _, with_past = STEP(VARIABLES, carry, TOKENS[:, 6:], nn.Context())
    _, without = STEP(VARIABLES, fresh, TOKENS[:, 6:], nn.Context())
    assert jnp.abs(with_past - without)[:, 0].max() > 0.1

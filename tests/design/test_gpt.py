"""GPT with cached decoding: positions and key-value caches live in the carry."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn


def gpt(vocabulary, features, depth):
    """The model written out from its layers, with positions learned up to 12."""

    def forward(c, tokens):
        return c.norm(c.blocks(c.positions(c.embed(tokens)))) @ c.embed.params["table"].T

    mlp = nn.residual(nn.layer_norm(), nn.feed_forward(4 * features, nn.relu))
    block = nn.serial(nn.residual(nn.layer_norm(), nn.attention(2, causal=True)), mlp)
    return nn.compose(
        forward,
        embed=nn.embedding(vocabulary, features, init=nn.initializers.normal(1.0)),
        positions=nn.learned_positions(12, init=nn.initializers.normal(1.0)),
        blocks=nn.repeat(nn.remat(block), depth),
        norm=nn.layer_norm(),
    )


MODEL = gpt(13, 8, 3)
TOKENS = jax.random.randint(jax.random.key(1), (2, 12), 0, 13)
VARIABLES = jax.jit(MODEL.init)(jax.random.key(0), TOKENS)
APPLY, STEP = jax.jit(MODEL), jax.jit(MODEL.step)


def test_tree():
    norm, stacked_norm = {"scale": (8,), "bias": (8,)}, {"scale": (3, 8), "bias": (3, 8)}
    assert jax.tree.map(jnp.shape, VARIABLES.params) == {
        "embed": {"table": (13, 8)},
        "positions": {"table": (12, 8)},
        "blocks": {
            "residual_0": {
                "layer_norm_0": stacked_norm,
                "attention_0": {
                    "qkv": {"w": (3, 8, 24), "b": (3, 24)},
                    "out": {"w": (3, 8, 8), "b": (3, 8)},
                },
            },
            "residual_1": {
                "layer_norm_0": stacked_norm,
                "feed_forward_0": {
                    "in": {"w": (3, 8, 32), "b": (3, 32)},
                    "out": {"w": (3, 32, 8), "b": (3, 8)},
                },
            },
        },
        "norm": norm,
    }


@pytest.mark.parametrize("size", [1, 3, 12])
def test_stepping_by_chunks_equals_the_whole(size):
    carry, outputs = MODEL.start(VARIABLES, TOKENS, nn.Context()), []
    caches = [block["residual_0"]["attention_0"]["mix"] for block in carry["blocks"]]
    assert [cache["keys"].shape for cache in caches] == [(2, 2, 12, 4)] * 3
    assert set(carry) == {"positions", "blocks"}
    for at in range(0, 12, size):
        carry, y = STEP(VARIABLES, carry, TOKENS[:, at : at + size], nn.Context())
        outputs.append(y)
    whole = APPLY(VARIABLES, TOKENS)
    np.testing.assert_allclose(jnp.concatenate(outputs, 1), whole, rtol=1e-5, atol=2e-6)
    assert whole.std() > 1


def test_greedy_decoding_is_one_program(compiles):
    @jax.jit
    def generate(variables, prompt):
        longest = jax.ShapeDtypeStruct((prompt.shape[0], 12), prompt.dtype)
        carry = MODEL.start(variables, longest, nn.Context())
        carry, logits = MODEL.step(variables, carry, prompt, nn.Context())

        def next_token(loop, _):
            carry, token = loop
            carry, logits = MODEL.step(variables, carry, token[:, None], nn.Context())
            return (carry, logits[:, -1].argmax(-1)), token

        first = logits[:, -1].argmax(-1)
        (_, last), tokens = jax.lax.scan(next_token, (carry, first), length=12 - prompt.shape[1])
        return jnp.concatenate([prompt, tokens.T, last[:, None]], 1)

    for prompt in (TOKENS[:, :4], TOKENS[:, 4:8]):
        got = generate(VARIABLES, prompt)
        # Attention is causal, so one reading of the result shows what each prefix would choose.
        chosen = APPLY(VARIABLES, got[:, :12]).argmax(-1)
        np.testing.assert_array_equal(got[:, :4], prompt)
        np.testing.assert_array_equal(got[:, 4:], chosen[:, 3:])
    assert compiles.count("jit(generate)") == 1

"""GPT with cached decoding: positions and key-value caches live in the carry."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn


def positions():
    """Add learned positions; the carry is how many tokens have passed."""

    def init(key, x, **side):
        return nn.Variables({"table": jax.random.normal(key, x.shape[1:])}, {})

    def apply(params, state, x, ctx):
        return x + params["table"][None, : x.shape[1]], state

    def start(variables, x, ctx):
        return jnp.zeros((), jnp.int32)

    def step(variables, at, x, ctx):
        here = jax.lax.dynamic_slice_in_dim(variables.params["table"], at, x.shape[1])
        return at + x.shape[1], x + here[None]

    return nn.Layer(init, apply, "positions", start=start, step=step)


def attention():
    """Causal self-attention of one head; the carry holds the keys and values so far."""

    def init(key, x, **side):
        size = x.shape[-1]
        w = jax.nn.initializers.lecun_normal()(key, (size, 3 * size))
        return nn.Variables({"w": w}, {})

    def attend(q, k, v, visible):
        scores = jnp.einsum("btd,bsd->bts", q, k) / np.sqrt(q.shape[-1]).astype(q.dtype)
        return jax.nn.softmax(jnp.where(visible[None], scores, -1e30)) @ v

    def apply(params, state, x, ctx):
        causal = jnp.tri(x.shape[1], dtype=bool)
        return attend(*jnp.split(x @ params["w"], 3, axis=-1), causal), state

    def start(variables, x, ctx):
        return {"k": jnp.zeros(x.shape, x.dtype), "v": jnp.zeros(x.shape, x.dtype), "at": 0}

    def step(variables, carry, x, ctx):
        q, k, v = jnp.split(x @ variables.params["w"], 3, axis=-1)
        at = carry["at"]
        k, v = (
            jax.lax.dynamic_update_slice_in_dim(carry[name], new, at, axis=1)
            for name, new in (("k", k), ("v", v))
        )
        visible = jnp.arange(k.shape[1])[None] <= at + jnp.arange(x.shape[1])[:, None]
        return {"k": k, "v": v, "at": at + x.shape[1]}, attend(q, k, v, visible)

    return nn.Layer(init, apply, "attention", start=start, step=step)


def gpt(vocabulary, features, depth):
    def forward(c, tokens):
        return c.norm(c.blocks(c.positions(c.embed(tokens)))) @ c.embed.params["table"].T

    mlp = nn.residual(nn.layer_norm(), nn.dense(4 * features), nn.relu, nn.dense(features))
    block = nn.serial(nn.residual(nn.layer_norm(), attention()), mlp)
    return nn.compose(
        forward,
        embed=nn.embedding(vocabulary, features, init=jax.nn.initializers.normal(1.0)),
        positions=positions(),
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
            "residual_0": {"layer_norm_0": stacked_norm, "attention_0": {"w": (3, 8, 24)}},
            "residual_1": {
                "layer_norm_0": stacked_norm,
                "dense_0": {"w": (3, 8, 32), "b": (3, 32)},
                "dense_1": {"w": (3, 32, 8), "b": (3, 8)},
            },
        },
        "norm": norm,
    }


@pytest.mark.parametrize("size", [1, 3, 12])
def test_stepping_by_chunks_equals_the_whole(size):
    carry, outputs = MODEL.start(VARIABLES, TOKENS, nn.Context()), []
    cache = carry["blocks"]["residual_0"]["attention_0"]
    assert cache["k"].shape == (3, 2, 12, 8) and set(carry) == {"positions", "blocks"}
    for at in range(0, 12, size):
        carry, y = STEP(VARIABLES, carry, TOKENS[:, at : at + size], nn.Context())
        outputs.append(y)
    whole = APPLY(VARIABLES, TOKENS)
    np.testing.assert_allclose(jnp.concatenate(outputs, 1), whole, rtol=1e-5, atol=2e-6)
    assert whole.std() > 1


def test_greedy_decoding_is_one_program():
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
    assert generate._cache_size() == 1

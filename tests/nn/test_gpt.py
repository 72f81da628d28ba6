"""GPT: its sizes, its initial scales, its causality."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

TOKENS = jax.ShapeDtypeStruct((1, 8), jnp.int32)


@pytest.mark.parametrize(
    ("layers", "features", "heads", "parameters"),
    [
        (12, 768, 12, 124_439_808),
        (24, 1024, 16, 354_823_168),
        (36, 1280, 20, 774_030_080),
        (48, 1600, 25, 1_557_611_200),
    ],
)
def test_published_sizes(layers, features, heads, parameters):
    model = nn.gpt(layers=layers, features=features, heads=heads)
    made = jax.eval_shape(model.init, jax.random.key(0), TOKENS)
    assert sum(leaf.size for leaf in jax.tree.leaves(made)) == parameters


def test_initial_scales():
    model = nn.gpt(50, layers=8, heads=4, features=64, context=32)
    params = jax.jit(model.init)(jax.random.key(0), TOKENS).params
    block = params["blocks"]
    for w in (params["embed"]["table"], params["positions"]["table"],
              block["attention"]["qkv"]["w"], block["feed_forward"]["in"]["w"]):  # fmt: skip
        np.testing.assert_allclose(w.std(), 0.02, rtol=0.05)
    for w in (block["attention"]["out"]["w"], block["feed_forward"]["out"]["w"]):
        np.testing.assert_allclose(w.std(), 0.02 / 4, rtol=0.05)


def test_logits_read_no_later_token():
    model = nn.gpt(7, layers=2, heads=2, features=8, context=6)
    tokens = jnp.array([[1, 2, 3, 4, 5, 6]])
    params, _ = model.init(jax.random.key(0), tokens)
    variables = nn.Variables(jax.tree.map(lambda p: 10 * p + 0.1, params), {})
    usual, changed = model(variables, tokens), model(variables, tokens.at[0, 3].set(0))
    moved = jnp.abs(changed - usual).max((0, 2))
    assert (moved[:3] < 1e-5).all() and (moved[3:] > 1e-3).all()


def test_more_tokens_than_context_raise():
    model = nn.gpt(7, layers=1, heads=2, features=8, context=4)
    with pytest.raises(ValueError, match="has 4 positions") as raised:
        model.init(jax.random.key(0), TOKENS)
    assert "in layer 'positions'" in raised.value.__notes__[0]

"""BERT: its sizes, what it reads, its read-out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

TOKENS = jnp.array([[1, 2, 3, 4], [4, 0, 2, 1]])
SIZE = {"layers": 2, "heads": 2, "features": 8, "context": 6}


def count(model):
    made = jax.eval_shape(model.init, jax.random.key(0), TOKENS)
    return sum(leaf.size for leaf in jax.tree.leaves(made))


@pytest.mark.parametrize(
    ("size", "parameters"),
    [({}, 109_482_240), ({"layers": 24, "heads": 16, "features": 1024}, 335_141_888)],
)
def test_published_sizes(size, parameters):
    features = size.get("features", 768)
    assert count(nn.bert(**size)) == parameters
    pooler, readout = features * (features + 1), features * (features + 3) + 30522
    assert count(nn.bert_mlm(**size)) == parameters - pooler + readout


def test_every_token_reads_all_others_but_padding():
    model = nn.bert(7, **SIZE)
    params, _ = model.init(jax.random.key(0), TOKENS)
    variables = nn.Variables(jax.tree.map(lambda p: 10 * p, params), {})
    lengths = jnp.array([4, 3])
    h, pooled = model(variables, TOKENS, lengths=lengths)
    other, other_pooled = model(variables, TOKENS.at[:, 3].set(6), lengths=lengths)
    assert (jnp.abs(other[0] - h[0]).max(-1) > 1e-4).all()
    assert jnp.abs(other_pooled[0] - pooled[0]).max() > 1e-4
    np.testing.assert_array_equal(other[1, :3], h[1, :3])


def test_segments_are_zero_unless_given():
    model = nn.bert(7, **SIZE)
    variables = model.init(jax.random.key(0), TOKENS)
    usual = model(variables, TOKENS)[0]
    zero = jnp.zeros_like(TOKENS)
    np.testing.assert_array_equal(model(variables, TOKENS, segments=zero)[0], usual)
    assert jnp.abs(model(variables, TOKENS, segments=zero + 1)[0] - usual).max() > 1e-4


def test_the_trunk_is_shared_with_the_masked_language_model():
    trunk = nn.bert(7, **SIZE).init(jax.random.key(0), TOKENS).params
    params = nn.bert_mlm(7, **SIZE).init(jax.random.key(0), TOKENS).params
    assert set(trunk) - {"pooler"} == set(params) - {"readout", "readout_bias"}
    jax.tree.map(np.testing.assert_array_equal, trunk["blocks"], params["blocks"])
    assert (params["readout_bias"] == 0).all()


def test_stepping_raises():
    model = nn.bert(7, **SIZE)
    with pytest.raises(ValueError, match="attention: has no step"):
        model.start(model.init(jax.random.key(0), TOKENS), TOKENS, nn.Context())

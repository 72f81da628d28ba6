"""Two inputs and a side input: a dict as x, a mask that reaches the pooling deep inside by name."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn


def masked_mean():
    def init(key, x, **side):
        return nn.Variables({}, {})

    def apply(params, state, x, ctx):
        if "mask" not in ctx.side:
            raise ValueError(f"masked_mean: needs side input mask=, got {sorted(ctx.side)}")
        weight = ctx.side["mask"][..., None].astype(x.dtype)
        return (x * weight).sum(1) / weight.sum(1), state

    return nn.Layer(init, apply, "masked_mean")


def forward(c, x):
    words = c.words(x["words"])
    return c.head(jnp.concatenate([words, c.place(x["place"])], axis=-1))


MODEL = nn.compose(
    forward,
    words=nn.serial(nn.embedding(7, 4), nn.dense(4), nn.relu, masked_mean()),
    place=nn.dense(3),
    head=nn.dense(2),
)
X = {
    "words": jnp.array([[1, 2, 3, 0], [4, 5, 0, 0]]),
    "place": jnp.array([[0.5, -1.0], [2.0, 1.0]]),
}
MASK = jnp.array([[True, True, True, False], [True, True, False, False]])


def test_tree():
    params, state = MODEL.init(jax.random.key(0), X, mask=MASK)
    assert jax.tree.map(jnp.shape, params) == {
        "words": {"embedding_0": {"table": (7, 4)}, "dense_0": {"w": (4, 4), "b": (4,)}},
        "place": {"w": (2, 3), "b": (3,)},
        "head": {"w": (7, 2), "b": (2,)},
    }
    assert state == {}


def test_masked_words_do_not_count():
    variables = MODEL.init(jax.random.key(0), X, mask=MASK)
    y = jax.jit(MODEL)(variables, X, mask=MASK)
    for row, length in ((0, 3), (1, 2)):
        alone = {"words": X["words"][row : row + 1, :length], "place": X["place"][row : row + 1]}
        expected = MODEL(variables, alone, mask=jnp.ones((1, length), bool))
        np.testing.assert_allclose(y[row : row + 1], expected, rtol=1e-6)
    assert jnp.abs(y - MODEL(variables, X, mask=jnp.ones_like(MASK))).max() > 1e-4


def test_a_missing_side_input_is_named_with_its_path():
    with pytest.raises(ValueError, match=r"needs side input mask=, got \[\]") as caught:
        MODEL.init(jax.random.key(0), X)
    assert "in layer 'words/masked_mean_0'" in caught.value.__notes__[0]

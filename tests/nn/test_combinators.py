"""In a row, side by side, around a shortcut: values, names, and the numbers neighbors keep."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

KEY = jax.random.key(0)
X = jax.random.normal(jax.random.key(7), (2, 3))


def affine(params, x):
    return np.asarray(x, np.float64) @ np.asarray(params["w"]) + np.asarray(params["b"])


def test_serial_applies_in_the_order_written():
    model = nn.serial(nn.dense(4), jnp.tanh, last=nn.dense(2))
    variables = model.init(KEY, X)
    hidden = np.tanh(affine(variables.params["dense_0"], X))
    expected = affine(variables.params["last"], hidden)
    np.testing.assert_allclose(model(variables, X), expected, rtol=1e-5, atol=1e-6)


def test_an_empty_serial_is_the_identity():
    model = nn.serial()
    np.testing.assert_array_equal(model(model.init(KEY, X), X), X)


def test_parallel_gives_the_same_x_to_each_and_answers_in_order():
    model = nn.parallel(nn.dense(4), jnp.tanh, head=nn.dense(2))
    variables = model.init(KEY, X)
    first, second, third = model(variables, X)
    np.testing.assert_allclose(first, affine(variables.params["dense_0"], X), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(second, np.tanh(X), rtol=1e-6)
    np.testing.assert_allclose(third, affine(variables.params["head"], X), rtol=1e-5, atol=1e-6)


def test_residual_adds_its_input_or_its_shortcut():
    model = nn.residual(nn.dense(3), jnp.tanh)
    variables = model.init(KEY, X)
    branch = np.tanh(affine(variables.params["dense_0"], X))
    np.testing.assert_allclose(model(variables, X), X + branch, rtol=1e-5, atol=1e-6)

    model = nn.residual(nn.dense(5), jnp.tanh, shortcut=nn.dense(5))
    variables = model.init(KEY, X)
    branch = np.tanh(affine(variables.params["dense_0"], X))
    expected = affine(variables.params["shortcut"], X) + branch
    np.testing.assert_allclose(model(variables, X), expected, rtol=1e-5, atol=1e-6)


def test_residual_adds_trees_leaf_by_leaf():
    model = nn.residual(lambda x: (2 * x[0], 3 * x[1]))
    a, b = model(nn.Variables({}, {}), (X, X[:1]))
    np.testing.assert_allclose(a, 3 * X, rtol=1e-6)
    np.testing.assert_allclose(b, 4 * X[:1], rtol=1e-6)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (nn.residual(nn.dense(4)), r"shortcut is float32\[2, 3\] and the branch float32\[2, 4\]"),
        (nn.residual(nn.dense(4), shortcut=nn.dense(1)), r"float32\[2, 1\].*float32\[2, 4\]"),
        (nn.residual(lambda x: x.astype(jnp.bfloat16)), r"float32\[2, 3\].*bfloat16\[2, 3\]"),
        (nn.residual(lambda x: x[:1]), "give shortcut= a layer that maps x"),
    ],
)
def test_residual_refuses_a_branch_of_another_shape_or_dtype(model, words):
    with pytest.raises(ValueError, match=f"residual: .*{words}"):
        model.init(KEY, X)


def test_the_entries_of_one_level_have_different_names():
    branch = nn.rename(nn.dense(3), "shortcut")
    with pytest.raises(ValueError, match="'shortcut' and 'shortcut' have the same name"):
        nn.residual(branch, shortcut=nn.dense(3))
    for combine in (nn.serial, nn.parallel, nn.residual):
        with pytest.raises(ValueError, match="'dense_0' and 'dense_0' have the same name"):
            combine(nn.dense(3), dense_0=nn.dense(3))


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_inserting_a_layer_of_another_kind_keeps_its_neighbors_numbers():
    short = nn.serial(nn.dense(3), nn.relu, nn.dense(3), head=nn.dense(2))
    long = nn.serial(
        nn.dense(3), nn.layer_norm(), nn.relu, nn.dropout(0.5), nn.dense(3), head=nn.dense(2)
    )
    before, after = short.init(KEY, X).params, long.init(KEY, X).params
    assert set(after) - set(before) == {"layer_norm_0"}
    same(before, {name: after[name] for name in before})
    assert np.abs(before["dense_0"]["w"] - before["dense_1"]["w"]).max() > 0.1


def test_inserting_beside_named_children_keeps_their_numbers():
    short = nn.serial(stem=nn.dense(3), head=nn.dense(2))
    long = nn.serial(stem=nn.dense(3), middle=nn.dense(3), head=nn.dense(2))
    before, after = short.init(KEY, X).params, long.init(KEY, X).params
    same(before, {name: after[name] for name in before})


def test_neighbors_drop_the_same_units_when_a_layer_is_inserted():
    short, long = nn.serial(nn.dropout(0.5)), nn.serial(jnp.abs, nn.dropout(0.5))
    x = jnp.ones((4, 9))
    ctx = nn.Context(jax.random.key(3), train=True)
    same(short.apply({}, {}, x, ctx)[0], long.apply({}, {}, x, ctx)[0])

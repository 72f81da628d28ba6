"""Statistics of activations and gradients against NumPy, and the path of the first NaN."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn
from laminax.nn._core._tap import tap

X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


def made(model, x=X):
    return model.init(jax.random.key(0), x)


def by_path(found):
    return {row.path: row for row in found.rows}


def test_statistics_are_those_of_the_activations_and_their_gradients():
    model = nn.serial(nn.dense(5), nn.relu, nn.dense(2))
    variables = made(model)
    found = by_path(nn.inspect.statistics(model, variables, X, lambda y: jnp.square(y).sum(-1)))
    p = jax.tree.map(np.asarray, variables.params)
    z = X @ p["dense_0"]["w"]
    h = np.maximum(z, 0)
    y = h @ p["dense_1"]["w"]
    gradients = {"dense_1": 2 * y, "relu_0": 2 * y @ p["dense_1"]["w"].T}
    gradients["dense_0"] = gradients["relu_0"] * (z > 0)
    assert list(found) == ["dense_0", "relu_0", "dense_1"]
    for path, a in {"dense_0": z, "relu_0": h, "dense_1": y}.items():
        g = gradients[path]
        expected = a.mean(), np.sqrt((a**2).mean()), np.abs(a).max(), (a == 0).mean(), 0
        np.testing.assert_allclose(found[path][1:6], expected, rtol=2e-5, atol=1e-7)
        np.testing.assert_allclose(found[path][6:], [np.sqrt((g**2).mean()), 0], rtol=2e-5)


def test_layers_of_repeat_are_told_apart_and_stand_in_the_order_in_which_they_answer():
    model = nn.serial(nn.repeat(nn.serial(nn.dense(3), jnp.tanh), 2), nn.dense(1))
    variables = made(model)
    found = by_path(nn.inspect.statistics(model, variables, X, jnp.sum))
    assert list(found) == [
        "repeat_0/dense_0[0]", "repeat_0/tanh_0[0]", "repeat_0/dense_0[1]", "repeat_0/tanh_0[1]",
        "repeat_0", "dense_0",
    ]  # fmt: skip
    w = np.asarray(variables.params["repeat_0"]["dense_0"]["w"])
    first = X @ w[0]
    second = np.tanh(first) @ w[1]
    np.testing.assert_allclose(found["repeat_0/dense_0[0]"].mean, first.mean(), rtol=1e-5)
    np.testing.assert_allclose(found["repeat_0/dense_0[1]"].mean, second.mean(), rtol=1e-5)


def test_the_first_nan_is_named_by_layer_going_forward():
    model = nn.serial(nn.repeat(nn.residual(nn.dense(3), jnp.tanh), 3), nn.dense(1))
    variables = made(model)
    entry = variables.params["repeat_0"]["dense_0"]
    entry["b"] = entry["b"].at[1, 0].set(jnp.nan)
    found = nn.inspect.statistics(model, variables, X)
    assert found.first_nan == "repeat_0/dense_0[1]"
    assert by_path(found)["repeat_0/dense_0[1]"].not_finite == pytest.approx(1 / 3)
    assert "first not finite: repeat_0/dense_0[1]" in str(found)
    assert "33.3%" in str(found) and "33.3%" in found._repr_html_()


def test_a_nan_of_the_gradient_alone_is_named_going_back():
    model = nn.serial(first=nn.dense(3), root=lambda x: jnp.sqrt(0 * x), last=nn.dense(1))
    found = nn.inspect.statistics(model, made(model), X, jnp.sum)
    assert not any(row.not_finite for row in found.rows)
    assert found.first_nan == "gradient of first"


def test_calls_of_a_shared_layer_are_told_apart():
    model = nn.compose(lambda c, x: c.a(x) + 2 * c.a(10 * x), a=nn.dense(2, bias=False))
    variables = made(model)
    found = by_path(nn.inspect.statistics(model, variables, X, jnp.sum))
    assert list(found) == ["a", "a/1"]
    assert found["a/1"].rms == pytest.approx(10 * found["a"].rms, rel=1e-5)
    assert (found["a"].gradient_rms, found["a/1"].gradient_rms) == (1, 2)


def test_order_is_that_of_calls_not_of_writing():
    model = nn.compose(lambda c, x: c.last(c.first(x)), last=nn.dense(2), first=nn.dense(4))
    assert list(by_path(nn.inspect.statistics(model, made(model), X))) == ["first", "last"]


def test_tapping_changes_no_number_and_leaves_the_state_as_it_was():
    model = nn.serial(
        nn.dense(4),
        nn.batch_norm(),
        nn.remat(nn.policy(nn.serial(nn.dense(3), nn.dropout(0.5)))),
        nn.parallel(nn.dense(1), nn.relu),
    )
    variables = made(model)
    ctx = nn.Context(jax.random.key(3), train=True)
    taps = tap(model, variables, X, ctx, lambda y: y[0].sum() + y[1].sum())
    y, state = model.apply(*variables, X, ctx)
    for a, b in zip(jax.tree.leaves(taps.y), jax.tree.leaves(y), strict=True):
        np.testing.assert_array_equal(a, b)
    assert list(state) == ["batch_norm_0"] and set(state["batch_norm_0"]) == {"mean", "var"}
    assert set(taps.activations) == set(taps.gradients) and "serial_0/dense_0" in taps.gradients


def test_integers_are_left_out():
    model = nn.serial(lambda x: x + 1, nn.embedding(9, 3), nn.dense(1))
    x = np.array([[1, 2], [3, 4]])
    found = nn.inspect.statistics(model, made(model, x), x, jnp.sum)
    assert [row.path for row in found.rows] == ["embedding_0", "dense_0"]


def test_one_layer_has_nothing_inside():
    with pytest.raises(ValueError, match=r"statistics: dense is one layer with none inside"):
        nn.inspect.statistics(nn.dense(1), made(nn.dense(1)), X)

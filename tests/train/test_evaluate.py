"""Evaluation: every example counts once, whatever the batch size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn, train

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(9, 3))
Y = RANDOM.normal(size=(9, 1))
MODEL = nn.dense(1)
OBJECTIVE = train.supervised(
    MODEL, nn.losses.squared_error, metrics={"bias": lambda y_hat, y: (y_hat - y)[:, 0]}
)
W = np.array([[1.0], [2.0], [-1.0]])


@pytest.mark.parametrize("n", [1, 3, 4, 5, 8, 9])
def test_means_are_those_of_numpy_for_every_remainder(n):
    x, y = X[:n], Y[:n]
    with jax.enable_x64(True):
        variables = nn.Variables({"w": jnp.asarray(W), "b": jnp.zeros(1)}, {})
        got = train.evaluate(OBJECTIVE, variables, (x, y), batch_size=4)
        predicted = train.predict(MODEL, variables, x, batch_size=4)
    error = x @ W - y
    assert got == pytest.approx({"loss": np.square(error).mean(), "bias": error.mean()}, rel=1e-13)
    assert list(got) == ["loss", "bias"]
    np.testing.assert_allclose(predicted, x @ W, rtol=1e-13)


def test_padding_reaches_no_statistic():
    def init(key, x, **side):
        return nn.Variables({}, {"mean": jnp.full(1, 0.5)})

    def apply(params, state, x, ctx):  # of the training kind only where training
        return (x - x.mean(0)[None] if ctx.train else x - state["mean"][None]), state

    model = nn.serial(nn.Layer(init, apply, "norm"))
    objective = train.supervised(model, lambda y_hat, y: y_hat[:, 0])
    variables = model.init(jax.random.key(0), jnp.zeros((1, 1)))
    x = np.arange(5, dtype=np.float32)[:, None]
    assert train.evaluate(objective, variables, (x, x), batch_size=4)["loss"] == 1.5


def test_batch_norm_evaluates_with_its_running_statistics_at_any_batch_size():
    model = nn.serial(nn.batch_norm(), nn.dense(1))
    objective = train.supervised(model, nn.losses.squared_error)
    x, y = X.astype(np.float32), Y.astype(np.float32)
    params, state = model.init(jax.random.key(0), x)
    state = {"batch_norm_0": {"mean": jnp.full(3, 0.5), "var": jnp.full(3, 4.0)}}
    variables = nn.Variables(params, state)
    dense = params["dense_0"]
    normal = (x - 0.5) / np.sqrt(4.0 + 1e-5)
    expected = np.square(normal @ np.asarray(dense["w"]) + np.asarray(dense["b"]) - y).mean()
    for size in (4, 9, 1000):
        got = train.evaluate(objective, variables, (x, y), batch_size=size)
        assert got["loss"] == pytest.approx(expected, rel=1e-5)


def test_predictions_keep_the_structure_of_the_output():
    model = nn.parallel(MODEL, lambda x: x.sum(1))
    x = X.astype(np.float32)
    variables = nn.Variables({"dense_0": {"w": jnp.asarray(W, jnp.float32), "b": jnp.zeros(1)}}, {})
    first, second = train.predict(model, variables, x, batch_size=2)
    assert isinstance(first, np.ndarray)
    np.testing.assert_allclose(first, x @ W.astype(np.float32), rtol=1e-5)
    np.testing.assert_allclose(second, x.sum(1), rtol=1e-5)


def test_evaluation_compiles_once_for_the_same_shapes(compiles):
    x, y = X.astype(np.float32), Y.astype(np.float32)
    variables = nn.Variables({"w": jnp.asarray(W, jnp.float32), "b": jnp.zeros(1)}, {})
    objective = train.supervised(MODEL, nn.losses.squared_error)
    first = train.evaluate(objective, variables, (x, y), batch_size=4)
    assert train.evaluate(objective, variables, (x, y), batch_size=4) == first
    assert compiles.count("jit(_pass)") == 1


def test_the_caller_keeps_variables_and_data():
    data = jax.device_put((X.astype(np.float32), Y.astype(np.float32)))
    variables = nn.Variables({"w": jnp.asarray(W, jnp.float32), "b": jnp.zeros(1)}, {})
    train.evaluate(OBJECTIVE, variables, data)
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves((data, variables)))

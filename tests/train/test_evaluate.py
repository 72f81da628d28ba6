"""Evaluation: every example counts once, whatever the batch size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn, optim, train

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


@pytest.mark.parametrize("sizes", [(4, 4, 1), (3, 3, 3), (9,), (2, 4, 3)])
def test_a_pass_counts_every_example_once(sizes):
    ends = np.cumsum(sizes)
    parts = [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]
    with jax.enable_x64(True):
        variables = nn.Variables({"w": jnp.asarray(W), "b": jnp.zeros(1)}, {})
        pairs = train.data.once(lambda: ((X[part], Y[part]) for part in parts))
        got = train.evaluate(OBJECTIVE, variables, pairs)
        predicted = train.predict(MODEL, variables, train.data.once(lambda: (X[p] for p in parts)))
    error = X @ W - Y
    assert got == pytest.approx({"loss": np.square(error).mean(), "bias": error.mean()}, rel=1e-13)
    np.testing.assert_allclose(predicted, X @ W, rtol=1e-13)


def test_a_pass_is_compiled_for_one_size_of_batch(compiles):
    model = nn.mlp(5, 1)  # of which no other test has compiled anything
    objective = train.supervised(model, nn.losses.squared_error)
    x, y = X.astype(np.float32), Y.astype(np.float32)
    variables = model.init(jax.random.key(0), x)
    train.evaluate(objective, variables, train.data.in_order((x, y), batch_size=4))
    assert compiles.count("jit(_pass)") == 1


@pytest.mark.parametrize("layout", ["none", "data parallel"])
def test_validation_by_a_pass_is_validation_in_memory(layout):
    x, y = X.astype(np.float32), Y.astype(np.float32)
    laid = train.data_parallel(train.mesh(data=8)) if layout != "none" else None

    def history(validation):
        result = train.fit(
            OBJECTIVE, optim.adam(0.1), (x[:8], y[:8]), batch_size=8, epochs=4, layout=laid,
            validation=validation, patience=3, progress=False,
        )  # fmt: skip
        return result.history

    memory = history((x, y))
    disk = history(train.data.in_order((x, y), batch_size=4))
    for name in ("loss", "validation_loss", "validation_bias"):
        np.testing.assert_allclose(disk[name], memory[name], rtol=1e-5, err_msg=name)


def test_a_bad_pass_says_what_is_wrong():
    variables = nn.Variables({"w": jnp.asarray(W), "b": jnp.zeros(1)}, {})
    holes = train.data.once(lambda: [(X[:4], Y[:4]), (np.full((2, 3), np.nan), Y[:2])])
    with pytest.raises(ValueError, match="evaluate: data must be finite, got nan"):
        train.evaluate(OBJECTIVE, variables, holes)
    with pytest.raises(TypeError, match="predict: lengths: a pass has no side inputs"):
        train.predict(MODEL, variables, train.data.in_order(X), lengths=np.ones(9))
    with pytest.raises(ValueError, match="fit, validation: data must be finite"):
        train.fit(
            OBJECTIVE, optim.sgd(0.1), (X, Y), batch_size=9,
            validation=train.data.in_order((X * np.nan, Y)),
        )  # fmt: skip


def test_batches_that_are_alike_are_looked_through_without_tracing_the_model_again():
    traced = []

    def apply(params, state, x, ctx):
        traced.append(x.shape)
        return MODEL.apply(params, state, x, ctx)

    classifier = train.supervised(nn.Layer(MODEL.init, apply, "counted"), nn.losses.cross_entropy)
    data = X.astype(np.float32), np.zeros(9, int)
    variables = classifier.init(jax.random.key(0), data)
    train.evaluate(classifier, variables, train.data.in_order(data, batch_size=3))
    assert traced
    traced.clear()
    train.evaluate(classifier, variables, train.data.in_order(data, batch_size=3))
    assert traced == []

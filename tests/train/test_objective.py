"""The one place where losses are weighed and reduced, against the NumPy formula in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn, optim, train
from laminax.train._objective import reduced

WEIGHTS = np.array([0.5, 0.0, 2.0, 0.0, 1.0])
TOTAL = np.array([1.0, np.nan, -3.0, np.inf, 0.25])
COUNT = np.array([2.0, np.nan, 1.0, 5.0, 0.0])


def pulled(loss, metrics=None):
    """Objective of a number θ whose loss and metrics are functions of θ and the batch."""

    def evaluated(params, state, batch, ctx):
        values = {name: metric(params, batch) for name, metric in (metrics or {}).items()}
        return loss(params, batch), train.Aux(state, values)

    return train.Objective(lambda key, batch: nn.Variables(jnp.zeros(()), {}), evaluated)


@pytest.mark.parametrize("pair", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_reduction_is_the_weighted_sum_and_count_in_float64(pair, weighted):
    rows = np.flatnonzero(WEIGHTS) if not weighted else np.arange(5)
    total, count, weights = TOTAL[rows], COUNT[rows], WEIGHTS[rows]
    with jax.enable_x64(True):
        value = (jnp.asarray(total), jnp.asarray(count)) if pair else jnp.asarray(total)
        got = reduced(value, jnp.asarray(weights) if weighted else None, "loss", len(rows))
    w = weights if weighted else np.ones(len(rows))
    kept = w > 0
    expected = (
        np.sum(w[kept] * total[kept]),
        np.sum(w[kept] * (count[kept] if pair else 1.0)),
    )
    assert all(part.dtype == jnp.float64 for part in got)
    np.testing.assert_allclose(got, expected, rtol=1e-15)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.int32, jnp.bool])
def test_reduction_of_narrow_values_is_summed_in_float32(dtype):
    total, count = reduced(jnp.ones(3000, dtype), None, "hits", 3000)
    assert (total.dtype, float(total), float(count)) == (jnp.float32, 3000.0, 3000.0)


@pytest.mark.parametrize(
    "loss, metrics, words",
    [
        (lambda p, x: jnp.mean(x - p), {}, r"loss: must be per example.*\(4,\).*got.*\(\).*mean"),
        (lambda p, x: x[:, None] - p, {}, r"loss: must be per example.*\(4, 1\)"),
        (lambda p, x: (x - p, jnp.ones(())), {}, r"loss: must be per example.*pair.*got.*\(\)"),
        (lambda p, x: x - p, {"hits": lambda p, x: x[:3]}, r"hits: must be per example.*\(3,\)"),
    ],
)
def test_values_that_are_not_per_example_are_refused(loss, metrics, words):
    objective, batch = pulled(loss, metrics), jnp.arange(4.0)
    state = jax.eval_shape(lambda: train.init(objective, optim.sgd(0.1), batch))
    with pytest.raises(ValueError, match=words):
        jax.eval_shape(train.step(objective, optim.sgd(0.1)), state, batch)


def test_whole_counts_fit_any_total():
    with jax.enable_x64(True):
        total, count = reduced((jnp.ones(3), jnp.arange(3, dtype=jnp.int32)), None, "loss", 3)
    assert (total.dtype, count.dtype, float(count)) == (jnp.float64, jnp.float64, 3.0)


def test_tokens_of_sentences_of_different_length_count_alike():
    lengths, longest = np.array([1, 5, 2, 9]), 9
    mask = jnp.asarray(np.arange(longest) < lengths[:, None])
    tokens = np.random.default_rng(0).normal(size=(4, longest)).astype(np.float32)

    def loss(params, batch):
        tokens, mask = batch
        return jnp.where(mask, jnp.square(tokens - params), 0.0).sum(1), mask.sum(1)

    objective = pulled(loss)
    got = train.evaluate(
        objective, nn.Variables(jnp.float32(0.5), {}), (tokens, mask), batch_size=3
    )
    of_tokens = [
        np.square(row[:n].astype(float) - 0.5) for row, n in zip(tokens, lengths, strict=True)
    ]
    assert got["loss"] == pytest.approx(np.concatenate(of_tokens).mean(), rel=1e-6)
    mean_of_means = np.mean([row.mean() for row in of_tokens])
    assert abs(got["loss"] - mean_of_means) > 0.05


def penalty(size):
    """Layer that leaves x alone and asks for an extra loss."""

    def init(key, x, **side):
        return nn.Variables({}, {"aux_loss": jnp.zeros(()), "seen": jnp.zeros(())})

    def apply(params, state, x, ctx):
        return x, {"aux_loss": jnp.float32(size), "seen": state["seen"] + 1.0}

    return nn.Layer(init, apply, "penalty")


def test_auxiliary_losses_of_all_layers_are_added_to_every_example():
    model = nn.serial(penalty(0.25), nn.serial(penalty(2.0), penalty(4.0)))
    x = jnp.array([[1.0], [2.0], [3.0]])
    params, state = model.init(jax.random.key(0), x)
    plain = train.supervised(model, lambda y_hat, y: (y_hat - y)[:, 0])
    value, aux = plain.loss(params, state, (x, 0.0 * x), nn.Context(train=True))
    np.testing.assert_allclose(value, [7.25, 8.25, 9.25])
    value, _ = plain.loss(params, aux.state, (x, 0.0 * x), nn.Context())
    np.testing.assert_allclose(value, [1.0, 2.0, 3.0])  # the price is one of training
    count = jnp.array([1, 4, 0])
    pairs = train.supervised(model, lambda y_hat, y: ((y_hat - y)[:, 0], count))
    (total, counted), _ = pairs.loss(params, state, (x, 0.0 * x), nn.Context(train=True))
    np.testing.assert_allclose(total, [1 + 6.25, 2 + 4 * 6.25, 3.0])  # once a term
    np.testing.assert_array_equal(counted, count)


def test_the_auxiliary_loss_is_trained():
    def init(key, x, **side):
        return nn.Variables({"w": jnp.ones(())}, {"aux_loss": jnp.zeros(())})

    def apply(params, state, x, ctx):
        return x, {"aux_loss": jnp.square(params["w"])}

    objective = train.supervised(nn.Layer(init, apply), nn.losses.squared_error)
    batch = (jnp.ones((4, 1)), jnp.ones((4, 1)))
    state = train.init(objective, optim.sgd(0.25), batch)
    state, metrics = train.step(objective, optim.sgd(0.25))(state, batch)
    assert float(state.params["w"]) == 0.5  # 1 - 0.25 · 2
    assert float(metrics["loss"]) == 1.0


def test_supervised_refuses_a_metric_called_loss():
    with pytest.raises(ValueError, match="'loss' is the name of the loss itself; rename"):
        train.supervised(nn.dense(1), nn.losses.squared_error, metrics={"loss": max})


@pytest.mark.parametrize(
    "data, words", [(jnp.ones((3, 2)), "got Array"), ((1, 2, 3, 4), "got tuple of 4")]
)
def test_supervised_wants_pairs(data, words):
    objective = train.supervised(nn.dense(1), nn.losses.squared_error)
    with pytest.raises(TypeError, match=words):
        objective.check(data)

"""The training loop: what it finds, records and hands back, and what it leaves alone."""

import csv
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from laminax import nn, optim, train

from .broken_runs import bits

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(40, 3)).astype(np.float32)
Y = (X @ [[1.0], [-2.0], [0.5]] + 3 + 0.1 * RANDOM.normal(size=(40, 1))).astype(np.float32)
LINEAR = train.supervised(nn.dense(1), nn.losses.squared_error)
SGD = optim.sgd(0.05)
NOISY = train.supervised(
    nn.serial(nn.dense(4), nn.batch_norm(), nn.dropout(0.5), nn.dense(1)), nn.losses.squared_error
)
ADAM = optim.chain(optim.adam(0.01), optim.ema(0.9))
fit = functools.partial(train.fit, progress=False)
noisy = functools.partial(fit, NOISY, ADAM, (X, Y), batch_size=12)


def scalar(loss):
    """Objective of a number θ that starts at 0."""

    def evaluated(params, state, batch, ctx):
        return loss(params, batch), train.Aux(state, {})

    return train.Objective(lambda key, batch: nn.Variables(jnp.zeros(()), {}), evaluated)


PULLED = scalar(lambda params, batch: jnp.square(params - batch))


def test_full_batches_find_the_least_squares_solution():
    with jax.enable_x64(True):
        x, y = X.astype(float), Y.astype(float)
        result = fit(LINEAR, optim.sgd(0.3), (x, y), epochs=300, batch_size=40)
        params = result.variables.params
        found = np.concatenate([params["w"][:, 0], params["b"]])
    design = np.concatenate([x, np.ones((40, 1))], 1)
    best, residual, *_ = np.linalg.lstsq(design, y[:, 0], rcond=None)
    np.testing.assert_allclose(found, best, rtol=1e-10)
    losses = result.history["loss"]
    assert losses[0] > 5 > 0.02 > losses[-1]
    assert losses[-1] == pytest.approx(residual[0] / 40, rel=1e-10)
    assert np.all(np.diff(losses) <= 1e-15)


def test_mini_batches_equal_stochastic_gradient_descent_in_numpy():
    with jax.enable_x64(True):
        x, y = X.astype(float), Y.astype(float)
        state = train.init(LINEAR, SGD, (x, y))
        w, b = np.array(state.params["w"]), np.array(state.params["b"])
        result = fit(LINEAR, SGD, (x, y), epochs=3, batch_size=12)
        losses = []
        for step in range(10):
            order = np.asarray(train.data.index(state.data_key, step, 12, 40))
            error = x[order] @ w + b - y[order]
            losses.append(np.mean(np.square(error)))
            w -= 0.05 * 2 * x[order].T @ error / 12
            b -= 0.05 * 2 * error.mean(0)
    np.testing.assert_allclose(result.variables.params["w"], w, rtol=1e-12)
    np.testing.assert_allclose(result.variables.params["b"], b, rtol=1e-12)
    # Epoch e ends after ceil((e + 1)·40 / 12) steps; its row is the mean over exactly its own.
    assert result.history["step"] == [4, 7, 10]
    expected = [np.mean(losses[a:b]) for a, b in [(0, 4), (4, 7), (7, 10)]]
    np.testing.assert_allclose(result.history["loss"], expected, rtol=1e-12)
    assert result.history["epoch"] == [1, 2, 3]
    np.testing.assert_allclose(result.history["rate"], 0.05)
    assert list(result.history) == ["epoch", "step", "loss", "rate", "seconds"]


def test_every_epoch_shows_every_example_once():
    seen = scalar(lambda params, batch: batch + 0.0 * params)
    examples = 2.0 ** np.arange(12)  # a sum tells which were in it
    result = fit(seen, optim.freeze(), examples.astype(np.float32), epochs=4, batch_size=4)
    np.testing.assert_array_equal(np.array(result.history["loss"]) * 12, [4095.0] * 4)
    assert "rate" not in result.history


def test_the_seed_decides_every_bit():
    first, again, other = noisy(epochs=2), noisy(epochs=2), noisy(epochs=2, seed=1)
    assert bits(first.state) == bits(again.state)
    assert first.history["loss"] == again.history["loss"]
    assert not np.allclose(
        first.state.params["dense_0"]["w"], other.state.params["dense_0"]["w"], atol=0.01
    )


def test_going_on_from_a_state_equals_not_stopping():
    whole, part = noisy(epochs=5), noisy(epochs=2)
    rest = noisy(epochs=3, state=part.state)
    assert bits(rest.state) == bits(whole.state)
    for name in ("epoch", "step", "loss"):
        assert part.history[name] + rest.history[name] == whole.history[name]


def test_nothing_of_the_caller_is_invalidated():
    data = jax.device_put((X, Y))
    variables = jax.jit(NOISY.init)(jax.random.key(5), data)
    state = train.init(NOISY, ADAM, data, variables=variables)
    before = bits((data, variables, state))
    result = fit(NOISY, ADAM, data, epochs=2, batch_size=12, state=state, validation=data)
    later = fit(NOISY, ADAM, data, epochs=1, batch_size=12, state=result.state)
    assert bits((data, variables, state)) == before
    for kept in (result.state, result.best.variables, result.variables, later.state):
        assert all(not leaf.is_deleted() for leaf in jax.tree.leaves(kept))


def test_batch_statistics_are_those_of_training():
    first, second = noisy(epochs=1), noisy(epochs=200)
    mean, var = (np.asarray(second.variables.state["batch_norm_0"][k]) for k in ("mean", "var"))
    hidden = X @ np.asarray(second.state.params["dense_0"]["w"])
    hidden = hidden + np.asarray(second.state.params["dense_0"]["b"])
    np.testing.assert_allclose(mean, hidden.mean(0), atol=0.5)
    np.testing.assert_allclose(var, hidden.var(0), rtol=0.5)
    assert not np.allclose(first.variables.state["batch_norm_0"]["mean"], mean)


def pulled_to_ten(epochs, **options):
    """θ goes from 0 to 10 by θ ← θ + 0.1 (10 − θ); validation wants it at 4.2."""
    train_data, validation = np.full(4, 10.0, np.float32), np.full(3, 4.2, np.float32)
    return fit(
        PULLED, HALF, train_data, epochs=epochs, batch_size=4, validation=validation, **options
    )


HALF = optim.sgd(0.05)


def theta(epoch):
    return 10 * (1 - 0.9**epoch)


def test_the_best_epoch_is_kept_with_its_own_variables():
    result = pulled_to_ten(9)
    expected = [np.square(theta(e) - 4.2) for e in range(1, 10)]
    np.testing.assert_allclose(result.history["validation_loss"], expected, rtol=1e-4)
    assert result.best.epoch == 1 + int(np.argmin(expected)) == 5
    assert result.best.loss == result.history["validation_loss"][4]
    assert float(result.best.variables.params) == pytest.approx(theta(5), rel=1e-6)
    assert float(result.variables.params) == pytest.approx(theta(9), rel=1e-6)


@pytest.mark.parametrize("patience", [1, 3])
def test_patience_stops_that_many_epochs_after_the_best(patience):
    result = pulled_to_ten(50, patience=patience)
    assert result.history["epoch"][-1] == 5 + patience
    assert result.best.epoch == 5
    assert not result.interrupted


def test_an_average_is_what_is_validated_and_handed_back():
    optimizer = optim.chain(optim.sgd(0.05), optim.ema(0.5))
    data = np.full(4, 10.0, np.float32)
    result = fit(PULLED, optimizer, data, epochs=6, batch_size=4, validation=data)
    weights = 0.5 ** np.arange(5, -1, -1.0)
    average = weights @ [theta(t) for t in range(1, 7)] / weights.sum()
    assert float(result.variables.params) == pytest.approx(average, rel=1e-5)
    assert float(result.state.params) == pytest.approx(theta(6), rel=1e-5)
    assert result.history["validation_loss"][-1] == pytest.approx((10 - average) ** 2, rel=1e-4)
    scored = train.evaluate(PULLED, result.variables, data)
    assert scored["loss"] == result.history["validation_loss"][-1]


def test_the_folder_holds_history_and_checkpoint(tmp_path):
    out = tmp_path / "runs" / "first"
    result = noisy(epochs=2, out=out)
    assert {path.name for path in out.iterdir()} == {
        *(".lock", "checkpoints", "history.csv", "variables.safetensors")
    }
    with (out / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [{name: float(value) for name, value in row.items()} for row in rows] == (
        result.history.rows()
    )
    template = train.init(NOISY, ADAM, (X, Y), seed=9)
    (checkpoint,) = (out / "checkpoints").iterdir()
    restored = train.restore(checkpoint, {"state": template, "best": None})["state"]
    variables = train.restore(out / "variables.safetensors", template.variables)
    assert bits(variables) == bits(result.variables)
    assert bits(restored) == bits(result.state) != bits(template)
    assert bits(noisy(epochs=1, state=restored).state) == bits(noisy(epochs=3).state)


def test_divergence_names_the_step_and_hands_over_the_run():
    away = scalar(lambda params, batch: jnp.square(params - batch))
    data = np.full(10, 1.0, np.float32)
    with pytest.raises(train.Diverged) as caught:
        fit(away, optim.sgd(1e6), data, epochs=9, batch_size=4)
    # θ − 1 grows by 1 − 2·10⁶ a step, so its square exceeds 3.4·10³⁸ at step 4 (epoch 2).
    assert "the loss is inf at step 4 (epoch 2)" in str(caught.value)
    assert "lower the learning rate or clip" in str(caught.value)
    assert isinstance(caught.value, FloatingPointError)
    result = caught.value.result
    assert result.history["epoch"] == [1]
    assert int(result.state.step) >= 5
    assert not result.interrupted


def test_eight_devices_find_the_same_as_one():
    data = (np.tile(X, (2, 1))[:64], np.tile(Y, (2, 1))[:64])
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    rows = NamedSharding(mesh, PartitionSpec("data"))
    results = [
        fit(LINEAR, SGD, placed, epochs=5, batch_size=16, validation=placed)
        for placed in (data, jax.device_put(data, rows))
    ]
    for name in ("loss", "validation_loss"):
        one, eight = (result.history[name] for result in results)
        np.testing.assert_allclose(eight, one, rtol=1e-6)
    np.testing.assert_allclose(*(result.variables.params["w"] for result in results), rtol=1e-6)
    assert len(results[1].state.params["w"].sharding.device_set) == 8


def test_any_optax_transform_will_do():
    search = optax.chain(optax.sgd(1.0), optax.scale_by_backtracking_linesearch(20))
    with jax.enable_x64(True):  # optax's own search mixes dtypes in float32
        result = fit(LINEAR, search, (X.astype(float), Y.astype(float)), epochs=20, batch_size=40)
    assert result.history["loss"][-1] < 0.05
    assert "rate" not in result.history


@pytest.mark.parametrize(
    "n, batch_size, epochs, steps", [(100, 32, 2, 7), (8, 8, 3, 3), (9, 2, 1, 5)]
)
def test_steps_for_counts_the_steps_of_fit(n, batch_size, epochs, steps):
    assert train.steps_for(np.zeros((n, 1)), epochs=epochs, batch_size=batch_size) == steps


def test_steps_for_refuses_what_fit_refuses():
    with pytest.raises(ValueError, match="steps_for: epochs must be an integer of at least 1"):
        train.steps_for(np.zeros(8), epochs=0, batch_size=4)
    with pytest.raises(ValueError, match="steps_for: batch_size is 9 but there are only 8"):
        train.steps_for(np.zeros(8), epochs=1, batch_size=9)

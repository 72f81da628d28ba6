"""Going to a step again finds the state to the bit, and what was not finite there first."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn, optim, train

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(40, 3)).astype(np.float32)
Y = X.sum(1, keepdims=True)
MODEL = nn.serial(nn.dense(8), nn.tanh, nn.dropout(0.2), nn.dense(1))
OBJECTIVE = train.supervised(MODEL, nn.losses.squared_error)
ADAM = optim.adam(1e-2)


def test_the_state_is_the_runs_to_the_bit():
    whole = train.fit(OBJECTIVE, ADAM, (X, Y), epochs=3, batch_size=8, seed=4, progress=False)
    begin = train.init(OBJECTIVE, ADAM, (X, Y), seed=4)
    found = train.replay(OBJECTIVE, ADAM, (X, Y), begin, 15, batch_size=8)
    for a, b in zip(jax.tree.leaves(found.state), jax.tree.leaves(whole.state), strict=True):
        if not jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(found.rows, train.data.index(begin.data_key, 15, 8, 40))
    np.testing.assert_array_equal(found.batch[0], X[found.rows])
    assert found.parameters == found.examples == found.gradients == ()
    assert str(found) == "step 15: not finite:\n  nothing"


def overflowing(row):
    """Squared error, infinite in float32 for one row that no check of data could tell."""

    def loss(params, state, batch, ctx):
        x, y, ids = batch
        y_hat, state = MODEL.apply(params, state, x, ctx)
        return jnp.square(y_hat - y)[:, 0] / (ids - row).astype(jnp.float32), train.Aux(state, {})

    return train.Objective(lambda key, batch: MODEL.init(key, batch[0]), loss)


def test_the_row_that_overflows_is_named():
    objective, ids = overflowing(23), np.arange(40)
    data = X, Y, ids
    with pytest.raises(train.Diverged) as caught:
        train.fit(objective, ADAM, data, epochs=9, batch_size=8, progress=False)
    error = caught.value
    assert 23 in error.rows
    begin = train.init(objective, ADAM, data)
    found = train.replay(objective, ADAM, data, begin, error.step, batch_size=8)
    assert found.examples == (23,)
    assert found.parameters == ()
    np.testing.assert_array_equal(found.rows, error.rows)
    assert "the loss of the rows: 23" in str(found)


def test_a_bad_gradient_under_a_good_loss_is_named():
    def loss(params, state, batch, ctx):
        return jnp.sqrt(jnp.abs(params["a"])) + 0 * batch + params["b"], train.Aux(state, {})

    params = {"a": jnp.zeros(()), "b": jnp.zeros(())}
    objective = train.Objective(lambda key, batch: nn.Variables(params, {}), loss)
    data = np.zeros(8, np.float32)
    begin = train.init(objective, optim.sgd(0.1), data)
    with pytest.raises(train.Diverged) as caught:
        train.fit(objective, optim.sgd(0.1), data, epochs=2, batch_size=4, progress=False)
    assert caught.value.step == 1
    first = train.replay(objective, optim.sgd(0.1), data, begin, 0, batch_size=4)
    assert (first.parameters, first.examples, first.gradients) == ((), (), ("a",))
    second = train.replay(objective, optim.sgd(0.1), data, begin, 1, batch_size=4)
    assert second.parameters == ("a",)
    assert len(second.examples) == 4


def test_errors():
    begin = train.init(OBJECTIVE, ADAM, (X, Y))
    later = begin._replace(step=jnp.int32(9))
    with pytest.raises(ValueError, match="the state is at step 9, past step 3"):
        train.replay(OBJECTIVE, ADAM, (X, Y), later, 3, batch_size=8)
    with pytest.raises(TypeError, match="replay: state: expected TrainState"):
        train.replay(OBJECTIVE, ADAM, (X, Y), None, 3, batch_size=8)

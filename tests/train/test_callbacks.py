"""What a callback sees and may do, and rows every so many steps."""

import functools

import jax
import numpy as np
import pytest

from laminax import nn, optim, train

X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
Y = X.sum(1, keepdims=True)
OBJECTIVE = train.supervised(nn.dense(1), nn.losses.squared_error)
SGD = optim.sgd(0.05)
fit = functools.partial(train.fit, OBJECTIVE, SGD, (X, Y), batch_size=12, progress=False)


def test_events_come_in_order_at_the_steps_of_the_rows():
    seen = []
    result = fit(epochs=3, callbacks=[lambda event, view: seen.append((event, view.step))])
    assert seen == [("start", 0), ("row", 4), ("row", 7), ("row", 10), ("end", 10)]
    assert result.history["step"] == [4, 7, 10]


def test_a_callback_sees_the_row_and_copies_of_the_state():
    kept = {}

    def keep(event, view):
        if event == "row":
            assert view.row == view.history.rows()[-1]
            kept[view.step] = view.state, view.variables

    fit(epochs=3, callbacks=[keep])
    for step, (state, variables) in kept.items():
        assert int(state.step) == step
        assert all(not leaf.is_deleted() for leaf in jax.tree.leaves((state, variables)))
        np.testing.assert_array_equal(state.params["w"], variables.params["w"])
    shorter = fit(epochs=2)
    np.testing.assert_array_equal(kept[7][0].params["w"], shorter.state.params["w"])
    assert not np.array_equal(kept[4][0].params["w"], kept[7][0].params["w"])


def test_a_callback_may_end_the_run():
    def stop(event, view):
        if view.step >= 7:
            view.stop()

    result = fit(epochs=30, callbacks=[stop])
    assert result.history["step"] == [4, 7]
    assert not result.interrupted


@pytest.mark.parametrize("every, steps", [(3, [3, 6, 9, 10]), (5, [5, 10]), (99, [10])])
def test_rows_every_so_many_steps(every, steps):
    result = fit(epochs=3, every=every, validation=(X, Y))
    assert result.history["step"] == steps
    np.testing.assert_allclose(result.history["epoch"], np.array(steps) * 12 / 40)
    whole = fit(epochs=3, validation=(X, Y))
    np.testing.assert_array_equal(result.state.params["w"], whole.state.params["w"])
    assert result.history["validation_loss"][-1] == whole.history["validation_loss"][-1]
    spans = np.diff([0, *steps])
    assert np.dot(result.history["loss"], spans) == pytest.approx(
        np.dot(whole.history["loss"], [4, 3, 3]), rel=1e-6
    )
    best = int(np.argmin(result.history["validation_loss"]))
    assert result.best.epoch == result.history["epoch"][best]


@pytest.mark.parametrize("value", [0, 1.5, True])
def test_every_is_a_count(value):
    with pytest.raises(ValueError, match="fit: every must be an integer of at least 1"):
        fit(every=value)


def test_callbacks_are_functions():
    with pytest.raises(TypeError, match="callbacks: expected Callable, got int"):
        fit(callbacks=[3])

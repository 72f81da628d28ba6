"""Optimizers around an optimizer, against their equations in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import optim

CURVATURE = np.array([1.0, 0.3, 0.05])
START = np.array([1.0, -2.0, 3.0])


def gradient(w):
    """Of a function that is neither quadratic nor flat."""
    return (
        CURVATURE * w + 0.1 * np.sin(w)
        if isinstance(w, np.ndarray)
        else (jnp.asarray(CURVATURE, w.dtype) * w + 0.1 * jnp.sin(w))
    )


def trajectory(optimizer, steps, dtype=jnp.float64):
    """The parameters after each step, and the state after the last."""

    def step(carry, _):
        w, state = carry
        updates, state = optimizer.update(gradient(w), state, w)
        w = optim.apply_updates(w, updates)
        return (w, state), (w, optim.evaluated(state, w))

    w = jnp.asarray(START, dtype)
    (_, state), rows = jax.lax.scan(step, (w, optimizer.init(w)), length=steps)
    return *rows, state


def test_lookahead_is_its_equations():
    with jax.enable_x64(True):
        got, _, _ = trajectory(optim.lookahead(optim.momentum(0.1, 0.8), 7, 0.3), 1000)
    w, slow, m, rows = START, START, 0.0, []
    for t in range(1, 1001):
        m = 0.8 * m + gradient(w)
        w = w - 0.1 * m
        if t % 7 == 0:
            slow = slow + 0.3 * (w - slow)
            w = slow
        rows.append(w)
    np.testing.assert_allclose(got, rows, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("scheduled", [False, True])
def test_schedule_free_is_its_equations(scheduled):
    with jax.enable_x64(True):
        rate = optim.warmup(0.5, 10) if scheduled else 0.5
        got, evaluated, state = trajectory(optim.schedule_free(optim.sgd(rate), 0.8), 1000)
    y, z, x, total = START, START, START, 0.0
    rows, means = [], []
    for t in range(1000):
        rate = 0.5 * min(1.0, (t + 1) / 11) if scheduled else 0.5
        total += rate**2
        z = z - rate * gradient(y)
        x = (1 - rate**2 / total) * x + rate**2 / total * z
        y = 0.2 * z + 0.8 * x
        rows.append(y), means.append(x)
    # The weights are float32, as the rates in the state are.
    tolerance = {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(got, rows, **tolerance)
    np.testing.assert_allclose(evaluated, means, **tolerance)
    assert not np.allclose(got, evaluated, atol=1e-4)
    assert int(state.mean.count) == 1000


def test_schedule_free_averages_in_float32_beside_bfloat16_parameters():
    w, mean, state = trajectory(optim.schedule_free(optim.sgd(0.01)), 200, jnp.bfloat16)
    assert w.dtype == mean.dtype == jnp.bfloat16
    assert state.leading.dtype == state.mean.average.dtype == jnp.float32
    exact, _, _ = trajectory(optim.schedule_free(optim.sgd(0.01)), 200, jnp.float32)
    np.testing.assert_allclose(w[-1].astype(float), exact[-1], rtol=0.02)


@pytest.mark.parametrize("wrap", [optim.lookahead, optim.schedule_free, optim.skip_nonfinite])
def test_extra_arguments_reach_the_optimizer_and_the_rate_is_read_through(wrap):
    import optax

    def update(updates, state, params=None, *, value, **extra):
        return jax.tree.map(lambda u: u * value, updates), state

    scaled = optax.GradientTransformationExtraArgs(lambda params: (), update)
    optimizer, w = wrap(optim.chain(scaled, optim.sgd(0.1))), jnp.ones(1)
    updates, state = optimizer.update(w, optimizer.init(w), w, value=jnp.float32(2.0))
    np.testing.assert_allclose(updates, [-0.2], rtol=1e-6)
    np.testing.assert_allclose(optim.rate(state), 0.1, rtol=1e-6)


def test_wrapped_states_share_no_buffer_with_the_parameters():
    w = jnp.arange(3.0)
    for wrap in (optim.lookahead, optim.schedule_free):
        for init in (wrap(optim.sgd(0.1)).init, jax.jit(wrap(optim.sgd(0.1)).init)):
            kept = [leaf for leaf in jax.tree.leaves(init(w)) if leaf.shape == (3,)]
            pointers = {leaf.unsafe_buffer_pointer() for leaf in (w, *kept)}
            assert len(pointers) == 1 + len(kept)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: optim.lookahead(optim.sgd(0.1), 0), ValueError, "lookahead: every is 0"),
        (lambda: optim.lookahead(optim.sgd(0.1), 2.5), TypeError, "lookahead: every is 2.5"),
        (lambda: optim.lookahead(optim.sgd(0.1), 2, 0.0), ValueError, "lookahead: slow_rate is 0"),
        (lambda: optim.schedule_free(optim.sgd(0.1), 1.0), ValueError, "schedule_free: decay is 1"),
    ],
)
def test_unusable_arguments_are_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize("wrap", [optim.lookahead, optim.schedule_free])
def test_without_parameters_the_error_says_so(wrap):
    optimizer = wrap(optim.sgd(0.1))
    with pytest.raises(ValueError, match=rf"{wrap.__name__}: params is None"):
        optimizer.update(jnp.ones(2), optimizer.init(jnp.ones(2)))

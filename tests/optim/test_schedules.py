"""Schedules against their closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import optim

T = np.arange(0, 140)


def cosine(t, rate, steps, end):
    return end + 0.5 * (rate - end) * (1 + np.cos(np.pi * np.minimum(t, steps) / steps))


FORMS = {
    "constant": (optim.constant(0.3), np.full(T.shape, 0.3)),
    "cosine": (optim.cosine(0.3, 100), cosine(T, 0.3, 100, 0.0)),
    "cosine to an end": (optim.cosine(0.3, 100, end=0.1), cosine(T, 0.3, 100, 0.1)),
    "warmup to a number": (optim.warmup(0.3, 9), np.minimum((T + 1) / 10, 1) * 0.3),
    "warmup to cosine": (
        optim.warmup(optim.cosine(0.3, 100), 20),
        np.where(T < 20, 0.3 * (T + 1) / 21, cosine(np.maximum(T - 20, 0), 0.3, 100, 0.0)),
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_values_are_those_of_the_closed_form(name):
    schedule, expected = FORMS[name]
    one_by_one = [schedule(jnp.asarray(t, jnp.int32)) for t in T[::7]]
    np.testing.assert_allclose(one_by_one, expected[::7], rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(schedule(jnp.asarray(T)), expected, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(schedule(int(T[5])), expected[5], rtol=1e-5)


@pytest.mark.parametrize("name", FORMS)
def test_float64_is_exact(name):
    schedule, expected = FORMS[name]
    with jax.enable_x64(True):
        np.testing.assert_allclose(schedule(jnp.asarray(T)), expected, rtol=1e-12, atol=1e-16)


def test_the_last_rate_is_exactly_the_end():
    assert float(optim.cosine(0.3, 100)(100)) == 0.0
    assert float(optim.cosine(0.3, 100)(10**6)) == 0.0


def test_warmup_hands_over_without_a_jump_or_a_step_at_rate_zero():
    schedule = optim.warmup(optim.cosine(0.5, 50), 4)
    rises = np.diff([float(schedule(t)) for t in range(5)])
    assert float(schedule(0)) == pytest.approx(0.1)
    np.testing.assert_allclose(rises, 0.1, rtol=1e-5)
    assert float(schedule(4)) == 0.5


def test_warmup_asks_the_schedule_for_whole_steps_from_zero():
    """A schedule that indexes a table works behind a warm-up."""
    table = np.array([1.0, 0.5, 0.25], np.float32)
    schedule = optim.warmup(lambda step: jnp.asarray(table)[step], 2)
    np.testing.assert_allclose([schedule(t) for t in (2, 3, 4)], table)


def test_every_argument_may_be_traced(compiles):
    def rates(rate, steps, end, rise):
        return optim.warmup(optim.cosine(rate, steps, end=end), rise)(jnp.arange(60))

    traced = jax.jit(jax.vmap(rates))
    arguments = (
        jnp.array([0.1, 0.2, 0.3]),
        jnp.array([10, 20, 40]),
        jnp.array([0.0, 0.1, 0.0]),
        jnp.array([1, 5, 10]),
    )
    batch = traced(*arguments)
    for row, (rate, steps, end, rise) in zip(batch, zip(*arguments, strict=True), strict=True):
        alone = rates(float(rate), int(steps), float(end), int(rise))
        np.testing.assert_allclose(row, alone, rtol=1e-6, atol=1e-8)
    traced(*(argument[::-1] for argument in arguments))
    assert compiles.count("jit(rates)") == 1


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: optim.constant(0.0), ValueError, "constant: rate is 0.0; .*above 0"),
        (lambda: optim.constant(-1.0), ValueError, "constant: rate is -1.0"),
        (lambda: optim.constant(float("nan")), ValueError, "constant: rate is nan"),
        (lambda: optim.cosine(-0.1, 10), ValueError, "cosine: rate is -0.1"),
        (lambda: optim.cosine(0.1, 0), ValueError, "cosine: steps is 0; .*1 or above"),
        (lambda: optim.cosine(0.1, -5), ValueError, "cosine: steps is -5"),
        (lambda: optim.cosine(0.1, 1e3), TypeError, "cosine: steps is 1000.0; .*whole number"),
        (lambda: optim.cosine(0.1, 10, end=-0.1), ValueError, "cosine: end is -0.1"),
        (lambda: optim.cosine(0.1, 10, end=float("inf")), ValueError, "cosine: end is inf"),
        (lambda: optim.warmup(0.1, 0), ValueError, "warmup: steps is 0"),
        (lambda: optim.warmup(0.1, 2.5), TypeError, "warmup: steps is 2.5"),
        (lambda: optim.warmup(-0.1, 5), ValueError, "warmup: rate is -0.1"),
        (lambda: optim.warmup(lambda step: float("nan"), 5), ValueError, "warmup: the schedule's"),
    ],
)
def test_unusable_arguments_are_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()

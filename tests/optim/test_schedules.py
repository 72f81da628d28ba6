"""Schedules against their closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import optim

T = np.arange(0, 140)


def cosine(t, rate, steps, end):
    return end + 0.5 * (rate - end) * (1 + np.cos(np.pi * np.minimum(t, steps) / steps))


def triangle(t, rate, steps, low):
    return low + (rate - low) * np.interp(t % (2 * steps), [0, steps, 2 * steps], [0, 1, 0])


def restarts(t, rate, steps, growth, end):
    """The periods laid one after another."""
    periods = [steps * growth**i for i in range(20)]
    return np.concatenate([cosine(np.arange(n), rate, n, end) for n in periods])[t]


FORMS = {
    "constant": (optim.constant(0.3), np.full(T.shape, 0.3)),
    "cosine": (optim.cosine(0.3, 100), cosine(T, 0.3, 100, 0.0)),
    "cosine to an end": (optim.cosine(0.3, 100, end=0.1), cosine(T, 0.3, 100, 0.1)),
    "warmup to a number": (optim.warmup(0.3, 9), np.minimum((T + 1) / 10, 1) * 0.3),
    "warmup to cosine": (
        optim.warmup(optim.cosine(0.3, 100), 20),
        np.where(T < 20, 0.3 * (T + 1) / 21, cosine(np.maximum(T - 20, 0), 0.3, 100, 0.0)),
    ),
    "joined": (
        optim.join([0.3, optim.cosine(0.2, 50), optim.polynomial(0.1, 30, end=0.01)], [20, 90]),
        np.select(
            [T < 20, T < 90],
            [0.3, cosine(np.maximum(T - 20, 0), 0.2, 50, 0.0)],
            0.1 - 0.09 * np.clip((T - 90) / 30, 0, 1),
        ),
    ),
    "inverse time": (optim.inverse_time(0.3, 0.1), 0.3 / (1 + 0.1 * T)),
    "inverse time to a power": (
        optim.inverse_time(0.3, 0.1, power=0.75),
        0.3 / (1 + 0.1 * T) ** 0.75,
    ),
    # Vaswani's equation 3 with d = 64 and 40 steps of warm-up
    "inverse square root": (
        optim.inverse_sqrt((64 * 40) ** -0.5, 40),
        64**-0.5 * np.minimum((T + 1.0) ** -0.5, (T + 1) * 40**-1.5),
    ),
    "exponential": (optim.exponential(0.3, 10, 0.5), 0.3 * 0.5 ** (T / 10)),
    "step": (optim.step(0.3, 10, 0.5), 0.3 * 0.5 ** (T // 10)),
    "multistep": (
        optim.multistep(0.3, [3, 50], 0.5),
        0.3 * np.where(T < 3, 1, np.where(T < 50, 0.5, 0.25)),
    ),
    "polynomial": (
        optim.polynomial(0.3, 100, power=1.7, end=0.1),
        0.1 + 0.2 * (1 - np.minimum(T / 100, 1)) ** 1.7,
    ),
    "linear": (optim.polynomial(0.3, 100), 0.3 * (1 - np.minimum(T / 100, 1))),
    "cyclic": (optim.cyclic(0.3, 17, low=0.1), triangle(T, 0.3, 17, 0.1)),
    "warm restarts": (optim.warm_restarts(0.3, 7, end=0.1), restarts(T, 0.3, 7, 1, 0.1)),
    "warm restarts that grow": (
        optim.warm_restarts(0.3, 7, growth=2, end=0.1),
        restarts(T, 0.3, 7, 2, 0.1),
    ),
    # up to step 29, down to step 99
    "one cycle": (
        optim.one_cycle(0.3, 100, div_factor=10.0, final_div_factor=100.0),
        np.where(
            T < 29,
            0.3 - cosine(T, 0.27, 29, 0.0),
            cosine(np.maximum(T - 29, 0), 0.3, 70, 0.0003),
        ),
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


@pytest.mark.parametrize("steps", [1, 2, 3, 10])
def test_one_cycle_of_few_steps_keeps_between_its_peak_and_its_end(steps):
    rates = optim.one_cycle(0.5, steps, rise=0.5)(jnp.arange(steps + 3))
    assert float(jnp.max(rates)) <= 0.5 and float(jnp.min(rates)) >= 0.5 / 25e4 * 0.999
    np.testing.assert_allclose(rates[steps - 1 :], 0.5 / 25e4, rtol=1e-3)


def test_warm_restarts_restart_exactly_at_late_steps():
    """Where a logarithm of the step would round to the period before or after."""
    schedule = optim.warm_restarts(0.5, 3, growth=2)
    starts = 3 * (2 ** np.arange(1, 22) - 1)
    np.testing.assert_array_equal(schedule(jnp.asarray(starts)), 0.5)
    assert float(jnp.max(schedule(jnp.asarray(starts[3:] - 1)))) < 0.01


def test_a_schedule_joined_is_not_asked_for_steps_below_zero():
    asked = []

    def second(step):
        asked.append(int(jnp.min(step)))
        return jnp.sqrt(jnp.asarray(step, jnp.float32))

    schedule = optim.join([0.5, second], [4])
    np.testing.assert_allclose(schedule(jnp.arange(7)), [0.5, 0.5, 0.5, 0.5, 0, 1, 2**0.5])
    assert min(asked) == 0


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


# name -> (make, two rows of arguments, floats and whole numbers mixed)
TRACED = {
    "inverse_time": (
        lambda r, d, p: optim.inverse_time(r, d, power=p),
        [(0.1, 0.5, 1.0), (1.0, 0.1, 0.7)],
    ),
    "inverse_sqrt": (optim.inverse_sqrt, [(0.1, 4), (0.2, 9)]),
    "exponential": (optim.exponential, [(0.1, 4, 0.5), (0.2, 9, 0.1)]),
    "step": (optim.step, [(0.1, 4, 0.5), (0.2, 9, 0.1)]),
    "multistep": (
        lambda r, a, b, f: optim.multistep(r, [a, b], f),
        [(0.1, 4, 9, 0.5), (0.2, 1, 30, 0.1)],
    ),
    "polynomial": (
        lambda r, n, p, e: optim.polynomial(r, n, power=p, end=e),
        [(0.1, 4, 1.0, 0.01), (0.2, 50, 2.0, 0.0)],
    ),
    "one_cycle": (
        lambda r, n, s, d, f: optim.one_cycle(r, n, rise=s, div_factor=d, final_div_factor=f),
        [(0.1, 4, 0.0, 2.0, 9.0), (0.2, 50, 0.3, 25.0, 1e4)],
    ),
    "cyclic": (lambda r, n, low: optim.cyclic(r, n, low=low), [(0.1, 4, 0.01), (0.2, 9, 0.0)]),
    "warm_restarts": (
        lambda r, n, g, e: optim.warm_restarts(r, n, growth=g, end=e),
        [(0.1, 4, 1, 0.01), (0.2, 3, 2, 0.0)],
    ),
    "join": (lambda a, b, n: optim.join([a, b], [n]), [(0.1, 0.2, 4), (0.3, 0.4, 50)]),
}


@pytest.mark.parametrize("name", TRACED)
def test_every_argument_of_the_others_may_be_traced(name):
    make, rows = TRACED[name]
    columns = [jnp.array(column) for column in zip(*rows, strict=True)]
    batch = jax.jit(jax.vmap(lambda *row: make(*row)(jnp.arange(60))))(*columns)
    for traced, row in zip(batch, rows, strict=True):
        np.testing.assert_allclose(traced, make(*row)(jnp.arange(60)), rtol=2e-6, atol=1e-8)


def test_boundaries_may_be_one_array_and_traced():
    boundaries = jnp.array([3, 8])
    for make in (lambda b: optim.multistep(0.3, b), lambda b: optim.join([0.3, 0.2, 0.1], b)):
        traced = jax.jit(lambda b, make=make: make(b)(jnp.arange(12)))(boundaries)
        np.testing.assert_allclose(traced, make([3, 8])(jnp.arange(12)), rtol=1e-6)


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
        (lambda: optim.inverse_time(0.1, 0.0), ValueError, "inverse_time: decay is 0.0"),
        (lambda: optim.inverse_sqrt(0.1, 0), ValueError, "inverse_sqrt: steps is 0"),
        (lambda: optim.exponential(0.1, 0), ValueError, "exponential: every is 0"),
        (lambda: optim.step(0.1, 1.5), TypeError, "step: every is 1.5"),
        (lambda: optim.step(0.1, 5, -0.1), ValueError, "step: factor is -0.1"),
        (lambda: optim.multistep(0.1, 30), ValueError, "multistep: boundaries are 30; .*row"),
        (lambda: optim.multistep(0.1, [30, 30]), ValueError, r"multistep: .*\[30, 30\].*above"),
        (lambda: optim.multistep(0.1, [0, 30]), ValueError, r"multistep: boundaries\[0\] is 0"),
        (lambda: optim.multistep(0.1, [3.5]), TypeError, r"multistep: boundaries\[0\] is 3.5"),
        (lambda: optim.polynomial(0.1, 9, power=0.0), ValueError, "polynomial: power is 0.0"),
        (lambda: optim.one_cycle(0.1, 9, rise=1.0), ValueError, "one_cycle: rise is 1.0"),
        (lambda: optim.cyclic(0.1, 9, low=-0.1), ValueError, "cyclic: low is -0.1"),
        (lambda: optim.warm_restarts(0.1, 9, growth=0), ValueError, "warm_restarts: growth is 0"),
        (lambda: optim.join([0.1, 0.2], [5, 6]), ValueError, "join: 2 schedules and 2 boundaries"),
        (lambda: optim.join([0.1, 0.2, 0.3], [6, 5]), ValueError, r"join: .*\[6, 5\].*above"),
        (lambda: optim.join([0.1, -0.2], [5]), ValueError, "join: rate is -0.2"),
        (lambda: optim.warmup(0.1, 0), ValueError, "warmup: steps is 0"),
        (lambda: optim.warmup(0.1, 2.5), TypeError, "warmup: steps is 2.5"),
        (lambda: optim.warmup(-0.1, 5), ValueError, "warmup: rate is -0.1"),
        (lambda: optim.warmup(lambda step: float("nan"), 5), ValueError, "warmup: the schedule's"),
    ],
)
def test_unusable_arguments_are_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()

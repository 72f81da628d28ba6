"""Every optimizer goes to the minimum: along a curved valley, at condition 10⁴, and through noise.

The minimizers of `curvature` are put to the first two in their own tests.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import optim
from laminax.optim import curvature

START = (3.0, -1.0, 2.0, -2.0)
VALLEY_STEPS, BOWL_STEPS, DRAWS = 20_000, 50_000, 4_000


class Way(NamedTuple):
    """An optimizer, made from a schedule, with the rates it is given and how near it comes."""

    make: Callable
    falls: bool  # to 0 along half a cosine in the valley and in the bowl, where no noise is
    valley: tuple[float, float]  # rate, distance
    bowl: tuple[float, float]
    noise: float | None  # rate of step 0; None: it is for all examples at once


WAYS = {
    "sgd": Way(optim.sgd, False, (1.8e-3, 1e-5), (1.8, 1e-3), 0.18),
    "momentum": Way(optim.momentum, False, (1e-3, 1e-12), (1.8, 1e-11), 0.018),
    "velocity": Way(optim.momentum_velocity, False, (1e-3, 1e-12), (1.8, 1e-11), 0.018),
    "average": Way(optim.momentum_average, False, (1e-2, 1e-12), (18.0, 1e-11), 0.18),
    "nesterov": Way(optim.nesterov, False, (8e-4, 1e-12), (0.8, 1e-11), 0.018),
    "rprop": Way(lambda rate: optim.rprop(rate(0)), False, (0.08, 3e-3), (0.18, 5e-3), None),
    "adagrad": Way(optim.adagrad, False, (0.8, 1e-6), (3.9, 1e-11), 0.8),
    "rmsprop": Way(optim.rmsprop, True, (1e-3, 1e-5), (0.04, 1e-11), 0.04),
    "rmsprop_momentum": Way(
        lambda rate: optim.rmsprop(rate, momentum=0.9), True, (1e-4, 1e-10), (1e-4, 1e-10), 4e-3
    ),
    "adadelta": Way(optim.adadelta, True, (0.08, 1e-4), (18.0, 1e-9), 18.0),
    "adam": Way(optim.adam, True, (0.01, 1e-12), (2e-3, 1e-11), 0.04),
    "adamw": Way(optim.adamw, True, (4e-3, 1e-3), (1e-3, 1e-4), 0.04),
    "nadam": Way(optim.nadam, True, (4e-3, 1e-11), (2e-3, 1e-11), 0.04),
    "radam": Way(optim.radam, True, (2e-3, 1e-11), (2e-3, 1e-11), 0.08),
    "lion": Way(optim.lion, True, (9e-4, 1e-5), (4e-3, 1e-4), 0.018),
    "lars": Way(optim.lars, True, (0.4, 1e-6), (0.04, 1e-8), 4.0),
    "lamb": Way(optim.lamb, True, (4e-3, 1e-7), (1e-3, 1e-7), 0.018),
    "muon": Way(optim.muon, True, (1e-3, 1e-7), (1e-3, 1e-5), 0.018),
    "adafactor": Way(optim.adafactor, True, (4e-3, 1e-4), (0.04, 1e-11), 0.04),
    "lookahead": Way(
        lambda rate: optim.lookahead(optim.adam(rate)), True, (0.01, 1e-11), (2e-3, 1e-11), 0.08
    ),
    "schedule_free": Way(
        lambda rate: optim.schedule_free(optim.adam(rate, b1=0.0)),
        False,
        (8e-3, 2e-3),
        (8e-3, 1e-5),
        0.04,
    ),
}
FIXED_SIZE = ["lion", "lamb", "muon"]


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def valley(x, _):
    """Rosenbrock's function of each row; its minimum is at 1."""
    along, across = x[..., 0], x[..., 1]
    return jnp.sum((1.0 - along) ** 2 + 100.0 * (across - along**2) ** 2)


def bowl(condition):
    """½ (x − c)ᵀ A (x − c) of four variables, A of that condition and turned from the axes."""
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    matrix = jnp.asarray(basis * np.geomspace(1.0, 1.0 / condition, 4) @ basis.T)

    def f(x, center):
        apart = x.ravel() - center
        return 0.5 * apart @ matrix @ apart

    return f


def draws(series):
    """Centers whose mean is 1: (series, draws, 4)."""
    return jnp.asarray(1.0 + np.random.default_rng(1).normal(size=(series, DRAWS, 4)))


def as_rows(name, x):
    """Muon is for matrices."""
    return x.reshape(-1, 2) if name == "muon" else x


def distances(f, optimizer, start, centers, goal=1.0):
    """Of each series of centers, how far from the goal a step on f(x, center) for each leads."""

    def distance(centers):
        def step(carry, center):
            x, state = carry
            updates, state = optimizer.update(jax.grad(f)(x, center), state, x)
            return (optim.apply_updates(x, updates), state), None

        (x, state), _ = jax.lax.scan(step, (start, optimizer.init(start)), centers)
        return jnp.linalg.norm(optim.evaluated(state, x).ravel() - goal)

    return jax.jit(jax.vmap(distance))(centers)


def along_the_valley(name, rate, falls):
    start = [[-1.2, 1.0], [0.5, 2.0]] if name == "muon" else [-1.2, 1.0]
    optimizer = WAYS[name].make(optim.cosine(rate, VALLEY_STEPS, end=0.0 if falls else rate))
    return distances(valley, optimizer, jnp.array(start), jnp.ones((1, VALLEY_STEPS)))[0]


def through_noise(name, schedule):
    """Root mean square distance of eight series, as a multiple of that of the draws' mean."""
    centers, optimizer = draws(8), WAYS[name].make(schedule)
    found = distances(bowl(10.0), optimizer, as_rows(name, jnp.array(START)), centers)
    best = jnp.linalg.norm(centers.mean(1) - 1.0, axis=1)
    return jnp.sqrt(jnp.mean(found**2) / jnp.mean(best**2))


@pytest.mark.parametrize("name", WAYS)
def test_the_end_of_the_valley_is_found(name):
    rate, near = WAYS[name].valley
    assert along_the_valley(name, rate, WAYS[name].falls) < near


@pytest.mark.parametrize("name", FIXED_SIZE)
def test_a_step_of_fixed_size_comes_no_nearer_than_that_unless_the_rate_falls(name):
    rate, near = WAYS[name].valley
    assert along_the_valley(name, rate, False) > 100 * near


@pytest.mark.parametrize("name", WAYS)
def test_a_condition_of_ten_thousand_is_overcome(name):
    make, falls, _, (rate, near), _ = WAYS[name]
    optimizer = make(optim.cosine(rate, BOWL_STEPS, end=0.0 if falls else rate))
    start = as_rows(name, jnp.array(START))
    assert distances(bowl(1e4), optimizer, start, jnp.ones((1, BOWL_STEPS)))[0] < near


@pytest.mark.parametrize("name", [name for name in WAYS if WAYS[name].noise])
def test_noise_dies_under_a_robbins_monro_schedule(name):
    schedule = optim.inverse_time(WAYS[name].noise, 0.01)
    assert optim.is_robbins_monro(schedule)
    # schedule_free averages the path instead, at a constant rate.
    assert through_noise(name, WAYS[name].noise if name == "schedule_free" else schedule) < 4


@pytest.mark.parametrize("name", ["sgd", "adam", "lion"])
def test_noise_stays_under_a_constant_rate(name):
    assert through_noise(name, WAYS[name].noise) > 8


ALL_AT_ONCE = {
    "cg": curvature.minimize_cg,
    "bfgs": curvature.minimize_bfgs,
    "lbfgs": curvature.minimize_lbfgs,
    "newton": curvature.minimize_newton,
}


@pytest.mark.parametrize("name", ALL_AT_ONCE)
def test_the_minimum_over_all_draws_is_their_mean(name):
    centers, f = draws(1)[0], bowl(10.0)
    mean_loss = lambda x: jax.vmap(f, (None, 0))(x, centers).mean()  # noqa: E731
    minimum = ALL_AT_ONCE[name](mean_loss, jnp.array(START), tolerance=1e-9)
    np.testing.assert_allclose(minimum.x, centers.mean(0), atol=1e-7)


def test_rprop_finds_the_minimum_over_all_draws():
    mean = draws(1)[0].mean(0)
    centers = jnp.broadcast_to(mean, (1, 1000, 4))
    assert distances(bowl(10.0), optim.rprop(0.1), jnp.array(START), centers, mean)[0] < 1e-5

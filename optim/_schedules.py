"""Schedules: functions from the step t = 0, 1, 2, ... to a learning rate.

    constant   η(t) = η
    cosine     η(t) = η_end + ½ (η − η_end) (1 + cos(π min(t, T) / T))
    warmup     η(t) = η(0) (t + 1) / (N + 1)  for t < N,  then the schedule from its own step 0

A schedule is a pure function, so any function of the step will do. Those made here take one step
or an array of steps, and accept JAX tracers for the step and for every argument: a sweep over rates
or lengths is one compiled program.
"""

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ._checks import check_nonnegative, check_positive, check_steps

Schedule: TypeAlias = Callable[[ArrayLike], ArrayLike]
"""step -> learning rate; the optimizers call it with an int32 scalar."""


def constant(rate: ArrayLike) -> Schedule:
    """The same learning rate at every step: η(t) = η.

    Raises ValueError for a rate that is not above 0 and finite.

    >>> float(constant(0.5)(1000))
    0.5
    """
    check_positive("constant", "rate", rate, "1e-3")
    return lambda step: jnp.full(jnp.shape(step), _real(rate))


def cosine(rate: ArrayLike, steps: ArrayLike, *, end: ArrayLike = 0.0) -> Schedule:
    """A rate that falls along half a cosine: η(t) = end + ½ (rate − end)(1 + cos(π min(t, T) / T)).

    `rate` is the rate at step 0, `end` the rate from step T = `steps` on. Raises ValueError for a
    rate that is not above 0, a negative end or steps below 1; TypeError for steps not an int.

    >>> schedule = cosine(0.5, 100)
    >>> [round(float(schedule(t)), 3) for t in (0, 50, 100, 1000)]
    [0.5, 0.25, 0.0, 0.0]

    Source: Loshchilov and Hutter, SGDR: stochastic gradient descent with warm restarts, 2017.
    """
    check_positive("cosine", "rate", rate, "1e-3")
    check_nonnegative("cosine", "end", end, "0.0")
    check_steps("cosine", "steps", steps, "10_000")

    def schedule(step: ArrayLike) -> jax.Array:
        done = jnp.minimum(_real(step) / _real(steps), 1.0)
        fall = 0.5 * (1.0 + jnp.cos(jnp.pi * done))
        return _real(end) + (_real(rate) - _real(end)) * fall

    return schedule


def warmup(schedule: ArrayLike | Schedule, steps: ArrayLike) -> Schedule:
    """A linear rise over the first steps, then the given schedule from its own step 0.

    η(t) = η(0) (t + 1) / (N + 1) for t < N = `steps`, and schedule(t − N) from there on: no step is
    spent at rate 0, and step N is the schedule's first. A number stands for a constant schedule.
    A run of S steps in all therefore reads `warmup(cosine(rate, S - N), N)`. Raises ValueError for
    steps below 1, TypeError for steps not an int.

    >>> schedule = warmup(cosine(0.5, 100), 4)
    >>> [round(float(schedule(t)), 3) for t in (0, 1, 3, 4, 54, 104)]
    [0.1, 0.2, 0.4, 0.5, 0.25, 0.0]

    Source: Goyal et al., Accurate, large minibatch SGD, 2017.
    """
    check_steps("warmup", "steps", steps, "500")
    after = as_schedule("warmup", schedule)

    def ramp(step: ArrayLike) -> jax.Array:
        step, length = jnp.asarray(step, jnp.int32), jnp.asarray(steps, jnp.int32)
        risen = jnp.minimum(_real(step + 1) / _real(length + 1), 1.0)
        return risen * _real(after(jnp.maximum(step - length, 0)))

    return ramp


def as_schedule(where: str, rate: ArrayLike | Schedule) -> Schedule:
    """A checked schedule from a number or a function of the step; errors name `where`."""
    if not callable(rate):
        check_positive(where, "rate", rate, "1e-3")
        return constant(rate)
    first = rate(jnp.zeros((), jnp.int32))
    check_nonnegative(where, "the schedule's rate at step 0", first)
    return rate


def _real(value: ArrayLike) -> jax.Array:
    """The value in JAX's default float type, so that int steps and traced arguments mix."""
    return jnp.asarray(value, dtype=float)

"""Schedules: functions from the step t = 0, 1, 2, ... to a learning rate.

    constant   η(t) = η
    join       η(t) = ηᵢ(t − Bᵢ)  for Bᵢ ≤ t < Bᵢ₊₁
    warmup     η(t) = η(0) (t + 1) / (N + 1)  for t < N,  then the schedule from its own step 0

A schedule is a pure function, so any function of the step will do. Those made here, in `_decays`
and in `_cycles` take one step or an array of steps, and accept JAX tracers for the step and for
every argument: a sweep over rates or lengths is one compiled program.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ._checks import check_boundaries, check_nonnegative, check_positive, check_steps

Schedule: TypeAlias = Callable[[ArrayLike], ArrayLike]
"""step -> learning rate; the optimizers call it with an int32 scalar."""


def constant(rate: ArrayLike) -> Schedule:
    """The same learning rate at every step: η(t) = η.

    Raises ValueError for a rate that is not above 0 and finite.

    >>> float(constant(0.5)(1000))
    0.5
    """
    check_positive("constant", "rate", rate, "1e-3")
    return lambda step: jnp.full(jnp.shape(step), real(rate))


def join(
    schedules: Sequence[ArrayLike | Schedule], boundaries: Sequence[ArrayLike] | jax.Array
) -> Schedule:
    """Schedules one after another, each from its own step 0: η(t) = ηᵢ(t − Bᵢ) for Bᵢ ≤ t < Bᵢ₊₁.

    `boundaries` are the steps B₁ < B₂ < ... at which the second and later schedules begin, one
    fewer than the schedules. A number stands for a constant schedule. Raises ValueError for
    boundaries that do not rise from 1 or above or are not one fewer; TypeError for one that is no
    int.

    >>> from laminax.optim import cosine
    >>> schedule = join([0.5, 0.25, cosine(0.1, 20)], [10, 20])
    >>> [round(float(schedule(t)), 3) for t in (0, 9, 10, 19, 20, 30, 40)]
    [0.5, 0.5, 0.25, 0.25, 0.1, 0.05, 0.0]
    """
    parts = [as_schedule("join", schedule) for schedule in schedules]
    check_boundaries("join", boundaries)
    if len(boundaries) != len(parts) - 1:
        raise ValueError(
            f"join: {len(parts)} schedules and {len(boundaries)} boundaries; expected one boundary "
            f"between each two schedules, such as join([0.1, cosine(0.1, 900)], [100])."
        )

    def schedule(step: ArrayLike) -> jax.Array:
        step = whole(step)
        rate = real(parts[0](step))
        for part, start in zip(parts[1:], map(whole, boundaries), strict=True):
            # Before its start a schedule is asked for step 0, for which every schedule is defined.
            rate = jnp.where(step < start, rate, real(part(jnp.maximum(step - start, 0))))
        return rate

    return schedule


def warmup(schedule: ArrayLike | Schedule, steps: ArrayLike) -> Schedule:
    """A linear rise over the first steps, then the given schedule from its own step 0.

    η(t) = η(0) (t + 1) / (N + 1) for t < N = `steps`, and schedule(t − N) from there on: no step is
    spent at rate 0, and step N is the schedule's first. A number stands for a constant schedule.
    A run of S steps in all therefore reads `warmup(cosine(rate, S - N), N)`. Raises ValueError for
    steps below 1, TypeError for steps not an int.

    >>> from laminax.optim import cosine
    >>> schedule = warmup(cosine(0.5, 100), 4)
    >>> [round(float(schedule(t)), 3) for t in (0, 1, 3, 4, 54, 104)]
    [0.1, 0.2, 0.4, 0.5, 0.25, 0.0]

    Source: Goyal et al., Accurate, large minibatch SGD, 2017.
    """
    check_steps("warmup", "steps", steps, "500")
    after = as_schedule("warmup", schedule)

    def rise(step: ArrayLike) -> jax.Array:
        return real(after(whole(0))) * (real(step) + 1.0) / (real(steps) + 1.0)

    return join([rise, after], [steps])


def as_schedule(where: str, rate: ArrayLike | Schedule) -> Schedule:
    """A checked schedule from a number or a function of the step; errors name `where`."""
    if not callable(rate):
        check_positive(where, "rate", rate, "1e-3")
        return constant(rate)
    first = rate(jnp.zeros((), jnp.int32))
    check_nonnegative(where, "the schedule's rate at step 0", first)
    return rate


def real(value: ArrayLike) -> jax.Array:
    """The value in JAX's default float type, so that int steps and traced arguments mix."""
    return jnp.asarray(value, dtype=float)


def whole(value: ArrayLike) -> jax.Array:
    """The value as int32, the type of the optimizers' counts."""
    return jnp.asarray(value, jnp.int32)

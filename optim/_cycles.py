"""Schedules that rise and fall.

one_cycle       half a cosine up from η / d to the peak η, then half a cosine down to η / (d f)
cyclic          η(t) = η_low + (η − η_low) (1 − |t mod 2n − n| / n), a triangle wave
warm_restarts   η(t) = η_end + ½ (η − η_end) (1 + cos(π s / Tᵢ)),  s steps into the i-th period
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ._checks import check_fraction, check_nonnegative, check_positive, check_steps
from ._decays import between, half_cosine
from ._schedules import Schedule, real, whole


def one_cycle(
    rate: ArrayLike,
    steps: ArrayLike,
    *,
    rise: ArrayLike = 0.3,
    div_factor: ArrayLike = 25.0,
    final_div_factor: ArrayLike = 1e4,
) -> Schedule:
    """One cycle: up to the peak `rate` along half a cosine, then down along another, far lower.

    With T = `steps` and P = T · `rise` − 1 the rate is η / d at step 0, η at step P, and
    η / (d f) from step T − 1 on, where d is `div_factor` and f `final_div_factor`; in between
    it follows half cosines. `rise`, in [0, 1), is the share of the steps before the peak. Raises
    ValueError for a rate or factor that is not above 0 and finite, a rise out of range or steps
    below 1; TypeError for steps not an int.

    >>> schedule = one_cycle(0.5, 10, rise=0.5, div_factor=5.0, final_div_factor=10.0)
    >>> [round(float(schedule(t)), 3) for t in (0, 2, 4, 9, 100)]
    [0.1, 0.3, 0.5, 0.01, 0.01]

    Source: Smith and Topin, Super-convergence, 2018; the half cosines as in fastai and PyTorch.
    """
    check_positive("one_cycle", "rate", rate, "0.1")
    check_steps("one_cycle", "steps", steps, "10_000")
    check_fraction("one_cycle", "rise", rise, "0.3")
    check_positive("one_cycle", "div_factor", div_factor, "25.0")
    check_positive("one_cycle", "final_div_factor", final_div_factor, "1e4")

    def schedule(step: ArrayLike) -> jax.Array:
        first = real(rate) / real(div_factor)
        peak = real(rise) * real(steps) - 1.0
        # A peak at or before step 0 leaves no rise; 1 stands for it where it would divide.
        risen = real(step) / jnp.where(peak > 0.0, peak, 1.0)
        fallen = jnp.minimum((real(step) - peak) / (real(steps) - 1.0 - peak), 1.0)
        up = between(rate, first, half_cosine(risen))
        down = between(first / real(final_div_factor), rate, half_cosine(fallen))
        return jnp.where(real(step) < peak, up, down)

    return schedule


def cyclic(rate: ArrayLike, steps: ArrayLike, *, low: ArrayLike = 0.0) -> Schedule:
    """A triangle wave between `low` and `rate`: η(t) = low + (rate − low)(1 − |t mod 2n − n| / n).

    It begins at `low` and takes n = `steps` steps up to `rate` and as many down. Raises ValueError
    for a rate that is not above 0, a negative low or steps below 1; TypeError for steps not an int.

    >>> schedule = cyclic(0.5, 10, low=0.1)
    >>> [round(float(schedule(t)), 3) for t in (0, 5, 10, 15, 20, 30)]
    [0.1, 0.3, 0.5, 0.3, 0.1, 0.5]

    Source: Smith, Cyclical learning rates for training neural networks, 2017.
    """
    check_positive("cyclic", "rate", rate, "0.1")
    check_steps("cyclic", "steps", steps, "2000")
    check_nonnegative("cyclic", "low", low, "0.01")

    def schedule(step: ArrayLike) -> jax.Array:
        away = jnp.abs(whole(step) % (2 * whole(steps)) - whole(steps))
        return between(low, rate, 1.0 - real(away) / real(steps))

    return schedule


def warm_restarts(
    rate: ArrayLike, steps: ArrayLike, *, growth: ArrayLike = 1, end: ArrayLike = 0.0
) -> Schedule:
    """Half cosines from `rate` toward `end`, one after another, each `growth` times as long.

    η(t) = end + ½ (rate − end)(1 + cos(π s / Tᵢ)), s steps into the i-th period of length Tᵢ;
    T₀ = `steps`, Tᵢ₊₁ = Tᵢ · `growth`. Raises ValueError for a rate that is not above 0, a negative
    end, or steps or growth below 1; TypeError for steps or growth not an int.

    >>> schedule = warm_restarts(0.5, 10, growth=2)
    >>> [round(float(schedule(t)), 3) for t in (0, 5, 10, 20, 30, 50)]
    [0.5, 0.25, 0.5, 0.25, 0.5, 0.25]

    Source: Loshchilov and Hutter, SGDR: stochastic gradient descent with warm restarts, 2017.
    """
    check_positive("warm_restarts", "rate", rate, "0.1")
    check_steps("warm_restarts", "steps", steps, "1000")
    check_steps("warm_restarts", "growth", growth, "2")
    check_nonnegative("warm_restarts", "end", end, "0.0")

    def schedule(step: ArrayLike) -> jax.Array:
        since, length = _period(step, steps, growth)
        return between(end, rate, half_cosine(since / length))

    return schedule


def _period(step: ArrayLike, steps: ArrayLike, growth: ArrayLike) -> tuple[jax.Array, jax.Array]:
    """The steps into the current period, and its length.

    Counted period by period, because logarithms round at the restarts.
    """
    step, steps, growth = real(step), real(steps), real(growth)
    # Periods that do not grow would take as many rounds as there were periods: take the remainder.
    since = jnp.where(growth == 1.0, step % steps, step)
    periods = (since, jnp.broadcast_to(steps, step.shape), jnp.broadcast_to(growth, step.shape))
    return jax.lax.while_loop(_over, _next_period, periods)[:2]


Periods = tuple[jax.Array, jax.Array, jax.Array]


def _over(periods: Periods) -> jax.Array:
    since, length, _ = periods
    return jnp.any(since >= length)


def _next_period(periods: Periods) -> Periods:
    since, length, growth = periods
    over = since >= length
    return jnp.where(over, since - length, since), jnp.where(over, length * growth, length), growth

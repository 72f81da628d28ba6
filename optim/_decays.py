"""Schedules that fall, from `rate` at step 0 (of `inverse_sqrt`: from its peak).

inverse_time   η(t) = η / (1 + λ t)ᵖ
inverse_sqrt   η(t) = η min(k / N, √(N / k)),  k = t + 1
exponential    η(t) = η γ^(t / n)
step           η(t) = η γ^⌊t / n⌋
multistep      η(t) = η γ^#{i : Bᵢ ≤ t}
polynomial     η(t) = η_end + (η − η_end) (1 − min(t, T) / T)ᵖ
cosine         η(t) = η_end + ½ (η − η_end) (1 + cos(π min(t, T) / T))
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ._checks import check_boundaries, check_nonnegative, check_positive, check_steps
from ._schedules import Schedule, real, whole


def inverse_time(rate: ArrayLike, decay: ArrayLike, *, power: ArrayLike = 1.0) -> Schedule:
    """A rate that falls as the inverse of time: η(t) = η / (1 + λ t)ᵖ.

    `decay` is λ > 0, `power` is p > 0. For ½ < p ≤ 1 it meets the conditions under which
    stochastic gradient descent converges, as `is_robbins_monro` tells. Raises ValueError for an
    argument that is not above 0 and finite.

    >>> schedule = inverse_time(0.5, 0.1)
    >>> [round(float(schedule(t)), 3) for t in (0, 10, 40)]
    [0.5, 0.25, 0.1]

    Source: Robbins and Monro, A stochastic approximation method, 1951.
    """
    check_positive("inverse_time", "rate", rate, "0.1")
    check_positive("inverse_time", "decay", decay, "1e-3")
    check_positive("inverse_time", "power", power, "1.0")
    return lambda step: real(rate) / (1.0 + real(decay) * real(step)) ** real(power)


def inverse_sqrt(rate: ArrayLike, steps: ArrayLike) -> Schedule:
    """The Transformer's schedule: a linear rise to `rate`, then a fall as 1 / √t.

    η(t) = η min(k / N, √(N / k)) with k = t + 1 and N = `steps`: the peak η is the rate of the
    N-th step. The paper's d^(−½) min(k^(−½), k N^(−3/2)) is the same with η = 1 / √(d N). Raises
    ValueError for a rate that is not above 0 and finite or steps below 1; TypeError for steps not
    an int.

    >>> schedule = inverse_sqrt(0.5, 4)
    >>> [round(float(schedule(t)), 3) for t in (0, 1, 3, 15, 63)]
    [0.125, 0.25, 0.5, 0.25, 0.125]

    Source: Vaswani et al., Attention is all you need, 2017, equation 3.
    """
    check_positive("inverse_sqrt", "rate", rate, "1e-3")
    check_steps("inverse_sqrt", "steps", steps, "4000")

    def schedule(step: ArrayLike) -> jax.Array:
        done = (real(step) + 1.0) / real(steps)
        return real(rate) * jnp.minimum(done, jax.lax.rsqrt(done))

    return schedule


def exponential(rate: ArrayLike, every: ArrayLike, factor: ArrayLike = 0.1) -> Schedule:
    """A rate that falls by a factor in every n steps, smoothly: η(t) = η γ^(t / n).

    `every` is n and `factor` γ > 0. Raises ValueError for a rate or factor that is not above 0 and
    finite or `every` below 1; TypeError for one that is not an int.

    >>> schedule = exponential(0.5, 10, 0.25)
    >>> [round(float(schedule(t)), 4) for t in (0, 5, 10, 20)]
    [0.5, 0.25, 0.125, 0.0312]
    """
    _check_steps("exponential", rate, every, factor)
    return lambda step: real(rate) * real(factor) ** (real(step) / real(every))


def step(rate: ArrayLike, every: ArrayLike, factor: ArrayLike = 0.1) -> Schedule:
    """A rate that falls by a factor after every n steps, at once: η(t) = η γ^⌊t / n⌋.

    `every` is n and `factor` γ > 0. Raises ValueError for a rate or factor that is not above 0 and
    finite or `every` below 1; TypeError for one that is not an int.

    >>> schedule = step(0.5, 10, 0.25)
    >>> [round(float(schedule(t)), 4) for t in (0, 9, 10, 20)]
    [0.5, 0.5, 0.125, 0.0312]
    """
    _check_steps("step", rate, every, factor)
    return lambda step: real(rate) * real(factor) ** real(whole(step) // whole(every))


def multistep(
    rate: ArrayLike, boundaries: Sequence[ArrayLike] | jax.Array, factor: ArrayLike = 0.1
) -> Schedule:
    """A rate that falls by a factor at each of some steps: η(t) = η γ^#{i : Bᵢ ≤ t}.

    `boundaries` are the steps B₁ < B₂ < ..., the first at the new rate, and `factor` is γ > 0.
    Raises ValueError for a rate or factor that is not above 0 and finite, or boundaries that do
    not rise from 1 or above; TypeError for a boundary that is not an int.

    >>> schedule = multistep(0.5, [10, 15], 0.25)
    >>> [round(float(schedule(t)), 4) for t in (0, 9, 10, 15, 100)]
    [0.5, 0.5, 0.125, 0.0312, 0.0312]

    Source: He et al., Deep residual learning for image recognition, 2016.
    """
    check_positive("multistep", "rate", rate, "0.1")
    check_boundaries("multistep", boundaries)
    check_positive("multistep", "factor", factor, "0.1")

    def schedule(step: ArrayLike) -> jax.Array:
        passed = sum((whole(step) >= whole(at)).astype(jnp.int32) for at in boundaries)
        return real(rate) * real(factor) ** real(passed)

    return schedule


def polynomial(
    rate: ArrayLike, steps: ArrayLike, *, power: ArrayLike = 1.0, end: ArrayLike = 0.0
) -> Schedule:
    """A rate that falls as a power of what is left: η(t) = end + (rate − end)(1 − min(t, T) / T)ᵖ.

    `rate` is the rate at step 0, `end` the rate from step T = `steps` on, `power` is p > 0; at its
    default 1 the schedule is linear. Raises ValueError for a rate or power that is not above 0, a
    negative end or steps below 1; TypeError for steps not an int.

    >>> schedule = polynomial(0.5, 100, power=2.0)
    >>> [round(float(schedule(t)), 4) for t in (0, 50, 100, 1000)]
    [0.5, 0.125, 0.0, 0.0]

    Source: Chen et al., DeepLab: semantic image segmentation with deep convolutional nets, 2017.
    """
    _check_fall("polynomial", rate, steps, end)
    check_positive("polynomial", "power", power, "1.0")
    return lambda step: between(end, rate, (1.0 - _done(step, steps)) ** real(power))


def cosine(rate: ArrayLike, steps: ArrayLike, *, end: ArrayLike = 0.0) -> Schedule:
    """A rate that falls along half a cosine: η(t) = end + ½ (rate − end)(1 + cos(π min(t, T) / T)).

    `rate` is the rate at step 0, `end` the rate from step T = `steps` on. Raises ValueError for a
    rate that is not above 0, a negative end or steps below 1; TypeError for steps not an int.

    >>> schedule = cosine(0.5, 100)
    >>> [round(float(schedule(t)), 3) for t in (0, 50, 100, 1000)]
    [0.5, 0.25, 0.0, 0.0]

    Source: Loshchilov and Hutter, SGDR: stochastic gradient descent with warm restarts, 2017.
    """
    _check_fall("cosine", rate, steps, end)
    return lambda step: between(end, rate, half_cosine(_done(step, steps)))


def between(low: ArrayLike, high: ArrayLike, share: jax.Array) -> jax.Array:
    """`low` where the share is 0, `high` where it is 1."""
    return real(low) + (real(high) - real(low)) * share


def half_cosine(done: jax.Array) -> jax.Array:
    """From 1 where nothing is done to 0 where all is: ½ (1 + cos(π · done))."""
    return 0.5 * (1.0 + jnp.cos(jnp.pi * done))


def _done(step: ArrayLike, steps: ArrayLike) -> jax.Array:
    return jnp.minimum(real(step) / real(steps), 1.0)


def _check_fall(where: str, rate: ArrayLike, steps: ArrayLike, end: ArrayLike) -> None:
    check_positive(where, "rate", rate, "1e-3")
    check_nonnegative(where, "end", end, "0.0")
    check_steps(where, "steps", steps, "10_000")


def _check_steps(where: str, rate: ArrayLike, every: ArrayLike, factor: ArrayLike) -> None:
    check_positive(where, "rate", rate, "0.1")
    check_steps(where, "every", every, "1000")
    check_positive(where, "factor", factor, "0.1")

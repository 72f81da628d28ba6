"""Whether a schedule meets the conditions of Robbins and Monro, told from its numbers.

Σ η(t) = ∞    the steps reach any distance
Σ η(t)² < ∞   their noise dies away
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from ._schedules import Schedule, as_schedule

_DECADES = (7, 8)  # 10⁷ to 10⁸ and 10⁸ to 10⁹: the last that int32 steps reach whole
_SAMPLES = 4096
_TOLERANCE = 0.01


def is_robbins_monro(schedule: ArrayLike | Schedule) -> bool:
    """Whether Σ η(t) = ∞ and Σ η(t)² < ∞, judged from the rates of steps 10⁷ to 10⁹.

    With these, stochastic gradient descent converges under the usual assumptions. Where the rate
    decays as t^(−p) they hold for ½ < p ≤ 1. A series whose terms over a decade of steps sum to a
    multiple 10^g of those over the decade before diverges for g ≥ 0 and converges for g < 0; g is
    measured for η and η² in float64, each decade by 4,096 steps spread evenly over it, and 0 is
    told from other numbers to 0.01. A number stands for a constant schedule. Not for use inside jit
    on traced arguments: the answer is a bool.

    The tail is assumed to go on as it was between 10⁷ and 10⁹, and no finite test can know. So it
    is wrong for what comes later (a `multistep` boundary at 10¹⁰, an `inverse_time` of decay below
    10⁻⁷), for powers above ½ or 1 by less than 0.01, and for logarithms at the edge:
    1 / √(t log t) passes although its squares diverge, 1 / (t log t) fails although it diverges.
    Raises ValueError for rates that are negative or not finite.

    >>> from laminax.optim import exponential, inverse_time
    >>> is_robbins_monro(inverse_time(0.1, 0.01)), is_robbins_monro(0.1)
    (True, False)
    >>> is_robbins_monro(inverse_time(0.1, 0.01, power=0.5)), is_robbins_monro(exponential(0.1, 10))
    (False, False)

    Source: Robbins and Monro, A stochastic approximation method, 1951.
    """
    schedule = as_schedule("is_robbins_monro", schedule)
    earlier, later = (_rates(schedule, decade) for decade in _DECADES)
    return bool(
        _growth(earlier, later) > -_TOLERANCE and _growth(earlier**2, later**2) < -_TOLERANCE
    )


def _rates(schedule: Schedule, decade: int) -> np.ndarray:
    """The rates at steps spread over 10^decade to 10^(decade + 1)."""
    edges = np.linspace(10**decade, 10 ** (decade + 1), _SAMPLES + 1)
    # One step anywhere in each stretch: a stride of its own would keep time with a period.
    share = np.random.default_rng(decade).random(_SAMPLES)
    steps = (edges[:-1] + share * np.diff(edges)).astype(np.int32)
    with jax.enable_x64(True):
        rates = np.asarray(jax.vmap(schedule)(jnp.asarray(steps)), np.float64)
    rates = np.broadcast_to(rates, steps.shape)
    wrong = ~((rates >= 0.0) & (rates < np.inf))
    if wrong.any():
        raise ValueError(
            f"is_robbins_monro: the schedule's rate at step {steps[wrong][0]} is "
            f"{rates[wrong][0]}; expected a finite number, 0 or above, at every step."
        )
    return rates


def _growth(earlier: np.ndarray, later: np.ndarray) -> float:
    """log₁₀ of how the sum over a decade compares with that before, −∞ where nothing is left."""
    if not later.sum() > 0.0:
        return -np.inf
    return float(1.0 + np.log10(later.mean()) - np.log10(earlier.mean()))

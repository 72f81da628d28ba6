"""The learning-rate finder: one short run whose rate rises from step to step.

    η(t) = η₀ (η₁ / η₀)^(t / (T − 1)),    t = 0 ... T − 1

At first the loss hardly moves, then it falls, at last it explodes. A good highest rate of a
schedule lies where it falls most steeply over log η.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from laminax._figure import figure as new_figure
from laminax.optim import Schedule

from ._check import check_kind, check_optimizer, checked_batch_size, checked_count, checked_data
from ._chunk import LONGEST, Program, chunk
from ._feed import Resident
from ._objective import Batch, Objective
from ._state import init

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SMOOTHING = 0.9
_EXPLODED = 4.0  # times the lowest loss


class RateCurve(NamedTuple):
    """What the finder saw.

    Attributes:
        rates: the rate of each step, up to where the loss exploded.
        losses: the loss of each step's batch, before its update.
        smooth: their exponential average, debiased.
        suggestion: the rate at which the smoothed loss falls most steeply.
    """

    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    smooth: NDArray[np.float64]
    suggestion: float


def find_rate(
    objective: Objective,
    optimizer: Callable[[Schedule], optax.GradientTransformation],
    data: Batch,
    *,
    lowest: float = 1e-6,
    highest: float = 1.0,
    steps: int = 200,
    batch_size: int = 128,
    seed: int = 0,
) -> RateCurve:
    """Train for some steps with a rate that rises from the lowest to the highest; see the loss.

    Nothing of that training is kept. It is one program.

    Args:
        objective: what to minimize.
        optimizer: from a schedule to the transform: `optim.adam`, or
            `lambda rate: optim.adamw(rate, weight_decay=0.1)`.
        data: a pytree of arrays with a common leading axis.
        lowest: the first rate.
        highest: the last rate, if the loss does not explode before.
        steps: how many, from 10 to 1,024.
        batch_size: examples a step.
        seed: decides parameters, data order and noise.

    Raises:
        TypeError, ValueError: bad arguments or data.

    >>> import jax.numpy as jnp
    >>> from laminax import nn, optim, train
    >>> x = jnp.linspace(-1, 1, 64)[:, None]
    >>> objective = train.supervised(nn.dense(1), nn.losses.squared_error)
    >>> curve = train.find_rate(objective, optim.sgd, (x, 3 * x), highest=10.0, batch_size=64)
    >>> 0.05 < curve.suggestion < 3.0
    True

    Source: Smith, Cyclical learning rates for training neural networks, 2017.
    """
    check_kind("find_rate", "objective", objective, Objective, "use train.supervised(model, loss)")
    size = checked_batch_size("find_rate", batch_size, checked_data("find_rate", data))
    objective.check(data)
    if not 0 < lowest < highest < np.inf:
        raise ValueError(
            f"find_rate: 0 < lowest < highest must hold, got {lowest=} and {highest=}; as 1e-6, 1.0"
        )
    if not 10 <= checked_count("find_rate", "steps", steps) <= LONGEST:
        raise ValueError(f"find_rate: steps must be from 10 to {LONGEST:,}, got {steps}")
    ratio = highest / lowest

    def rising(t: Any) -> Any:
        return jnp.float32(lowest) * jnp.float32(ratio) ** (jnp.float32(t) / (steps - 1))

    transform = optimizer(rising)
    check_optimizer("find_rate", transform)
    feed = Resident(data, None, size)
    state = init(objective, transform, data, seed=seed)
    program = Program(objective, transform, feed.take_batch)
    _, sums = chunk(program, state, feed.take(steps)[0], np.int32(steps))
    total, count = (np.asarray(part, np.float64)[:steps] for part in sums["loss"])
    return _curve(lowest * ratio ** (np.arange(steps) / (steps - 1)), total / count)


def plot_rates(curve: RateCurve) -> "Figure":
    """Draw the loss over the rate, and the rate suggested.

    Raises:
        ImportError: matplotlib is missing.
    """
    figure = new_figure(5.2, 3.2)
    axes = figure.subplots()
    axes.plot(curve.rates, curve.losses, color="#bbbbbb", linewidth=0.8, label="batch")
    axes.plot(curve.rates, curve.smooth, color="#4477aa", label="smoothed")
    axes.axvline(curve.suggestion, color="#ee6677", linestyle="--")
    axes.annotate(
        f" {curve.suggestion:.1e}", (curve.suggestion, 0.97), xycoords=("data", "axes fraction"),
        color="#ee6677", va="top",
    )  # fmt: skip
    low, high = curve.smooth.min(), curve.smooth[0]
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss")
    axes.set_ylim(low - 0.15 * (high - low), high + 0.6 * (high - low))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower left")
    return figure


def _curve(rates: NDArray[np.float64], losses: NDArray[np.float64]) -> RateCurve:
    smooth = np.empty_like(losses)
    mean = 0.0
    for t, loss in enumerate(losses):
        mean = _SMOOTHING * mean + (1 - _SMOOTHING) * loss
        smooth[t] = mean / (1 - _SMOOTHING ** (t + 1))
    lowest = np.minimum.accumulate(np.where(np.isfinite(smooth), smooth, np.inf))
    over = ~np.isfinite(smooth) | (smooth > lowest + (_EXPLODED - 1) * np.abs(lowest))
    end = max(int(np.argmax(over)) if over.any() else len(losses), 3)
    rates, losses, smooth = rates[:end], losses[:end], smooth[:end]
    fall = np.gradient(smooth, np.log(rates))
    return RateCurve(rates, losses, smooth, float(rates[np.argmin(fall)]))

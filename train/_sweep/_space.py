"""Settings to try: lists of dicts, by a grid or at random.

Random search tries as many values of each hyperparameter as there are settings, a grid only the
n-th root: where few of the hyperparameters matter, the former finds the better ones.
"""

import itertools
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from .._check import checked_count

Setting: TypeAlias = dict[str, Any]
"""The hyperparameters of one training by name, which `build` is called with."""


@dataclass(frozen=True)
class Distribution:
    """What one hyperparameter is drawn from: `uniform`, `log_uniform` or `choice`.

    Attributes:
        draw: a value from NumPy's generator.
        bound: the value nearest to a number that can be drawn; None where values have no order.
        name: how it was made.
    """

    draw: Callable[[np.random.Generator], Any]
    bound: Callable[[float], float] | None
    name: str

    def __repr__(self) -> str:
        return self.name


def grid(**values: Sequence[Any]) -> list[Setting]:
    """Return every combination of the values, the last name's running fastest.

    Raises:
        TypeError: values that are no sequence.
        ValueError: no names, or a name without values.

    >>> from laminax import train
    >>> train.grid(rate=[0.1, 0.01], width=[32, 64])[:3]
    [{'rate': 0.1, 'width': 32}, {'rate': 0.1, 'width': 64}, {'rate': 0.01, 'width': 32}]
    """
    if not values:
        raise ValueError("grid: got no names; give lists of values, such as rate=[0.1, 0.01]")
    listed = [_listed("grid", name, value) for name, value in values.items()]
    return [dict(zip(values, point, strict=True)) for point in itertools.product(*listed)]


def sample(n: int, /, seed: int = 0, **space: Distribution) -> list[Setting]:
    """Draw n settings, each hyperparameter from its distribution: random search.

    Each name draws from a stream of its own: one more name, or a larger n, changes none of the
    values drawn before.

    Args:
        n: how many settings.
        seed: of the draws, 0 ≤ seed < 2³².
        **space: distributions by name.

    Raises:
        TypeError: what is no distribution.
        ValueError: no names, n < 1, or a seed out of range.

    >>> from laminax import train
    >>> rate, width = train.log_uniform(1e-4, 1e-1), train.choice([8, 16])
    >>> settings = train.sample(100, rate=rate, width=width)
    >>> all(1e-4 <= s["rate"] <= 1e-1 and s["width"] in (8, 16) for s in settings)
    True

    Source: Bergstra and Bengio, Random search for hyper-parameter optimization, 2012.
    """
    checked_count("sample", "n", n)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(f"sample: seed must be an integer in [0, 2³²), got {seed!r}")
    check_space("sample", space)
    drawn = {}
    for name, distribution in space.items():
        generator = np.random.default_rng((seed, zlib.crc32(name.encode())))
        drawn[name] = [distribution.draw(generator) for _ in range(n)]
    return [dict(zip(drawn, point, strict=True)) for point in zip(*drawn.values(), strict=True)]


def uniform(low: float, high: float) -> Distribution:
    """Real numbers between low and high, each alike likely.

    Raises:
        ValueError: unless low < high, both finite.

    >>> from laminax import train
    >>> 0 <= train.sample(1, dropout=train.uniform(0, 0.5))[0]["dropout"] <= 0.5
    True
    """
    _check_range("uniform", low, high, -math.inf)
    return Distribution(
        lambda generator: float(generator.uniform(low, high)),
        lambda value: min(max(value, float(low)), float(high)),
        f"uniform({low}, {high})",
    )


def log_uniform(low: float, high: float) -> Distribution:
    """Real numbers between low and high whose logarithms are alike likely: for rates and decays.

    Raises:
        ValueError: unless 0 < low < high, both finite.

    >>> from laminax import train
    >>> import statistics
    >>> rates = [s["rate"] for s in train.sample(1000, rate=train.log_uniform(1e-4, 1e-2))]
    >>> 0.8e-3 < statistics.median(rates) < 1.2e-3
    True
    """
    _check_range("log_uniform", low, high, 0)
    ends = math.log(low), math.log(high)

    def bound(value: float) -> float:
        return min(max(value, float(low)), float(high))

    return Distribution(
        # The exponential of the logarithm of an end may lie an ulp beyond it.
        lambda generator: bound(math.exp(generator.uniform(*ends))),
        bound,
        f"log_uniform({low}, {high})",
    )


def choice(values: Sequence[Any]) -> Distribution:
    """One of the values, each alike likely.

    Raises:
        TypeError: no sequence.
        ValueError: no values.

    >>> from laminax import train
    >>> sorted({s["width"] for s in train.sample(50, width=train.choice([32, 64, 128]))})
    [32, 64, 128]
    """
    listed = _listed("choice", "values", values)
    return Distribution(
        lambda generator: listed[int(generator.integers(len(listed)))], None, f"choice({listed})"
    )


def check_space(where: str, space: Any) -> None:
    """Raise unless `space` holds distributions by name."""
    if not space:
        raise ValueError(
            f"{where}: got no names; give distributions, such as rate=train.log_uniform(1e-4, 0.1)"
        )
    for name, distribution in space.items():
        if not isinstance(distribution, Distribution):
            raise TypeError(
                f"{where}: {name} is {distribution!r}; expected a distribution: train.uniform(low, "
                "high), train.log_uniform(low, high) or train.choice(values)"
            )


def _listed(where: str, name: str, values: Any) -> list[Any]:
    if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray):
        raise TypeError(f"{where}: {name} is {values!r}; expected a list of values to try")
    if not len(values):
        raise ValueError(f"{where}: {name} has no values; give at least one")
    return values.tolist() if isinstance(values, np.ndarray) else list(values)


def _check_range(where: str, low: Any, high: Any, above: float) -> None:
    real = all(isinstance(end, int | float | np.number) for end in (low, high))
    if not real or not above < low < high < math.inf:
        least = "" if above else "0 < "
        raise ValueError(
            f"{where}: got low={low!r}, high={high!r}; expected finite numbers {least}low < high"
        )

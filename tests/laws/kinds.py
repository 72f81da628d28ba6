"""What a row of the table says, and the inputs that rows share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

BATCH = 8  # a row a device


@dataclass(frozen=True)
class Row:
    """A layer, by the public name that it is a row of, and what is true of it.

    Attributes:
        name: the public name in `laminax.nn`.
        make: makes the layer.
        x: makes an input, batch first.
        variant: tells rows of one name apart.
        cell: it can run a stretch of a sequence at a time.
        state: training writes a state.
        random: training draws.
        integer: x holds integers.
        reads_x: y depends on x, row by row in evaluation.
        precise: it computes in the precision of x and its parameters.
        smooth: in training too its gradient is its derivative, no part of which is stopped.
        steps: y is a step function, whose derivative is zero.
    """

    name: str
    make: Callable[[], Any]
    x: Callable[[], Any]
    variant: str = ""
    cell: bool = True
    state: bool = False
    random: bool = False
    integer: bool = False
    reads_x: bool = True
    precise: bool = True
    smooth: bool = True
    steps: bool = False

    def __str__(self) -> str:
        return f"{self.name}-{self.variant}" if self.variant else self.name

    @property
    def modes(self) -> tuple[bool, ...]:
        """Whether to train: both where it makes a difference."""
        return (False, True) if self.state or self.random else (False,)


@dataclass(frozen=True)
class Measure:
    """A loss or a metric an example: `function(*arguments())`, trees of arrays, batch first.

    Attributes:
        smooth: the first argument has a gradient.
        bounded: the first argument may not be of any size, as probabilities.
        contrasts: a row's value depends on the other rows of its batch.
    """

    name: str
    function: Callable[..., Any]
    arguments: Callable[[], tuple[Any, ...]]
    variant: str = ""
    smooth: bool = True
    bounded: bool = False
    contrasts: bool = False

    def __str__(self) -> str:
        return f"{self.name}-{self.variant}" if self.variant else self.name


@dataclass(frozen=True)
class Whole:
    """A metric of a whole set: `function(*arguments())`, examples first, computed on the host.

    Attributes:
        reference: the same by another library, for the same arguments.
        needs: the module that the reference or the metric is made of.
    """

    name: str
    function: Callable[..., Any]
    arguments: Callable[[], tuple[Any, ...]]
    reference: Callable[..., Any]
    variant: str = ""
    needs: str = "sklearn"

    def __str__(self) -> str:
        return f"{self.name}-{self.variant}" if self.variant else self.name


@dataclass(frozen=True)
class Made:
    """An optimizer, a schedule or another thing that `make` makes.

    Attributes:
        steps: how many it takes until each number that `make` takes has had an effect.
    """

    name: str
    make: Callable[..., Any]
    steps: int = 3

    def __str__(self) -> str:
        return self.name


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def integers(*shape: int, below: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, below, shape).astype(np.int32)


def sequence() -> np.ndarray:
    return normal(BATCH, 5, 3)


def tokens() -> np.ndarray:
    return integers(BATCH, 5, below=7)


def images() -> np.ndarray:
    return normal(BATCH, 6, 6, 4)


def rows_over_devices() -> NamedSharding:
    mesh = jax.make_mesh((BATCH,), ("data",), axis_types=(AxisType.Auto,))
    return NamedSharding(mesh, PartitionSpec("data"))

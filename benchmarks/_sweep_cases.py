"""The sweeps: models of the digits, and the settings that are tried on them."""

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BATCH = 64
CONTENDERS = (
    "laminax",
    "laminax_devices",
    "laminax_fit",
    "torch",
    "torch_fused",
    "torch_func",
    "sklearn",
)


class Case(NamedTuple):
    """An MLP of two hidden layers of this width."""

    width: int
    dropout: float
    epochs: int


CASES = {"small": Case(32, 0.0, 20), "recipe": Case(256, 0.3, 20)}


class Data(NamedTuple):
    """Images in [0, 1], float32 of 64 pixels, and labels; a tenth is held out."""

    x: NDArray[np.float32]
    y: NDArray[np.int32]
    x_held: NDArray[np.float32]
    y_held: NDArray[np.int32]


def settings(rates: int = 8, decays: int = 8) -> list[dict[str, float]]:
    """Rates × weight decays."""
    values = np.logspace(-3.5, -1.5, rates).tolist(), np.logspace(-3, 0, decays).tolist()
    return [{"rate": rate, "decay": decay} for rate, decay in itertools.product(*values)]

"""Laminax's optimizers."""

from collections.abc import Mapping

from laminax import optim

from .._optim_cases import RATE, Shape
from . import Updating
from ._optim_jax import updating

_OPTIMIZERS = {
    "sgd": lambda: optim.sgd(RATE),
    "momentum": lambda: optim.momentum(RATE, 0.9),
    "adam": lambda: optim.adam(RATE),
    "adamw": lambda: optim.adamw(RATE, weight_decay=0.01),
    "rmsprop": lambda: optim.rmsprop(RATE, 0.9),
    "lion": lambda: optim.lion(RATE),
    "adafactor": lambda: optim.adafactor(RATE),
    "adam_flattened": lambda: optim.flattened(optim.adam(RATE)),
    "adam_bfloat16": lambda: optim.compressed(optim.adam(RATE), "bfloat16"),
    "adam_int8": lambda: optim.compressed(optim.adam(RATE), "int8"),
}


def setup(optimizer: str, shapes: Mapping[str, Shape]) -> Updating:
    return updating(_OPTIMIZERS[optimizer](), shapes)

"""Optax's own aliases, with the constants of the others."""

from collections.abc import Mapping

import optax

from .._optim_cases import RATE, Shape
from . import UnsupportedError, Updating
from ._optim_jax import updating

_OPTIMIZERS = {
    "sgd": lambda: optax.sgd(RATE),
    "momentum": lambda: optax.sgd(RATE, 0.9),
    "adam": lambda: optax.adam(RATE),
    "adam_flattened": lambda: optax.flatten(optax.adam(RATE)),
    "adamw": lambda: optax.adamw(RATE, weight_decay=0.01),
    "rmsprop": lambda: optax.rmsprop(RATE, 0.9, eps_in_sqrt=False),
    "lion": lambda: optax.lion(RATE, weight_decay=0.0),
    "adafactor": lambda: optax.adafactor(RATE, min_dim_size_to_factor=1),
}


def setup(optimizer: str, shapes: Mapping[str, Shape]) -> Updating:
    if optimizer not in _OPTIMIZERS:
        raise UnsupportedError("optax has none")
    return updating(_OPTIMIZERS[optimizer](), shapes)

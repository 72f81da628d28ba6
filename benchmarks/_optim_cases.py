"""What the optimizers update, and how much of it each must move."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]

CONTENDERS = ("laminax", "optax", "torch_foreach", "torch_fused")
RATE = 1e-3
START = 0.5  # what every parameter is at first

# The arrays that pass through memory at least once, of the parameters' size: gradient and
# parameters are read, parameters written, and each average read and written.
OPTIMIZERS: Mapping[str, float] = {
    "sgd": 3,
    "momentum": 5,
    "adam": 7,
    "adamw": 7,
    "rmsprop": 5,
    "lion": 5,
    "adafactor": 3,
    "adam_flattened": 7,
    "adam_bfloat16": 5,
    "adam_int8": 4,
}

_LAYER: Mapping[str, Shape] = {"w": (64, 64), "b": (64,), "scale": (64,), "bias": (64,)}
_LAYERS = 250
TREES: Mapping[str, Mapping[str, Shape]] = {
    "leaves": {f"{i}/{name}": shape for i in range(_LAYERS) for name, shape in _LAYER.items()},
    "stacked": {name: (_LAYERS, *shape) for name, shape in _LAYER.items()},
    "large": {f"{i}/w": (2048, 2560) for i in range(20)},
}
TEXTS = {
    "leaves": f"{_LAYERS} layers of w (64, 64), b, scale and bias (64,): 1,000 leaves",
    "stacked": f"the same parameters as `repeat` keeps them, {_LAYERS} layers stacked: 4 leaves",
    "large": "20 leaves of (2048, 2560)",
}


def shapes_of(tree: str, tiny: bool) -> Mapping[str, Shape]:
    """The shapes by path; with `tiny` few and small ones, to try the benchmark itself."""
    shapes = TREES[tree]
    return {"0/w": (64, 64), "0/b": (64,)} if tiny else shapes


def size_of(shapes: Mapping[str, Shape]) -> int:
    return sum(int(np.prod(shape)) for shape in shapes.values())


def gradients(shapes: Mapping[str, Shape]) -> dict[str, NDArray[np.float32]]:
    random = np.random.default_rng(0)
    return {path: random.standard_normal(shape, np.float32) for path, shape in shapes.items()}

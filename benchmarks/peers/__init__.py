"""The contenders, one file each, written as a competent user of that library would for speed.

Of the MNIST benchmark each file holds `setup(data, model, seed) -> Contender`. `model` is "mlp"
(784-512-512-10) or "cnn" (3×3 convolutions to 32 and 64 channels, no padding, each followed by ReLU
and a 2×2 max pool, then a dense layer to 10), both with ReLU, in float32, batch 128, Adam with rate
1e-3. Of the zoo, `zoo_*`, it is `setup(case, data) -> ZooContender`, of the optimizers, `optim_*`,
`setup(optimizer, shapes) -> Updating`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

BATCH = 128
RATE = 1e-3

# In the order of the table; ours first.
NAMES = (
    "laminax",
    "jax_scan",
    "jax_loop",
    "flax_linen",
    "flax_nnx",
    "equinox",
    "keras_jax",
    "torch_eager",
    "torch_channels_last",
    "torch_compile",
    "sklearn",
)


class Data(NamedTuple):
    """MNIST: images in [0, 1], float32 of 28×28×1, and labels, int32."""

    x: NDArray[np.float32]
    y: NDArray[np.int32]
    x_test: NDArray[np.float32]
    y_test: NDArray[np.int32]


class Contender(NamedTuple):
    """A model in training."""

    epoch: Callable[[], float]  # one pass over all images in a new order, done when it returns
    classify: Callable[[NDArray[np.float32]], NDArray[Any]]  # the labels of 1,000 images
    share: float = 1.0  # of an epoch, where a whole one would take too long to measure


class Program(NamedTuple):
    """What is timed."""

    run: Callable[[int], None]  # so many times over, done when it returns
    planned: int | None = None  # bytes it needs, where its compiler tells


class ZooContender(NamedTuple):
    """A model of the zoo. Each program is made, and compiled, when it is called for."""

    parameters: int
    forward: Callable[[], Program]  # evaluation of a batch
    step: Callable[[], Program]  # a training step; asked for after forward


class Updates(NamedTuple):
    """Parameters and the optimizer's state; dropped, it gives their memory back."""

    run: Callable[[int], None]  # so many updates, done when it returns
    moved: Callable[[], float]  # the distance of the parameters from where they were at first


class Updating(NamedTuple):
    """An optimizer, ready to update."""

    first: float  # s: to compile, else of the first update
    state: int  # bytes
    start: Callable[[], Updates]


class UnsupportedError(Exception):
    """This contender does not take part with this model."""


def batches(rng: np.random.Generator, n: int) -> list[NDArray[np.int32]]:
    """A new order of n examples in batches; the last one is smaller."""
    order = rng.permutation(n).astype(np.int32)
    return [order[start : start + BATCH] for start in range(0, n, BATCH)]

"""The one table of public names, over which every law in this folder runs.

A new public function of `laminax.nn` or `laminax.optim` gets a row here, or `test_coverage.py` is
red. Factories and inputs are made when a test runs, so that collecting touches no device.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from laminax import nn, optim

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

    def __str__(self) -> str:
        return f"{self.name}-{self.variant}" if self.variant else self.name

    @property
    def modes(self) -> tuple[bool, ...]:
        """Whether to train: both where it makes a difference."""
        return (False, True) if self.state or self.random else (False,)


@dataclass(frozen=True)
class Measure:
    """A loss or a metric: `function(*arguments())`, batch first.

    Attributes:
        smooth: the first argument has a gradient.
    """

    name: str
    function: Callable[..., Any]
    arguments: Callable[[], tuple[Any, Any]]
    variant: str = ""
    smooth: bool = True

    def __str__(self) -> str:
        return f"{self.name}-{self.variant}" if self.variant else self.name


@dataclass(frozen=True)
class Made:
    """An optimizer, a schedule or another thing that `make` makes."""

    name: str
    make: Callable[..., Any]

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


def tied() -> Any:
    def forward(c: Any, x: Any) -> Any:
        return jnp.tanh(c.encoder(x)) @ c.encoder.params["w"].T

    return nn.compose(forward, encoder=nn.dense(2))


def rows_over_devices() -> NamedSharding:
    mesh = jax.make_mesh((BATCH,), ("data",), axis_types=(AxisType.Auto,))
    return NamedSharding(mesh, PartitionSpec("data"))


def activation(name: str) -> Row:
    return Row(name, lambda: nn.serial(getattr(nn, name)), sequence)


LAYERS = [
    Row("dense", lambda: nn.dense(4), sequence),
    Row("dense", lambda: nn.dense(4, bias=False), sequence, "no_bias"),
    Row("parameter", lambda: nn.parameter((2, 3)), sequence, cell=False, reads_x=False),
    Row("embedding", lambda: nn.embedding(7, 3), tokens, integer=True),
    Row("dropout", lambda: nn.dropout(0.5), sequence, random=True),
    Row("batch_norm", lambda: nn.batch_norm(), sequence, state=True),
    Row("layer_norm", lambda: nn.layer_norm(), sequence),
    Row("conv", lambda: nn.conv(2, 3), lambda: normal(BATCH, 7, 3), "1d", cell=False),
    Row("conv", lambda: nn.conv(6, 3, padding="valid"), images, "valid", cell=False),
    Row("conv", lambda: nn.conv(6, (3, 2), stride=2, bias=False), images, "stride", cell=False),
    Row("conv", lambda: nn.conv(6, 3, dilation=2, groups=2), images, "groups", cell=False),
    Row("conv", lambda: nn.conv(2, 2), lambda: normal(BATCH, 3, 4, 3, 2), "3d", cell=False),
    Row("max_pool", lambda: nn.max_pool(2), images, cell=False),
    Row("max_pool", lambda: nn.max_pool(3, stride=2), images, "overlapping", cell=False),
    Row("avg_pool", lambda: nn.avg_pool(2), images, cell=False),
    Row("avg_pool", lambda: nn.avg_pool(3, stride=2), images, "overlapping", cell=False),
    Row("global_max_pool", lambda: nn.global_max_pool(), images, cell=False),
    Row("global_avg_pool", lambda: nn.global_avg_pool(), images, cell=False),
    Row("flatten", lambda: nn.flatten(), images, cell=False),
    *map(activation, ["gelu", "relu", "sigmoid", "silu", "softmax", "tanh"]),
    Row(
        "serial",
        lambda: nn.serial(
            nn.dense(4, bias=False), nn.batch_norm(), jnp.tanh, nn.dropout(0.3), nn.dense(2)
        ),
        sequence,
        state=True,
        random=True,
    ),
    Row("parallel", lambda: nn.parallel(nn.dense(4), skip=nn.dropout(0.3)), sequence, random=True),
    Row("residual", lambda: nn.residual(nn.dense(3), jnp.tanh), sequence),
    Row("residual", lambda: nn.residual(nn.dense(4), shortcut=nn.dense(4)), sequence, "shortcut"),
    Row("compose", tied, sequence),
    Row(
        "repeat",
        lambda: nn.repeat(nn.residual(nn.batch_norm(), nn.dense(3), nn.dropout(0.3)), 3),
        sequence,
        state=True,
        random=True,
    ),
    Row("remat", lambda: nn.remat(nn.serial(nn.dense(4), jnp.tanh)), sequence),
    Row("policy", lambda: nn.policy(nn.dense(4)), sequence, precise=False),
    Row("constrain", lambda: nn.constrain(nn.dense(4), rows_over_devices()), sequence),
    Row("rename", lambda: nn.serial(nn.rename(nn.dense(4), "head")), sequence),
    Row("mlp", lambda: nn.mlp(5, 4, 3, dropout=0.3), images, cell=False, random=True),
    Row("lenet", lambda: nn.lenet(3), lambda: normal(BATCH, 12, 12, 1), cell=False),
    Row("cnn", lambda: nn.cnn(2, 3, classes=4), lambda: normal(BATCH, 10, 10, 1), cell=False),
]  # fmt: skip


MEASURES = [
    Measure(
        "losses.cross_entropy",
        nn.losses.cross_entropy,
        lambda: (normal(BATCH, 3), integers(BATCH, below=3)),
        "classes",
    ),
    Measure(
        "losses.cross_entropy",
        nn.losses.cross_entropy,
        lambda: (normal(BATCH, 5, 3), integers(BATCH, 5, below=3)),
        "sequence",
    ),
    Measure(
        "losses.cross_entropy",
        nn.losses.cross_entropy,
        lambda: (normal(BATCH, 3), normal(BATCH, 3, seed=1) ** 2),
        "probabilities",
    ),
    Measure(
        "losses.squared_error",
        nn.losses.squared_error,
        lambda: (normal(BATCH, 2, 3), normal(BATCH, 2, 3, seed=1)),
    ),
    Measure(
        "metrics.accuracy",
        nn.metrics.accuracy,
        lambda: (normal(BATCH, 3), integers(BATCH, below=3)),
        smooth=False,
    ),
    Measure(
        "metrics.accuracy",
        nn.metrics.accuracy,
        lambda: (normal(BATCH, 5, 3), integers(BATCH, 5, below=3)),
        "sequence",
        smooth=False,
    ),
]

OPTIMIZERS = [
    Made("sgd", lambda rate=0.1: optim.sgd(rate)),
    Made("momentum", lambda rate=0.1: optim.momentum(rate)),
    Made("nesterov", lambda rate=0.1: optim.nesterov(rate)),
    Made("adam", lambda rate=0.1: optim.adam(rate)),
    Made("adamw", lambda rate=0.1: optim.adamw(rate, decayed="*/w")),
    Made("scale_by_rate", lambda rate=0.1: optim.scale_by_rate(rate)),
    Made("ema", lambda rate=0.1: optim.chain(optim.sgd(rate), optim.ema(0.9))),
    Made("clip_by_norm", lambda rate=0.1: optim.chain(optim.clip_by_norm(1.0), optim.sgd(rate))),
    Made("clip_by_value", lambda rate=0.1: optim.chain(optim.clip_by_value(0.5), optim.sgd(rate))),
    Made("freeze", lambda rate=0.1: optim.select({"*/b": optim.freeze(), "*": optim.sgd(rate)})),
    Made("select", lambda rate=0.1: optim.select({"*/b": optim.sgd(rate), "*": optim.adam(rate)})),
    Made("chain", lambda rate=0.1: optim.chain(optim.clip_by_norm(9.0), optim.adam(rate))),
]

SCHEDULES = [
    Made("constant", lambda rate=0.1: optim.constant(rate)),
    Made("cosine", lambda rate=0.1: optim.cosine(rate, 10, end=0.01)),
    Made("warmup", lambda rate=0.1: optim.warmup(optim.cosine(rate, 10), 4)),
]

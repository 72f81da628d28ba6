"""Laminax: settings in one program; `devices`: over a device a core; `fit`: one by one."""

import functools
import os
from collections.abc import Callable
from typing import Any

import jax
import optax

from laminax import nn, optim, train

from .._sweep_cases import BATCH, Case, Data


def setup(
    case: Case, data: Data, settings: list[dict[str, float]], variant: str
) -> Callable[[], list[float]]:
    if variant == "devices":
        jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))
    jax.devices()  # starts the back end, which is no part of a sweep
    options: dict[str, Any] = {
        "epochs": case.epochs,
        "batch_size": BATCH,
        "validation": (data.x_held, data.y_held),
        "progress": False,
    }
    build = functools.partial(_build, case)
    training = data.x, data.y

    def together() -> list[float]:
        result = train.sweep(build, settings, training, choose="highest accuracy", **options)
        accuracies: list[float] = result.curves["validation_accuracy"][:, 0, 0, -1].tolist()
        return accuracies

    def one_by_one() -> list[float]:
        results = (train.fit(*build(**setting), training, **options) for setting in settings)
        return [result.history["validation_accuracy"][-1] for result in results]

    return one_by_one if variant == "fit" else together


def _build(
    case: Case, rate: Any, decay: Any
) -> tuple[train.Objective, optax.GradientTransformation]:
    dropout = {"dropout": case.dropout} if case.dropout else {}
    model = nn.mlp(case.width, case.width, 10, **dropout)
    metrics = {"accuracy": nn.metrics.accuracy}
    objective = train.supervised(model, nn.losses.cross_entropy, metrics=metrics)
    return objective, optim.adamw(rate, weight_decay=decay)

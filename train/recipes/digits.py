"""Handwritten digits, 8×8: a classifier trained in seconds. Copy this file and change it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax

from laminax import nn, optim, train


@dataclass(frozen=True)
class Config:
    """Train a classifier of the 1,797 UCI digits, 30% of them held out."""

    model: Literal["mlp", "cnn"] = "cnn"
    """Which model."""
    epochs: int = 60
    """Passes over the training examples."""
    batch_size: int = 64
    """Examples a step."""
    rate: float = 3e-3
    """Highest learning rate."""
    seed: int = 0
    """Decides parameters, data order and noise."""
    out: Path | None = None
    """Folder for config, history, checkpoint and pictures."""
    resume: bool = False
    """Go on from the newest checkpoint in that folder."""


SMOKE = {"epochs": 2}
"""Settings to try it with, in half a minute."""


def scaled(x: jax.Array) -> jax.Array:
    """Bring pixels from 0..16 to [0, 1]."""
    return x.astype(jnp.float32) / 16


def inputs(config: Config) -> jax.ShapeDtypeStruct:
    """Tell what the model takes: one image."""
    return jax.ShapeDtypeStruct((1, 8, 8, 1), "uint8")


def build(config: Config) -> nn.Layer:
    """Make the model."""
    if config.model == "mlp":
        return nn.serial(scaled, nn.mlp(256, 256, 10, dropout=0.3))
    return nn.serial(
        scaled,
        *(nn.conv(32, 3), nn.relu, nn.max_pool(2)),
        *(nn.conv(64, 3), nn.relu, nn.max_pool(2)),
        *(nn.flatten(), nn.dropout(0.3), nn.dense(10)),
    )


def objective(config: Config) -> train.Objective:
    """Say what is minimized."""
    return train.supervised(
        build(config), nn.losses.cross_entropy, metrics={"accuracy": nn.metrics.accuracy}
    )


def optimizer(config: Config, steps: int) -> optax.GradientTransformation:
    """Say by what."""
    return optim.adamw(optim.cosine(config.rate, steps), weight_decay=0.05)


def examples(config: Config) -> tuple[Any, Any]:
    """Read the training and the validation examples."""
    training, validation = train.data.split(train.data.digits().train, 0.9, seed=config.seed)
    return training, validation


def test(config: Config, variables: nn.Variables) -> dict[str, float]:
    """Score on the test examples, and draw into the run folder what was taken for what."""
    data = train.data.digits()
    return train.report(objective(config), build(config), variables, data, config.out)


def main(config: Config) -> train.Result:
    """Train, test and report."""
    out = train.run_folder(config)
    training, validation = examples(config)
    steps = train.steps_for(training, epochs=config.epochs, batch_size=config.batch_size)
    result = train.fit(
        objective(config),
        optimizer(config, steps),
        training,
        epochs=config.epochs,
        batch_size=config.batch_size,
        seed=config.seed,
        validation=validation,
        out=out,
        resume=config.resume,
    )
    train.save_curves(result.history, out)
    test(config, result.variables)
    return result

"""Handwritten digits, 8×8: a classifier trained in seconds. Copy this file and change it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp

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


def scaled(x: jax.Array) -> jax.Array:
    """Bring pixels from 0..16 to [0, 1]."""
    return x.astype(jnp.float32) / 16


def build(name: str) -> nn.Layer:
    """Make the model of that name."""
    if name == "mlp":
        return nn.serial(scaled, nn.mlp(256, 256, 10, dropout=0.3))
    return nn.serial(
        scaled,
        *(nn.conv(32, 3), nn.relu, nn.max_pool(2)),
        *(nn.conv(64, 3), nn.relu, nn.max_pool(2)),
        *(nn.flatten(), nn.dropout(0.3), nn.dense(10)),
    )


def main(config: Config) -> train.Result:
    """Train, test and report."""
    out = train.run_folder(config)
    data = train.data.digits()
    training, validation = train.data.split(data.train, 0.9, seed=config.seed)
    model = build(config.model)
    objective = train.supervised(
        model, nn.losses.cross_entropy, metrics={"accuracy": nn.metrics.accuracy}
    )
    steps = train.steps_for(training, epochs=config.epochs, batch_size=config.batch_size)
    optimizer = optim.adamw(optim.cosine(config.rate, steps), weight_decay=0.05)
    result = train.fit(
        objective,
        optimizer,
        training,
        epochs=config.epochs,
        batch_size=config.batch_size,
        seed=config.seed,
        validation=validation,
        out=out,
        resume=config.resume,
    )
    train.report(result, objective, model, data, out)
    return result

"""MNIST: handwritten digits, 28×28. Copy this file and change it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp

from laminax import nn, optim, train


@dataclass(frozen=True)
class Config:
    """Train a classifier of the 70,000 MNIST digits, 10,000 of them for the test."""

    model: Literal["mlp", "dropout", "cnn", "lenet", "lenet5"] = "mlp"
    """Which model."""
    epochs: int = 12
    """Passes over the training examples."""
    batch_size: int = 128
    """Examples a step."""
    rate: float = 2e-3
    """Highest learning rate."""
    seed: int = 0
    """Decides parameters, data order and noise."""
    out: Path | None = None
    """Folder for config, history, checkpoint and pictures."""


def scaled(x: jax.Array) -> jax.Array:
    """Bring pixels from 0..255 to [0, 1]."""
    return x.astype(jnp.float32) / 255


def build(name: str) -> nn.Layer:
    """Make the model of that name."""
    models = {
        "mlp": nn.mlp(512, 512, 10, dropout=0.2),
        "dropout": nn.serial(nn.dropout(0.2), nn.mlp(1024, 1024, 10, dropout=0.5)),
        "cnn": nn.cnn(),
        "lenet": nn.lenet(),
        "lenet5": nn.lenet5(),
    }
    return nn.serial(scaled, models[name])


def main(config: Config) -> train.Result:
    """Train, test and report."""
    out = train.run_folder(config)
    data = train.data.mnist()
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
    )
    train.report(result, objective, model, data, out)
    return result

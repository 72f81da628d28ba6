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
    shift: int = 0
    """Pixels by which training moves each image, at random, either way."""
    seed: int = 0
    """Decides parameters, data order and noise."""
    out: Path | None = None
    """Folder for config, history, checkpoint and pictures."""
    resume: bool = False
    """Go on from the newest checkpoint in that folder."""


def scaled(x: jax.Array) -> jax.Array:
    """Bring pixels from 0..255 to [0, 1]."""
    return x.astype(jnp.float32) / 255


def build(name: str, shift: int = 0) -> nn.Layer:
    """Make the model of that name."""
    models = {
        "mlp": nn.mlp(512, 512, 10, dropout=0.2),
        "dropout": nn.serial(nn.dropout(0.2), nn.mlp(1024, 1024, 10, dropout=0.5)),
        "cnn": nn.cnn(),
        "lenet": nn.lenet(),
        "lenet5": nn.lenet5(),
    }
    return nn.serial(scaled, nn.random_shift(shift), models[name])


def criterion(scores: jax.Array, labels: jax.Array) -> nn.losses.PerExample:
    """Criterion (9) of LeNet-5's paper: cross-entropy with one more class, of constant score."""
    return nn.losses.cross_entropy(jnp.pad(scores, ((0, 0), (0, 1)), constant_values=-20), labels)


def main(config: Config) -> train.Result:
    """Train, test and report."""
    out = train.run_folder(config)
    data = train.data.mnist()
    training, validation = train.data.split(data.train, 0.9, seed=config.seed)
    model = build(config.model, config.shift)
    loss = criterion if config.model == "lenet5" else nn.losses.cross_entropy
    objective = train.supervised(model, loss, metrics={"accuracy": nn.metrics.accuracy})
    steps = train.steps_for(training, epochs=config.epochs, batch_size=config.batch_size)
    result = train.fit(
        objective,
        optim.adamw(optim.cosine(config.rate, steps), weight_decay=0.05),
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

"""MNIST: handwritten digits, 28×28. Copy this file and change it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax

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


SMOKE = {"epochs": 1}
"""Settings to try it with, in half a minute."""


def scaled(x: jax.Array) -> jax.Array:
    """Bring pixels from 0..255 to [0, 1]."""
    return x.astype(jnp.float32) / 255


def inputs(config: Config) -> jax.ShapeDtypeStruct:
    """Tell what the model takes: one image."""
    return jax.ShapeDtypeStruct((1, 28, 28, 1), "uint8")


def build(config: Config) -> nn.Layer:
    """Make the model."""
    models = {
        "mlp": nn.mlp(512, 512, 10, dropout=0.2),
        "dropout": nn.serial(nn.dropout(0.2), nn.mlp(1024, 1024, 10, dropout=0.5)),
        "cnn": nn.cnn(),
        "lenet": nn.lenet(),
        "lenet5": nn.lenet5(),
    }
    return nn.serial(scaled, nn.random_shift(config.shift), models[config.model])


def criterion(scores: jax.Array, labels: jax.Array) -> nn.losses.PerExample:
    """Criterion (9) of LeNet-5's paper: cross-entropy with one more class, of constant score."""
    return nn.losses.cross_entropy(jnp.pad(scores, ((0, 0), (0, 1)), constant_values=-20), labels)


def objective(config: Config) -> train.Objective:
    """Say what is minimized."""
    loss = criterion if config.model == "lenet5" else nn.losses.cross_entropy
    return train.supervised(build(config), loss, metrics={"accuracy": nn.metrics.accuracy})


def optimizer(config: Config, steps: int) -> optax.GradientTransformation:
    """Say by what."""
    return optim.adamw(optim.cosine(config.rate, steps), weight_decay=0.05)


def examples(config: Config) -> tuple[Any, Any]:
    """Read the training and the validation examples."""
    training, validation = train.data.split(train.data.mnist().train, 0.9, seed=config.seed)
    return training, validation


def test(config: Config, variables: nn.Variables) -> dict[str, float]:
    """Score on the test examples, and draw into the run folder what was taken for what."""
    data = train.data.mnist()
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

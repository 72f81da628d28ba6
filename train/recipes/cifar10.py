"""CIFAR-10: color images, 32×32, of ten kinds of things. Copy this file and change it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax

from laminax import nn, optim, train
from laminax.train.data.augment import crop, flip


@dataclass(frozen=True)
class Config:
    """Train a classifier of the 60,000 CIFAR-10 images, 10,000 of them for the test."""

    model: Literal["resnet", "vit", "cnn"] = "resnet"
    """Which model: ResNet-20, a small vision transformer, or two convolutions."""
    examples: int = 45_000
    """Images to train on, at most 45,000."""
    epochs: int = 60
    """Passes over them."""
    batch_size: int = 128
    """Images a step."""
    rate: float = 2e-3
    """Highest learning rate."""
    seed: int = 0
    """Decides parameters, data order and noise."""
    out: Path | None = None
    """Folder for config, history, checkpoint and pictures."""
    resume: bool = False
    """Go on from the newest checkpoint in that folder."""


SMOKE = {"model": "cnn", "examples": 4096, "epochs": 2}
"""Settings to try it with, in half a minute."""


def scaled(x: jax.Array) -> jax.Array:
    """Bring pixels from 0..255 to [-1, 1]."""
    return x.astype(jnp.float32) / 127.5 - 1


def moved(key: jax.Array, batch: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
    """Move each image by up to four pixels, and mirror every other one."""
    (x, y), (of_crop, of_flip) = batch, jax.random.split(key)
    return flip(of_flip, crop(of_crop, x, 4)), y


def inputs(config: Config) -> jax.ShapeDtypeStruct:
    """Tell what the model takes: one image."""
    return jax.ShapeDtypeStruct((1, 32, 32, 3), "uint8")


def build(config: Config) -> nn.Layer:
    """Make the model."""
    models = {
        "resnet": nn.cifar_resnet(20),
        "vit": nn.vit(10, image=32, patch=4, layers=6, heads=4, features=128, dropout=0.1),
        "cnn": nn.cnn(32, 64),
    }
    return nn.serial(scaled, models[config.model])


def objective(config: Config) -> train.Objective:
    """Say what is minimized."""
    metrics = {"accuracy": nn.metrics.accuracy}
    supervised = train.supervised(build(config), nn.losses.cross_entropy, metrics=metrics)
    return train.augmented(supervised, moved)


def optimizer(config: Config, steps: int) -> optax.GradientTransformation:
    """Say by what."""
    rate = optim.warmup(optim.cosine(config.rate, steps), steps // 20 + 1)
    return optim.adamw(rate, weight_decay=0.05, decayed="*/w")


def examples(config: Config) -> tuple[Any, Any]:
    """Read the training and the validation images."""
    training, validation = train.data.split(train.data.cifar10().train, 0.9, seed=config.seed)
    return tuple(part[: config.examples] for part in training), validation


def test(config: Config, variables: nn.Variables) -> dict[str, float]:
    """Score on the test images, and draw into the run folder what was taken for what."""
    data = train.data.cifar10()
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

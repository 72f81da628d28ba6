"""A variational autoencoder of MNIST with binary pixels. Copy this file and change it."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

from laminax import nn, optim, train


@dataclass(frozen=True)
class Config:
    """Train a variational autoencoder of the 70,000 MNIST digits and print its bounds in nats."""

    epochs: int = 40
    """Passes over the training examples."""
    batch_size: int = 128
    """Examples a step."""
    rate: float = 1e-3
    """Highest learning rate."""
    seed: int = 0
    """Decides parameters, data order and noise."""
    out: Path | None = None
    """Folder for config, history, checkpoint and pictures."""
    resume: bool = False
    """Go on from the newest checkpoint in that folder."""


SMOKE = {"epochs": 1}
"""Settings to try it with, in half a minute."""


def binary(x: Any) -> Any:
    """Draw each pixel, 0 or 1, once and for all, with its intensity for the probability of 1."""
    return (255 * np.random.default_rng(0).random(x.shape) < x).reshape(len(x), -1).astype(np.uint8)


def inputs(config: Config) -> jax.ShapeDtypeStruct:
    """Tell what the model takes: the pixels of one image."""
    return jax.ShapeDtypeStruct((1, 784), "uint8")


def build(config: Config) -> nn.Layer:
    """Make the model: a code of 20 numbers, two layers of 500 units on either side."""
    hidden = nn.dense(500), nn.tanh, nn.dense(500), nn.tanh
    return nn.vae(20, encoder=nn.serial(*hidden), decoder=nn.serial(*hidden, nn.dense(784)))


def objective(config: Config) -> train.Objective:
    """Say what is minimized: the negative evidence lower bound."""
    return train.variational(build(config))


def optimizer(config: Config, steps: int) -> optax.GradientTransformation:
    """Say by what."""
    return optim.adam(optim.cosine(config.rate, steps))


def examples(config: Config) -> tuple[Any, Any]:
    """Read the training and the validation examples."""
    images = binary(train.data.mnist().train[0])
    training, validation = train.data.split(images, 0.9, seed=config.seed)
    return training, validation


def draw(model: nn.Layer, variables: nn.Variables, test: Any, out: Path) -> None:
    """Draw images of the prior, and the way from one test image to another through the code."""
    samples = nn.variational.sample(model, variables, jax.random.key(0), 64)
    start, end = (train.predict(model, variables, x).mean for x in (test[:6], test[6:12]))
    steps = np.linspace(0, 1, 10, dtype=np.float32)[None, :, None]
    ways = start[:, None] * (1 - steps) + end[:, None] * steps
    decoder = nn.Variables(variables.params["decoder"], {})
    between = model.children["decoder"](decoder, ways)
    for name, logits, columns in (("samples", samples, 8), ("latent", between, 10)):
        images = nn.sigmoid(logits).reshape(-1, 28, 28)
        train.plot_images(images, columns=columns).savefig(out / f"{name}.png")


def test(config: Config, variables: nn.Variables) -> dict[str, float]:
    """Tell the bounds on the test images, and draw samples."""
    model, x, out = build(config), binary(train.data.mnist().test[0]), config.out
    scores = train.evaluate(objective(config), variables, x)
    weighted = train.importance_weighted(model, 100)
    scores["importance_weighted"] = train.evaluate(weighted, variables, x)["loss"]
    print("mnist: test " + ", ".join(f"{name} {nats:.2f}" for name, nats in scores.items()), "nats")
    if out is not None:
        (out / "result.json").write_text(json.dumps(scores, indent=2) + "\n")
        with suppress(ImportError):
            draw(model, variables, x, out)
    return scores


def main(config: Config) -> train.Result:
    """Train, test and draw."""
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

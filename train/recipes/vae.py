"""A variational autoencoder of MNIST with binary pixels. Copy this file and change it."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

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


def binary(x: Any) -> Any:
    """Draw each pixel, 0 or 1, once and for all, with its intensity for the probability of 1."""
    return (255 * np.random.default_rng(0).random(x.shape) < x).reshape(len(x), -1).astype(np.uint8)


def build() -> nn.Layer:
    """Make the model: a code of 20 numbers, two layers of 500 units on either side."""
    hidden = nn.dense(500), nn.tanh, nn.dense(500), nn.tanh
    return nn.vae(20, encoder=nn.serial(*hidden), decoder=nn.serial(*hidden, nn.dense(784)))


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


def main(config: Config) -> train.Result:
    """Train, test and draw."""
    out = train.run_folder(config)
    data = train.data.mnist()
    training, validation = train.data.split(binary(data.train[0]), 0.9, seed=config.seed)
    model = build()
    objective = train.variational(model)
    steps = train.steps_for(training, epochs=config.epochs, batch_size=config.batch_size)
    result = train.fit(
        objective,
        optim.adam(optim.cosine(config.rate, steps)),
        training,
        epochs=config.epochs,
        batch_size=config.batch_size,
        seed=config.seed,
        validation=validation,
        out=out,
        resume=config.resume,
    )
    test = binary(data.test[0])
    scores = train.evaluate(objective, result.variables, test)
    weighted = train.importance_weighted(model, 100)
    scores["importance_weighted"] = train.evaluate(weighted, result.variables, test)["loss"]
    print("mnist: test " + ", ".join(f"{name} {nats:.2f}" for name, nats in scores.items()), "nats")
    if out is not None:
        (out / "result.json").write_text(json.dumps(scores, indent=2) + "\n")
        with suppress(ImportError):
            train.plot_history(result.history).savefig(out / "curves.png")
            draw(model, result.variables, test, out)
    return result

"""Autoencoders of MNIST: 784 pixels through a code of 30 numbers. Copy this file and change it."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from laminax import nn, optim, train


@dataclass(frozen=True)
class Config:
    """Train an autoencoder of the 70,000 MNIST digits and print its squared error an image."""

    model: Literal["deep", "tied", "denoising", "sparse", "k_sparse", "convolutional"] = "deep"
    """Which model."""
    epochs: int = 50
    """Passes over the training examples."""
    batch_size: int = 128
    """Examples a step."""
    rate: float = 2e-3
    """Highest learning rate."""
    seed: int = 0
    """Decides parameters, data order and noise."""
    out: Path | None = None
    """Folder for config, history, checkpoint and pictures."""
    resume: bool = False
    """Go on from the newest checkpoint in that folder."""


def scaled(x: jax.Array) -> jax.Array:
    """Bring pixels from 0..255 to [0, 1]."""
    return x.astype("float32") / 255


def images(x: jax.Array) -> jax.Array:
    """Bring rows of 784 pixels back into images."""
    return x.reshape(-1, 28, 28, 1)


def build(name: str) -> nn.Layer:
    """Make the model of that name, from images to images."""
    if name == "convolutional":
        return nn.serial(scaled, nn.conv_autoencoder(1, 16, 8), nn.sigmoid)
    sizes, sparse = (784, 1000, 500, 250, 30), nn.serial(nn.sigmoid, nn.kl_sparsity(0.05, 0.1))
    models = {
        "deep": nn.autoencoder(*sizes, activation=nn.elu),
        "tied": nn.autoencoder(*sizes, activation=nn.elu, tied=True),
        "denoising": nn.serial(nn.masking_noise(0.25), nn.autoencoder(784, 500, code=nn.sigmoid)),
        "sparse": nn.autoencoder(784, 500, code=sparse),
        "k_sparse": nn.autoencoder(784, 1000, code=nn.k_sparse(25)),
    }
    return nn.serial(scaled, nn.flatten(), models[name], nn.sigmoid, images)


def pca_error(training: Any, test: Any, components: int = 30) -> float:
    """Mean squared error an image of the test set in the training set's principal components."""
    x, y = (np.float32(images.reshape(len(images), -1)) / 255 for images in (training, test))
    rest = np.linalg.eigh(np.cov(x.T))[1][:, :-components]
    return float(np.square((y - x.mean(0)) @ rest).sum(1).mean())


def main(config: Config) -> train.Result:
    """Train, test beside the principal components, and draw."""
    out = train.run_folder(config)
    data = train.data.mnist()
    training, validation = train.data.split((data.train[0],) * 2, 0.9, seed=config.seed)
    model, error = build(config.model), lambda y, x: nn.losses.squared_error(y, scaled(x))
    objective = train.supervised(model, error, metrics={"squared_error": error})
    steps = train.steps_for(training, epochs=config.epochs, batch_size=config.batch_size)
    rate = optim.warmup(optim.cosine(config.rate, steps), 300)
    result = train.fit(
        objective,
        optim.adamw(rate, weight_decay=0.1, decayed="*/w"),
        training,
        epochs=config.epochs,
        batch_size=config.batch_size,
        seed=config.seed,
        validation=validation,
        out=out,
        resume=config.resume,
    )
    x = data.test[0]
    scores = train.evaluate(objective, result.variables, (x, x))
    scores["pca"] = pca_error(training[0], x)
    print("mnist: test " + ", ".join(f"{name} {value:.3f}" for name, value in scores.items()))
    if out is not None:
        (out / "result.json").write_text(json.dumps(scores, indent=2) + "\n")
        with suppress(ImportError):
            train.plot_history(result.history).savefig(out / "curves.png")
            shown = np.concatenate([x[:10] / 255, train.predict(model, result.variables, x[:10])])
            train.plot_images(shown, columns=10).savefig(out / "reconstructions.png")
    return result

"""Autoencoders of MNIST: 784 pixels through a code of 30 numbers. Copy this file and change it."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import optax

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


SMOKE = {"epochs": 1}
"""Settings to try it with, in half a minute."""


def scaled(x: jax.Array) -> jax.Array:
    """Bring pixels from 0..255 to [0, 1]."""
    return x.astype("float32") / 255


def images(x: jax.Array) -> jax.Array:
    """Bring rows of 784 pixels back into images."""
    return x.reshape(-1, 28, 28, 1)


def inputs(config: Config) -> jax.ShapeDtypeStruct:
    """Tell what the model takes: one image."""
    return jax.ShapeDtypeStruct((1, 28, 28, 1), "uint8")


def build(config: Config) -> nn.Layer:
    """Make the model, from images to images."""
    if config.model == "convolutional":
        return nn.serial(scaled, nn.conv_autoencoder(1, 16, 8), nn.sigmoid)
    sizes, sparse = (784, 1000, 500, 250, 30), nn.serial(nn.sigmoid, nn.kl_sparsity(0.05, 0.1))
    models = {
        "deep": nn.autoencoder(*sizes, activation=nn.elu),
        "tied": nn.autoencoder(*sizes, activation=nn.elu, tied=True),
        "denoising": nn.serial(nn.masking_noise(0.25), nn.autoencoder(784, 500, code=nn.sigmoid)),
        "sparse": nn.autoencoder(784, 500, code=sparse),
        "k_sparse": nn.autoencoder(784, 1000, code=nn.k_sparse(25)),
    }
    return nn.serial(scaled, nn.flatten(), models[config.model], nn.sigmoid, images)


def pca_error(training: Any, test: Any, components: int = 30) -> float:
    """Mean squared error an image of the test set in the training set's principal components."""
    x, y = (np.float32(images.reshape(len(images), -1)) / 255 for images in (training, test))
    rest = np.linalg.eigh(np.cov(x.T))[1][:, :-components]
    return float(np.square((y - x.mean(0)) @ rest).sum(1).mean())


def error(y: jax.Array, x: jax.Array) -> nn.losses.PerExample:
    """Squared error of an image, the sum over its pixels."""
    return nn.losses.squared_error(y, scaled(x))


def objective(config: Config) -> train.Objective:
    """Say what is minimized."""
    return train.supervised(build(config), error, metrics={"squared_error": error})


def optimizer(config: Config, steps: int) -> optax.GradientTransformation:
    """Say by what."""
    rate = optim.warmup(optim.cosine(config.rate, steps), min(300, steps))
    return optim.adamw(rate, weight_decay=0.1, decayed="*/w")


def examples(config: Config) -> tuple[Any, Any]:
    """Read the training and the validation examples, each its own target."""
    images = train.data.mnist().train[0]
    training, validation = train.data.split((images, images), 0.9, seed=config.seed)
    return training, validation


def test(config: Config, variables: nn.Variables) -> dict[str, float]:
    """Score on the test images beside the principal components, and draw some."""
    x, out = train.data.mnist().test[0], config.out
    scores = train.evaluate(objective(config), variables, (x, x))
    scores["pca"] = pca_error(examples(config)[0][0], x)
    print("mnist: test " + ", ".join(f"{name} {value:.3f}" for name, value in scores.items()))
    if out is not None:
        (out / "result.json").write_text(json.dumps(scores, indent=2) + "\n")
        with suppress(ImportError):
            made = train.predict(build(config), variables, x[:10])
            shown = np.concatenate([x[:10] / 255, made])
            train.plot_images(shown, columns=10).savefig(out / "reconstructions.png")
    return scores


def main(config: Config) -> train.Result:
    """Train, test beside the principal components, and draw."""
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

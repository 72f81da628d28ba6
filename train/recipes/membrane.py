"""Membranes in electron micrographs: a U-Net, k folds. Copy this file and change it."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from laminax import nn, optim, train


@dataclass(frozen=True)
class Config:
    """Find the membranes in 30 micrographs of 512×512 pixels by a U-Net, each from the others."""

    folds: int = 5
    """Parts of the stack, each of consecutive slices, left out in turn."""
    depth: int = 3
    """How often the resolution is halved."""
    width: int = 16
    """Features at full resolution."""
    epochs: int = 2
    """Passes over the training slices in their eight symmetries."""
    tile: int = 256
    """Side of the squares that training sees."""
    batch_size: int = 4
    """Squares a step."""
    rate: float = 2e-3
    """Highest learning rate."""
    seed: int = 0
    """Decides parameters, data order and noise."""
    out: Path | None = None
    """Folder for config, scores and pictures."""
    resume: bool = False
    """Go on from the newest checkpoint in that folder."""


SMOKE = {"folds": 2, "depth": 1, "width": 2, "epochs": 1, "tile": 64, "batch_size": 64}
"""Settings to try it with, in half a minute."""


def scaled(x: jax.Array) -> jax.Array:
    """Bring pixels from 0..255 to [-1, 1]."""
    return x.astype(jnp.float32) / 127.5 - 1


def symmetries(images: NDArray[Any]) -> NDArray[Any]:
    """Turn and mirror images (n, side, side, ...) in all eight ways a square can be."""
    turned = [np.rot90(images, k, (1, 2)) for k in range(4)]
    return np.concatenate([*turned, *(image.swapaxes(1, 2) for image in turned)])


def tiles(images: NDArray[Any], side: int) -> NDArray[Any]:
    """Cut images (n, height, width, ...) into squares."""
    n, height, width, *rest = images.shape
    rows = images.reshape(n, height // side, side, width // side, side, *rest)
    return rows.swapaxes(2, 3).reshape(-1, side, side, *rest)


def inputs(config: Config) -> jax.ShapeDtypeStruct:
    """Tell what the model takes: one micrograph, or a part of one."""
    return jax.ShapeDtypeStruct((1, config.tile, config.tile, 1), "uint8")


def build(config: Config) -> nn.Layer:
    """Make the model."""
    return nn.serial(scaled, nn.unet(2, depth=config.depth, width=config.width))


def objective(config: Config) -> train.Objective:
    """Say what is minimized."""
    return train.supervised(
        build(config), nn.losses.cross_entropy, metrics={"accuracy": nn.metrics.accuracy}
    )


def optimizer(config: Config, steps: int) -> optax.GradientTransformation:
    """Say by what."""
    return optim.adamw(optim.cosine(config.rate, steps))


def examples(config: Config, fold: int = 0) -> tuple[Any, Any]:
    """Cut the slices outside of a fold, in all symmetries, and those of the fold, into squares."""
    data = train.data.membrane()
    held = np.array_split(np.arange(len(data.x)), config.folds)[fold]
    rest = np.delete(np.arange(len(data.x)), held)
    training = tuple(tiles(symmetries(part[rest]), config.tile) for part in (data.x, data.y))
    return training, tuple(tiles(part[held], config.tile) for part in (data.x, data.y))


def main(config: Config) -> dict[str, float]:
    """Train on all folds but one, test on that one, in turn; tell the scores of all slices."""
    out = train.run_folder(config)
    data = train.data.membrane()
    probability = np.zeros(data.y.shape, np.float32)
    for i, fold in enumerate(np.array_split(np.arange(len(data.x)), config.folds)):
        probability[fold] = fitted(config, i)(data.x[fold])
        scores = judged(probability[fold], data.y[fold])
        print(f"fold {i + 1} of {config.folds}: {told(scores)}", flush=True)
    scores = judged(probability, data.y)
    print(f"membrane: {told(scores)}, each of {len(data.x)} slices by a model that never saw it")
    if out is not None:
        (out / "result.json").write_text(json.dumps(scores, indent=2) + "\n")
        with suppress(ImportError):
            drawn(data, probability).savefig(out / "membrane.png")
        print(f"written to {out}")
    return scores


def fitted(config: Config, fold: int) -> Any:
    """Train without a fold; return a function of images to the probability of membrane."""
    training, _ = examples(config, fold)
    out = config.out and config.out / f"fold_{fold}"
    steps = train.steps_for(training, epochs=config.epochs, batch_size=config.batch_size)
    result = train.fit(
        objective(config),
        optimizer(config, steps),
        training,
        epochs=config.epochs,
        batch_size=config.batch_size,
        seed=config.seed,
        out=out,
        resume=config.resume,
    )
    if result.interrupted:
        raise KeyboardInterrupt  # the other folds are not to be trained either
    train.save_curves(result.history, out)

    def probability(x: NDArray[Any]) -> NDArray[Any]:
        logits = train.predict(build(config), result.variables, x, batch_size=1)
        return np.asarray(jax.nn.softmax(logits))[..., 1]

    return probability


def judged(probability: NDArray[Any], labels: NDArray[Any]) -> dict[str, float]:
    """Return the Dice coefficient of the membrane, and the share of wrong pixels."""
    confusion = nn.metrics.confusion_matrix((probability > 0.5).astype(int), labels, 2)
    error = 1 - float(nn.metrics.f1(confusion, "micro"))
    return {"dice": float(nn.metrics.f1(confusion)[1]), "pixel_error": error}


def told(scores: dict[str, float]) -> str:
    """Write the scores as a person reads them."""
    return f"Dice {scores['dice']:.4f}, pixel error {scores['pixel_error']:.2%}"


def drawn(data: train.data.Segmentation, probability: NDArray[Any]) -> Any:
    """Draw four slices: the image, its labels, what the models found, where they err."""
    rows = np.linspace(0, len(data.x) - 1, 4).astype(int)
    found = probability[rows] > 0.5
    labels = data.y[rows].astype(bool)
    pictures = (255 - data.x[rows, ..., 0], 255 * labels, 255 * found, 255 * (found != labels))
    names = ("slice", "membrane", "found", "wrong")
    titles = [f"{name} {row}" if name == "slice" else name for row in rows for name in names]
    images = np.stack(pictures, 1).reshape(-1, *data.y.shape[1:])
    return train.plot_images(images, titles, columns=4)

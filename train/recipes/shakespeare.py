"""Tiny Shakespeare: a model of the next character. Copy this file and change it."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import optax
from numpy.typing import NDArray

from laminax import nn, optim, train

VOCABULARY = 65
"""Distinct characters of the text."""


@dataclass(frozen=True)
class Config:
    """Train a model of the next character of tiny Shakespeare, 1.1 million characters."""

    model: Literal["gpt", "lstm"] = "gpt"
    """A transformer, or two LSTM layers."""
    layers: int = 4
    """Blocks of the transformer."""
    heads: int = 4
    """Heads of each attention."""
    features: int = 128
    """Features of the transformer."""
    units: int = 235
    """Units of each LSTM layer; 235 make as many parameters as the transformer has."""
    context: int = 64
    """Characters that the model sees."""
    dropout: float = 0.0
    """Rate of dropout."""
    steps: int = 2000
    """Training steps."""
    batch_size: int = 12
    """Windows a step."""
    rate: float = 2e-3
    """Highest learning rate."""
    seed: int = 0
    """Decides parameters, data order and noise."""
    out: Path | None = None
    """Folder for config, history, checkpoint and a text of the model's own."""
    resume: bool = False
    """Go on from the newest checkpoint in that folder."""


SMOKE = {"steps": 60}
"""Settings to try it with, in half a minute."""


def inputs(config: Config) -> jax.ShapeDtypeStruct:
    """Tell what the model takes: one window of characters."""
    return jax.ShapeDtypeStruct((1, config.context), "int32")


def build(config: Config) -> nn.Layer:
    """Make the model."""
    if config.model == "lstm":
        return nn.serial(
            nn.embedding(VOCABULARY, config.features),
            nn.lstm(config.units),
            nn.dropout(config.dropout),
            nn.lstm(config.units),
            nn.dropout(config.dropout),
            nn.dense(VOCABULARY),
        )
    return nn.gpt(
        VOCABULARY,
        layers=config.layers,
        heads=config.heads,
        features=config.features,
        context=config.context,
        dropout=config.dropout,
    )


def cut(series: NDArray[np.uint16], config: Config) -> tuple[NDArray[Any], ...]:
    """Cut as many windows, evenly spread over the series, as the training steps take."""
    wanted = config.steps * config.batch_size
    step = max(1, (len(series) - config.context - 1) // max(wanted - 1, 1))
    window = train.data.windows(series, config.context + 1, step=step)[:wanted]
    return window[:, :-1], window[:, 1:]


def whole(series: NDArray[np.uint16], context: int) -> tuple[NDArray[Any], ...]:
    """Cut a series into windows that predict each of its characters but the first once.

    The last window is filled up; the mask tells what is real.
    """
    filled = np.pad(series, (0, -(len(series) - 1) % context))
    window = train.data.windows(filled, context + 1, step=context)
    real = np.arange(1, len(filled)) < len(series)
    return window[:, :-1], window[:, 1:], real.reshape(-1, context)


def objective(config: Config) -> train.Objective:
    """Say what is minimized."""
    return train.supervised(build(config), nn.losses.cross_entropy)


def optimizer(config: Config, steps: int) -> optax.GradientTransformation:
    """Say by what."""
    falling = optim.cosine(config.rate, steps, end=config.rate / 10)
    return optim.chain(
        optim.clip_by_norm(1.0),
        optim.adamw(optim.warmup(falling, min(100, steps // 2)), b2=0.99, weight_decay=0.1),
    )


def examples(config: Config) -> tuple[Any, Any]:
    """Cut the training text into windows, and some of the validation text, for searches."""
    text = train.data.tiny_shakespeare()
    return cut(text.train, config), cut(text.validation, dataclasses.replace(config, steps=100))


def test(config: Config, variables: nn.Variables) -> dict[str, float]:
    """Tell the loss over the whole validation text, and let the model write some."""
    text, model = train.data.tiny_shakespeare(), build(config)
    x, y, real = whole(text.validation, config.context)
    masked = train.supervised(model, nn.losses.masked(nn.losses.cross_entropy))
    scores = train.evaluate(masked, variables, (x, (y, real)))
    size = sum(leaf.size for leaf in jax.tree.leaves(variables.params))
    print(
        f"tinyshakespeare: {config.model}, {size:,} parameters: validation loss "
        f"{scores['loss']:.4f} nats a character, over {real.sum():,} characters"
    )
    written = continuation(model, variables, text.characters, config)
    print(written)
    if config.out is not None:
        (config.out / "result.json").write_text(json.dumps(scores, indent=2) + "\n")
        (config.out / "text.txt").write_text(written + "\n")
    return scores


def main(config: Config) -> train.Result:
    """Train, tell the loss over the whole validation text, and write some text."""
    out = train.run_folder(config)
    training, _ = examples(config)
    result = train.fit(
        objective(config),
        optimizer(config, config.steps),
        training,
        epochs=-(-config.steps * config.batch_size // len(training[0])),
        batch_size=config.batch_size,
        seed=config.seed,
        every=max(1, config.steps // 20),
        out=out,
        resume=config.resume,
    )
    train.save_curves(result.history, out)
    test(config, result.variables)
    return result


def continuation(
    model: nn.Layer, variables: nn.Variables, characters: train.data.Characters, config: Config
) -> str:
    """Let the model go on from a line break until its context is full."""
    prompt = characters.encode("\n")[None]
    sample = nn.decoding.categorical(nn.decoding.temperature(0.8))
    key = jax.random.key(config.seed)
    made = nn.decoding.generate(
        model, variables, prompt, config.context - 1, key=key, sample=sample
    )
    return characters.decode(np.asarray(made.tokens[0]))

"""Multi30k: German to English, by a transformer. Copy this file and change it."""

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
from numpy.typing import NDArray

from laminax import nn, optim, train

PADDING, START, END = 0, 2, 3
"""Special symbols of `BytePairs`."""


@dataclass(frozen=True)
class Config:
    """Train a transformer to translate descriptions of pictures from German to English."""

    vocabulary: int = 6000
    """Byte pairs of each language."""
    layers: int = 3
    """Blocks of the encoder, and of the decoder."""
    heads: int = 4
    """Heads of each attention."""
    features: int = 256
    """Features of each step."""
    dropout: float = 0.3
    """Rate of dropout."""
    length: int = 48
    """Longest sentence to train on, in byte pairs."""
    examples: int = 29_000
    """Pairs to train on, at most 29,000."""
    epochs: int = 30
    """Passes over them."""
    batch_size: int = 128
    """Pairs a step."""
    rate: float = 1e-3
    """Highest learning rate."""
    beams: int = 5
    """Translations that the search follows at a time."""
    tested: int = 1000
    """Test sentences to translate, at most 1,000."""
    seed: int = 0
    """Decides parameters, data order and noise."""
    out: Path | None = None
    """Folder for config, history, checkpoint and translations."""
    resume: bool = False
    """Go on from the newest checkpoint in that folder."""


SMOKE = {
    **{"vocabulary": 600, "layers": 1, "features": 32, "length": 32, "examples": 2000},
    **{"epochs": 1, "beams": 2, "tested": 50},
}
"""Settings to try it with, in half a minute."""


@functools.cache
def vocabularies(size: int) -> tuple[train.data.BytePairs, ...]:
    """Learn so many byte pairs of each language from its training sentences."""
    texts = train.data.multi30k().train
    return tuple(train.data.BytePairs.fit(text, size=size) for text in texts)


def padded(sentences: list[NDArray[np.int32]], length: int) -> NDArray[np.int32]:
    """Write sentences as rows, cut and filled up to one length."""
    rows = np.full((len(sentences), length), PADDING, np.int32)
    for row, sentence in zip(rows, sentences, strict=True):
        row[: len(sentence)] = sentence[:length]
    return rows


def written(pairs: tuple[list[str], list[str]], config: Config) -> tuple[Any, ...]:
    """Write pairs as ((source, target so far), (target, mask), lengths); too long ones are out."""
    german, english = vocabularies(config.vocabulary)
    numbers = [(german.encode(a), english.encode(b)) for a, b in zip(*pairs, strict=True)]
    short = [pair for pair in numbers if max(map(len, pair)) < config.length]
    source = padded([a for a, _ in short], config.length)
    target = padded([np.array([START, *b, END]) for _, b in short], config.length + 1)
    lengths = np.array([len(a) for a, _ in short], np.int32)
    so_far, following = target[:, :-1], target[:, 1:]
    return (source, so_far), (following, following != PADDING), {"memory_lengths": lengths}


def inputs(config: Config) -> tuple[jax.ShapeDtypeStruct, jax.ShapeDtypeStruct]:
    """Tell what the model takes: one sentence, and its translation so far."""
    sentence = jax.ShapeDtypeStruct((1, config.length), "int32")
    return sentence, sentence


def build(config: Config) -> nn.Layer:
    """Make the model."""
    return nn.transformer(
        config.vocabulary,
        config.vocabulary,
        layers=config.layers,
        heads=config.heads,
        features=config.features,
        hidden=4 * config.features,
        dropout=config.dropout,
        post_norm=False,
    )


def objective(config: Config) -> train.Objective:
    """Say what is minimized."""
    loss = nn.losses.smoothed(nn.losses.cross_entropy, 0.1)
    return train.supervised(build(config), nn.losses.masked(loss))


def optimizer(config: Config, steps: int) -> optax.GradientTransformation:
    """Say by what."""
    rate = optim.warmup(optim.cosine(config.rate, steps), min(1000, steps // 4 + 1))
    return optim.chain(optim.clip_by_norm(1.0), optim.adam(rate, b2=0.98))


def examples(config: Config) -> tuple[Any, Any]:
    """Write the training and the validation pairs."""
    data = train.data.multi30k()
    training = data.train[0][: config.examples], data.train[1][: config.examples]
    return written(training, config), written(data.validation, config)


def translations(config: Config, variables: nn.Variables, sentences: list[str]) -> list[str]:
    """Search for the likeliest translation of each sentence."""
    (german, english), model = vocabularies(config.vocabulary), build(config)
    read, write = (nn.Variables(variables.params[name], {}) for name in ("encoder", "decoder"))
    found = []
    for start in range(0, len(sentences), 50):
        numbers = [german.encode(sentence) for sentence in sentences[start : start + 50]]
        lengths = np.array([min(len(n), config.length) for n in numbers], np.int32)
        source = padded(numbers, config.length)
        made = nn.decoding.beam_search(
            model.children["decoder"],
            write,
            np.full((len(numbers), 1), START, np.int32),
            config.length,
            beams=config.beams,
            stop=END,
            length_penalty=0.6,
            memory=model.children["encoder"](read, source, lengths=lengths),
            memory_lengths=lengths,
        )
        for row in np.asarray(made.tokens[:, 0, 1:]):
            ends = np.flatnonzero(row == END)
            found.append(english.decode(row[: ends[0]] if len(ends) else row).strip())
    return found


def test(config: Config, variables: nn.Variables) -> dict[str, float]:
    """Tell the BLEU of the test sentences' translations, and show some."""
    german, english = (part[: config.tested] for part in train.data.multi30k().test)
    made = translations(config, variables, german)
    scores = {"bleu": nn.metrics.bleu(made, english), "sentences": float(len(made))}
    print(f"multi30k: BLEU {scores['bleu']:.2f} of {len(made):,} test sentences")
    lines = [f"{a}\n  {b}\n  ({c})" for a, b, c in zip(german, made, english, strict=True)]
    print("\n".join(lines[:3]))
    if config.out is not None:
        (config.out / "result.json").write_text(json.dumps(scores, indent=2) + "\n")
        (config.out / "translations.txt").write_text("\n".join(lines) + "\n")
    return scores


def main(config: Config) -> train.Result:
    """Train, then translate the test sentences."""
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

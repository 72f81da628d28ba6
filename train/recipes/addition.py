"""Addition: "123+45" to "168", character by character. Copy this file and change it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import optax
from numpy.typing import NDArray

from laminax import nn, optim, train

CHARACTERS = train.data.Characters("\n+0123456789")
"""A line break starts an answer, ends it and fills up what is shorter."""


@dataclass(frozen=True)
class Config:
    """Train a sequence-to-sequence model to add numbers of up to three digits."""

    attention: Literal["additive", "dot", "none"] = "dot"
    """How the decoder reads the problem."""
    cell: Literal["lstm", "gru"] = "lstm"
    """What both halves are made of."""
    units: int = 128
    """Units of each."""
    examples: int = 100_000
    """Problems to train on."""
    epochs: int = 14
    """Passes over them."""
    batch_size: int = 128
    """Problems a step."""
    rate: float = 4e-3
    """Highest learning rate."""
    seed: int = 0
    """Decides problems, parameters and data order."""
    out: Path | None = None
    """Folder for config, history, checkpoint and scores."""
    resume: bool = False
    """Go on from the newest checkpoint in that folder."""


SMOKE = {"examples": 5_000, "epochs": 1}
"""Settings to try it with, in half a minute."""


def problems(count: int, seed: int) -> NDArray[np.int64]:
    """Draw distinct pairs of numbers below 1000, of which none is another the other way around."""
    random, pairs = np.random.default_rng(seed), np.stack(np.triu_indices(1000), 1)
    return random.permuted(random.permutation(pairs)[:count], axis=1)


def rows(texts: list[str], length: int) -> NDArray[np.int32]:
    """Write each text as a row of numbers, filled up with line breaks."""
    joined = "".join(text.ljust(length, "\n") for text in texts)
    return CHARACTERS.encode(joined).reshape(-1, length).astype(np.int32)


def written(pairs: NDArray[np.int64]) -> tuple[Any, ...]:
    """Write problems and answers, in reading order: ((source, target so far), target, lengths)."""
    questions = [f"{a}+{b}" for a, b in pairs]
    target = rows([f"\n{a + b}" for a, b in pairs], 6)
    lengths = np.array([len(question) for question in questions], np.int32)
    source = rows(questions, 7)
    return (source, target[:, :-1]), target[:, 1:], {"memory_lengths": lengths}


def inputs(config: Config) -> tuple[jax.ShapeDtypeStruct, jax.ShapeDtypeStruct]:
    """Tell what the model takes: one problem, and its answer so far."""
    return jax.ShapeDtypeStruct((1, 7), "int32"), jax.ShapeDtypeStruct((1, 5), "int32")


def build(config: Config) -> nn.Layer:
    """Make the model."""
    cell = {"lstm": nn.lstm, "gru": nn.gru}[config.cell](config.units)
    read = {"additive": nn.additive_attention(config.units), "dot": nn.dot_attention()}
    size = len(CHARACTERS)
    return nn.seq2seq(size, size, cell, features=32, attention=read.get(config.attention))


def exact(logits: jax.Array, target: jax.Array) -> jax.Array:
    """Tell whether all of an answer's characters are right."""
    return (logits.argmax(-1) == target).all(-1).astype("float32")


def answers(model: nn.Layer, variables: nn.Variables, data: tuple[Any, ...]) -> NDArray[Any]:
    """Let the model write its answers, likeliest character by character."""
    (source, target), _, side = data
    encoder, decoder = (
        (model.children[name], nn.Variables(variables.params[name], {}))
        for name in ("encoder", "decoder")
    )
    memory, carry = encoder[0](encoder[1], source, lengths=side["memory_lengths"])
    given = {"memory": memory, "carry": carry, **side}
    made = nn.decoding.generate(*decoder, target[:, :1], 5, stop=0, **given)
    return np.asarray(made.tokens[:, 1:])


def objective(config: Config) -> train.Objective:
    """Say what is minimized."""
    return train.supervised(build(config), nn.losses.cross_entropy, metrics={"exact": exact})


def optimizer(config: Config, steps: int) -> optax.GradientTransformation:
    """Say by what."""
    schedule = optim.warmup(optim.cosine(config.rate, steps), min(500, steps // 2))
    return optim.chain(optim.clip_by_norm(1.0), optim.adam(schedule))


def parts(config: Config) -> list[NDArray[np.int64]]:
    """Draw the problems to test on, to validate on and to train on."""
    held_out = 5_000
    pairs = problems(config.examples + 2 * held_out, config.seed)
    return np.split(pairs, [held_out, 2 * held_out])


def examples(config: Config) -> tuple[Any, Any]:
    """Write the training and the validation problems."""
    _, validation, training = parts(config)
    return written(training), written(validation)


def test(config: Config, variables: nn.Variables) -> dict[str, float]:
    """Let the model answer problems never seen, and show some answers."""
    pairs = parts(config)[0]
    data = written(pairs)
    made = answers(build(config), variables, data)
    right = (made == data[1]).all(1)
    print(f"addition: {right.mean():.2%} of {len(right):,} problems never seen exactly right")
    for i in [*np.flatnonzero(~right)[:3], *np.flatnonzero(right)[:3]]:
        question, answer = (CHARACTERS.decode(row).strip() for row in (data[0][0][i], made[i]))
        print(f"  {question} = {answer}" + ("" if right[i] else f", not {sum(pairs[i])}"))
    scores = {"exact": float(right.mean()), "problems": len(right)}
    if config.out is not None:
        (config.out / "result.json").write_text(json.dumps(scores, indent=2) + "\n")
    return scores


def main(config: Config) -> train.Result:
    """Train, then test on problems never seen."""
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

"""The run folder: config.json, history.csv, checkpoint, result.json, and pictures."""

import dataclasses
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from laminax.nn import Layer, Variables

from ._evaluate import evaluate, predict
from ._history import History
from ._objective import Objective
from .checkpoint import checkpoints, writable
from .data import DataSet
from .display import plot_confusion, plot_history


def run_folder(config: Any) -> Path | None:
    """Make the folder `config.out` and write `config.json` into it; None where `out` is None.

    Where `config.resume` is true, the configuration that stands there must be the same.

    Args:
        config: a dataclass with a field `out`, of a module that is the recipe.

    Raises:
        OSError: the folder cannot be written.
        FileExistsError: it holds the checkpoints of a run that is not to be gone on with.
        ValueError: a run to go on with has other settings.

    >>> import dataclasses
    >>> from laminax import train
    >>> @dataclasses.dataclass
    ... class Config:
    ...     out: str | None = None
    >>> train.run_folder(Config()) is None
    True
    """
    if config.out is None:
        return None
    folder = writable(config.out)
    told = {"recipe": recipe_name(config), **dataclasses.asdict(config)}
    told = json.loads(json.dumps(told, default=os.fspath))
    path = folder / "config.json"
    resume = getattr(config, "resume", False)
    if checkpoints(folder) and not resume:
        raise FileExistsError(
            f"run_folder: {folder} holds the checkpoints of a run; go on with it by resume, or "
            "choose another folder"
        )
    if resume and path.is_file():
        before = json.loads(path.read_text())
        differing = [
            f"{name} was {before.get(name)!r}, now {told.get(name)!r}"
            for name in (before | told).keys() - {"out", "resume"}
            if before.get(name) != told.get(name)
        ]
        if differing:
            raise ValueError(
                f"run_folder: the run in {folder} has other settings: {'; '.join(differing)}; go "
                "on with its own, or choose another folder"
            )
    path.write_text(json.dumps(told, indent=2) + "\n")
    return folder


def recipe_name(config: Any) -> str:
    """Tell which recipe a configuration is of: the module of its class."""
    return type(config).__module__.rpartition(".")[2]


def report(
    objective: Objective,
    model: Layer,
    variables: Variables,
    data: DataSet,
    out: Path | None = None,
) -> dict[str, float]:
    """Score a classifier on the test set, print it, and draw its confusions into `out`.

    The picture needs the `viz` extra and is left out without it.

    Args:
        objective: the loss and metrics.
        model: the classifier, whose outputs are logits.
        variables: those of the trained model.
        data: the data set; its test part is used once, here.
        out: the run folder.
    """
    scores = evaluate(objective, variables, data.test)
    x, y = data.test
    told = ", ".join(
        f"{name} {value:.2%}" if name == "accuracy" else f"{name} {value:.4f}"
        for name, value in sorted(scores.items())
    )
    print(f"{data.name}: test {told} on {len(y):,} held-out examples")
    if out is not None:
        (out / "result.json").write_text(json.dumps(scores, indent=2) + "\n")
        with suppress(ImportError):
            predicted = np.argmax(predict(model, variables, x), axis=-1)
            plot_confusion(y, predicted, data.classes).savefig(out / "confusion.png")
        print(f"written to {out}")
    return scores


def save_curves(history: History, out: Path | None) -> None:
    """Draw a run's curves as `curves.png` into its folder, where there is one.

    The picture needs the `viz` extra and is left out without it, and for a run without a row.

    >>> from laminax import train
    >>> train.save_curves(train.History(epoch=[1, 2], loss=[0.9, 0.3]), None)
    """
    if out is not None and history.get("epoch"):
        with suppress(ImportError):
            plot_history(history).savefig(out / "curves.png")

"""The run folder: config.json, history.csv, checkpoint, result.json, and pictures."""

import dataclasses
import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from laminax.nn import Layer

from ._evaluate import evaluate, predict
from ._objective import Objective
from ._result import Result
from .checkpoint import writable
from .data import DataSet
from .display import plot_confusion, plot_history


def run_folder(config: Any) -> Path | None:
    """Make the folder `config.out` and write `config.json` into it; None where `out` is None.

    Args:
        config: a dataclass with a field `out`.

    Raises:
        OSError: the folder cannot be written.

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
    text = json.dumps(dataclasses.asdict(config), indent=2, default=os.fspath)
    (folder / "config.json").write_text(text + "\n")
    return folder


def report(
    result: Result, objective: Objective, model: Layer, data: DataSet, out: Path | None = None
) -> dict[str, float]:
    """Score a classifier on the test set, print it, and draw the run into `out`.

    The pictures need the `viz` extra and are left out without it.

    Args:
        result: what `fit` returned.
        objective: the loss and metrics.
        model: the classifier, whose outputs are logits.
        data: the data set; its test part is used once, here.
        out: the run folder.
    """
    scores = evaluate(objective, result.variables, data.test)
    print(_sentence(result, scores, data))
    if out is not None:
        (out / "result.json").write_text(json.dumps(scores, indent=2) + "\n")
        if importlib.util.find_spec("matplotlib"):
            _draw(result, model, data, out)
        print(f"written to {out}")
    return scores


def _sentence(result: Result, scores: dict[str, float], data: DataSet) -> str:
    seconds = sum(result.history.get("seconds", []))
    epochs = len(result.history.get("epoch", []))
    told = ", ".join(
        f"{name} {value:.2%}" if name == "accuracy" else f"{name} {value:.4f}"
        for name, value in sorted(scores.items())
    )
    ended = " (interrupted)" if result.interrupted else ""
    return (
        f"{data.name}: test {told} on {len(data.test[1]):,} held-out examples, "
        f"after {epochs} epochs in {seconds:.1f} s{ended}"
    )


def _draw(result: Result, model: Layer, data: DataSet, out: Path) -> None:
    x, y = data.test
    predicted = np.argmax(predict(model, result.variables, x), axis=-1)
    plot_confusion(y, predicted, data.classes).savefig(out / "confusion.png")
    if result.history.get("epoch"):
        plot_history(result.history).savefig(out / "curves.png")

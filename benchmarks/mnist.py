"""Epoch times on MNIST, side by side: `python -m benchmarks.mnist --help`."""

import argparse
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from laminax.train import data

from ._process import AbsentError, Worker
from ._report import Times, head, table
from .peers import NAMES, Data

# Images in what counts as an epoch. A step of the CNN costs tens of the MLP's, so 94 steps of it
# are timed and given as the time of 60,000 images.
_IMAGES = {"mlp": 60_000, "cnn": 94 * 128}


def measure(
    model: str, names: list[str], rounds: int, seed: int, folder: str
) -> tuple[list[Times], dict[str, str]]:
    """The times of each contender, and why some are absent."""
    workers, skipped, first = [], {}, {}
    scale = 60_000 / _IMAGES[model]
    for name in names:
        try:
            arguments = [name, model, str(seed), folder]
            worker = Worker(name, f"{__package__}._worker", arguments, folder)
        except AbsentError as reason:
            skipped[name] = str(reason)
            print(f"{model} {name}: skipped, {reason}", flush=True)
            continue
        workers.append(worker)
        first[name] = worker.ask("epoch")["seconds"]  # with compilation, so not to be scaled
        print(f"{model} {name}: first epoch {first[name]:.2f} s", flush=True)
    answers: dict[str, list[dict[str, Any]]] = {worker.name: [] for worker in workers}
    for i in range(rounds):
        turn = i % len(workers)
        for worker in workers[turn:] + workers[:turn]:  # nobody always follows the same one
            answers[worker.name].append(worker.ask("epoch"))
        times = (f"{name} {found[-1]['seconds']:.2f}" for name, found in answers.items())
        print(f"{model} round {i + 1}: {', '.join(times)}", flush=True)
    results = [
        Times(
            name=(name := worker.name),
            first=first[name],
            seconds=[answer["seconds"] * scale for answer in answers[name]],
            loss=answers[name][-1]["loss"],
            accuracy=worker.ask("score")["accuracy"],
            share=worker.start["share"],
        )
        for worker in workers
    ]
    for worker in workers:
        worker.close()
    return results, skipped


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.mnist", description="Epochs of MNIST.")
    parser.add_argument("--model", choices=["mlp", "cnn"], nargs="+", default=["mlp", "cnn"])
    parser.add_argument("--only", choices=NAMES, nargs="+", default=NAMES, metavar="CONTENDER")
    parser.add_argument("--rounds", type=int, default=7, help="timed epochs of each contender")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds: got {options.rounds}, expected 1 or more")

    text = head(shlex.join(["python", "-m", "benchmarks.mnist", *sys.argv[1:]]))
    with tempfile.TemporaryDirectory() as folder:
        for model in options.model:
            for field, array in zip(Data._fields, _mnist(_IMAGES[model]), strict=True):
                np.save(Path(folder, f"{field}.npy"), array)
            names = [name for name in NAMES if name in options.only]
            results, skipped = measure(model, names, options.rounds, options.seed, folder)
            if results:
                text += "\n" + table(model, results, skipped)
    options.out.write_text(text)
    print("\n" + text)


def _mnist(images: int) -> Data:
    (x, y), (x_test, y_test) = data.mnist()[1:3]
    return Data(x[:images] / np.float32(255), y[:images], x_test / np.float32(255), y_test)


if __name__ == "__main__":
    main()

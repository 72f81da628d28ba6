"""Many settings in one program beside trainings one by one: `python -m benchmarks.sweep --help`."""

import argparse
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from ._machine import machine
from ._process import AbsentError, EndedError, Worker
from ._sweep_cases import BATCH, CASES, CONTENDERS, Data


class Result(NamedTuple):
    """One contender's sweeps."""

    name: str
    first: float  # s, compilation included
    seconds: list[float]  # s, of each later round
    accuracies: list[float]  # on the held-out images, of each setting


def measure(
    model: str, options: argparse.Namespace, folder: str
) -> tuple[list[Result], dict[str, str]]:
    """One case by every contender: those that ran, and why others did not."""
    file = Path(folder, "data.npz")
    if not file.exists():
        np.savez(file, **_digits()._asdict())
    arguments = [model, str(options.epochs or CASES[model].epochs), str(options.side), str(file)]
    workers, failed = [], {}
    for name in options.only:
        try:
            module = f"{__package__}._sweep_worker"
            workers.append(Worker(name, module, [name, *arguments], folder, options.limit))
        except (AbsentError, EndedError) as reason:
            failed[name] = str(reason).strip().splitlines()[-1]
    answers: dict[str, list[Any]] = {worker.name: [] for worker in workers}
    for i in range(1 + options.rounds):
        turn = i % len(workers)
        for worker in workers[turn:] + workers[:turn]:  # nobody always follows the same one
            if worker.name not in failed:
                try:
                    answers[worker.name].append(worker.ask("round"))
                except EndedError as reason:
                    failed[worker.name] = str(reason).strip().splitlines()[-1]
    for worker in workers:
        worker.close()
    return [_result(n, found) for n, found in answers.items() if n not in failed], failed


def table(
    model: str, results: Sequence[Result], failed: Mapping[str, str], options: argparse.Namespace
) -> str:
    """One case as Markdown."""
    case, side = CASES[model], options.side
    epochs = options.epochs or case.epochs
    theirs = next((result for result in results if result.name == "torch"), None)
    lines = [
        f"## {model}",
        "",
        f"MLP 64-{case.width}-{case.width}-10, dropout {case.dropout:g}, {side**2} settings "
        f"({side} rates × {side} weight decays), {epochs} epochs, batch {BATCH}",
        "",
        "| contender | first s | ratio to torch | later s (min to max) | ratio to torch"
        " | best accuracy | mean accuracy |",
        "|---|---|---|---|---|---|---|",
        *(_row(result, theirs) for result in results),
        *(f"| {name} | {why} | | | | | |" for name, why in failed.items()),
    ]
    return "\n".join(lines) + "\n"


def head(command: str, rounds: int) -> str:
    """What is measured and on what, as Markdown."""
    return f"""\
# A sweep of the digits in one program

Written by `{command}`.

Each contender trains the same MLP on the same 1,132 images with AdamW under every setting, and
evaluates on 126 more after each epoch (scikit-learn at the end alone). float32, on the CPU. Each
has a process of its own; they take turns, one at a time, first once, compilation included, then in
each of {rounds} rounds. A ratio is the contender's time divided by that of torch, the later one the
median over the rounds: below 1 is faster. Accuracies are on held-out images after the last epoch:
of the best setting, and the mean over all.

- `laminax`: `train.sweep`; `laminax_devices`: the same with a host device for each core, over which
  the members are split; `laminax_fit`: `train.fit` in a loop, which compiles for every setting.
- `torch`: an eager loop over the batches, for one setting after another; `torch_fused`: the same
  with the fused optimizer on one thread; `torch_func`: all settings at once by `torch.func.vmap`,
  with an optimizer written by hand.
- `sklearn`: `MLPClassifier`, one setting after another; it has an L2 penalty for the decay, and no
  dropout.

{machine()}"""


def _digits() -> Data:
    from laminax import train  # here, so that no other process loads it

    training, held_out = train.data.split(train.data.digits().train, 0.9)
    pixels = [part[0].reshape(-1, 64).astype(np.float32) / 16 for part in (training, held_out)]
    return Data(pixels[0], training[1], pixels[1], held_out[1])


def _result(name: str, answers: Sequence[Any]) -> Result:
    first, *later = answers
    seconds = [answer["seconds"] for answer in later]
    return Result(name, first["seconds"], seconds, answers[-1]["accuracies"])


def _row(result: Result, theirs: Result | None) -> str:
    times = result.seconds
    ratios = ["", ""]
    if theirs:
        pairs = zip(times, theirs.seconds, strict=True)
        ratios = [f"{result.first / theirs.first:.3f}", f"{median(a / b for a, b in pairs):.3f}"]
    cells = [
        result.name,
        f"{result.first:.2f}",
        ratios[0],
        f"{median(times):.2f} ({min(times):.2f} to {max(times):.2f})",
        ratios[1],
        f"{100 * max(result.accuracies):.1f}%",
        f"{100 * np.mean(result.accuracies):.1f}%",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.sweep", description=__doc__)
    parser.add_argument("--models", choices=CASES, nargs="+", default=list(CASES), metavar="MODEL")
    parser.add_argument("--only", choices=CONTENDERS, nargs="+", default=list(CONTENDERS))
    parser.add_argument("--rounds", type=int, default=3, help="timings of each contender")
    parser.add_argument("--side", type=int, default=8, help="rates, and decays; settings are n²")
    parser.add_argument("--epochs", type=int, help="instead of the case's own")
    parser.add_argument("--limit", type=float, default=600, help="seconds, for an answer")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("SWEEP.md"))
    options = parser.parse_args()
    if options.rounds < 1 or options.side < 1:
        parser.error("--rounds and --side: expected 1 or more")

    tables = []
    for model in options.models:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            tables.append(table(model, *measure(model, options, folder), options))
        print(tables[-1], flush=True)
    text = head(shlex.join(["python", "-m", "benchmarks.sweep", *sys.argv[1:]]), options.rounds)
    options.out.write_text("\n".join([text, *tables]))


if __name__ == "__main__":
    main()

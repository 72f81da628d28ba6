"""What the training loop costs: `python -m benchmarks.loop --help`.

The same step of the same model over MNIST, in one process, the contenders in turn: a scan written
by hand, `fit`, `fit` that logs and writes checkpoints, and `fit` that reads its batches from disk.
"""

import argparse
import functools
import shlex
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from laminax import nn, optim, train

from ._machine import machine
from .scaling import rounds

BATCH = 128
SIZES = {"mlp": (60_000, 4), "cnn": (60_000, 1)}  # examples, epochs a measurement
OPTIMIZER = optim.adam(1e-3)
NAMES = ("scan", "fit", "fit, all on", "fit from disk")


def objective_of(name: str) -> train.Objective:
    model = {"mlp": nn.mlp(512, 512, 10), "cnn": nn.cnn()}[name]
    scaled = nn.serial(lambda x: x.astype(jnp.float32) / 255, model)
    return train.supervised(scaled, nn.losses.cross_entropy)


def by_hand(objective: train.Objective, data: Any, epochs: int) -> Callable[[], float]:
    """The library's step, scanned over the library's order of the examples, and nothing else."""
    step = train.step(objective, OPTIMIZER)
    n = len(data[0])
    steps = -(-n // BATCH)

    @functools.partial(jax.jit, donate_argnums=0)
    def epoch(state: train.TrainState, data: Any) -> Any:
        def body(state: train.TrainState, _: None) -> Any:
            rows = train.data.index(state.data_key, state.step, BATCH, n)
            state, metrics = step(state, train.data.gather(data, rows))
            return state, metrics["loss"]

        return jax.lax.scan(body, state, length=steps)

    held = jax.device_put(data)

    def measure() -> float:
        state = train.init(objective, OPTIMIZER, data)
        start = time.perf_counter()
        for _ in range(epochs):
            state, losses = epoch(state, held)
            float(losses.mean())
        return time.perf_counter() - start

    return measure


def fitting(
    objective: train.Objective, data: Any, epochs: int, **options: Any
) -> Callable[[], float]:
    """`fit`, all it does before its first step and after its last left out, as above."""

    def measure() -> float:
        times: dict[str, float] = {}

        def clock(event: str, view: train.View) -> None:
            times[event] = time.perf_counter()

        with tempfile.TemporaryDirectory() as folder:
            extra: dict[str, Any] = {"progress": False, "callbacks": [clock]}
            if options.get("everything"):
                extra["out"] = Path(folder, "run")
                extra["checkpoints"] = train.Checkpoints(minutes=2 / 60)
                extra["callbacks"] = [train.log_jsonl(Path(folder, "log.jsonl")), clock]
                extra["progress"] = True
            made = data() if callable(data) else data
            train.fit(objective, OPTIMIZER, made, epochs=epochs, batch_size=BATCH, **extra)
        return times["end"] - times["start"]

    return measure


def on_disk(objective: train.Objective, data: Any, folder: Path) -> Callable[[], Any]:
    """A source of the same order that reads memory-mapped files."""
    for name, array in zip("xy", data, strict=True):
        np.save(folder / f"{name}.npy", array)
    key = train.init(objective, OPTIMIZER, data).data_key

    def source() -> Any:
        mapped = tuple(np.load(folder / f"{name}.npy", mmap_mode="r") for name in "xy")
        return train.data.indexed(mapped, batch_size=BATCH, key=key)

    return source


def table(name: str, n: int) -> str:
    """Seconds of an epoch and the median ratio, round by round, to the scan."""
    objective, (examples, epochs) = objective_of(name), SIZES[name]
    x, y = train.data.mnist().train
    data = x[:examples], y[:examples]
    with tempfile.TemporaryDirectory() as folder:
        source = on_disk(objective, data, Path(folder))
        made = (
            by_hand(objective, data, epochs),
            fitting(objective, data, epochs),
            fitting(objective, data, epochs, everything=True),
            fitting(objective, source, epochs),
        )
        contenders = dict(zip(NAMES, made, strict=True))
        for measure in contenders.values():
            measure()  # compiles
        found = rounds(contenders, n)
    rows = [
        f"| {contender} | {median(seconds) / epochs:.3f} "
        f"| {min(seconds) / epochs:.3f} to {max(seconds) / epochs:.3f} "
        f"| {ratio(seconds, found['scan']):.3f} | {ratio(seconds, found['fit']):.3f} |"
        for contender, seconds in found.items()
    ]
    title = f"## {name}, {examples:,} images an epoch, batch {BATCH}"
    head = "| | median s an epoch | min to max | ratio to the scan | ratio to fit |"
    return "\n".join([title, "", head, "|---|---|---|---|---|", *rows]) + "\n"


def ratio(seconds: list[float], reference: list[float]) -> float:
    return median(a / b for a, b in zip(seconds, reference, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.loop", description="The loop's cost.")
    parser.add_argument("--model", choices=list(SIZES), nargs="+", default=list(SIZES))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("LOOP.md"))
    options = parser.parse_args()
    command = shlex.join(["python", "-m", "benchmarks.loop", *sys.argv[1:]])
    told = f"""\
# The cost of the training loop

Written by `{command}`; {options.rounds} rounds, the contenders in turn in one process, compiled
before. "All on": a bar, a log of JSON lines, a history file, and a checkpoint every two seconds.
"From disk": batches gathered from memory-mapped files by a thread, in the same order.

{machine()}"""
    parts = [told, *(table(name, options.rounds) for name in options.model)]
    text = "\n".join(parts)
    options.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()

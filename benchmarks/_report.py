"""The MNIST benchmark: what was run, and the table of it."""

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from ._machine import machine


class Times(NamedTuple):
    """One contender's epochs."""

    name: str
    first: float  # s, compilation included
    seconds: list[float]  # s, of each round
    loss: float  # the mean over the last epoch
    accuracy: float  # on the test images, after the last epoch
    share: float  # of an epoch that each call ran


def head(command: str) -> str:
    """Machine and versions, as Markdown."""
    return f"""\
# Benchmarks

Written by `{command}`.

Every contender runs in a process of its own; their epochs take turns, one at a time, in each round.
Seconds are of a training epoch of 60,000 images in a new order, the data already in memory; of the
CNN an epoch is 12,032 images and its time is scaled to 60,000. Laminax is given the images as uint8
and scales them as it goes, the others as ready float32. The first epoch, compilation included and
not scaled, is apart and not in the median. A ratio is the median over
the rounds of the contender's time divided by that of the reference in the same round: below 1 is
faster. The JAX libraries run a compiled step from a Python loop, as they document it; `jax_scan` is
the loop written by hand as one program, which any of them could be put into. Loss and accuracy are
those after the last epoch: each contender has its library's default initialization.

{machine()}"""


def table(model: str, results: Sequence[Times], skipped: dict[str, str]) -> str:
    """The results of one model as Markdown, the fastest first."""
    names = [result.name for result in results]
    reference = results[names.index("laminax") if "laminax" in names else _fastest(results)]
    epochs = 1 + len(reference.seconds)
    lines = [
        f"## {TITLES[model]}",
        "",
        f"Batch 128, Adam 1e-3, float32; {epochs} epochs: one to warm up, {epochs - 1} timed.",
        "",
        f"| contender | median s | min to max s | ratio to {reference.name} | first epoch s"
        " | train loss | test accuracy |",
        "|---|---|---|---|---|---|---|",
        *(_row(result, reference) for result in sorted(results, key=lambda r: median(r.seconds))),
    ]
    if any(result.share < 1 for result in results):
        lines += ["", "\\* extrapolated from a part of the epoch: too slow to run it whole."]
    lines += ["", *(f"- {name} did not take part: {why}" for name, why in skipped.items())]
    return "\n".join(lines).rstrip() + "\n"


TITLES = {
    "mlp": "MNIST MLP 784-512-512-10",
    "cnn": "MNIST CNN, 3×3 convolutions to 32 and 64 channels",
}


def _row(result: Times, reference: Times) -> str:
    ratios = [a / b for a, b in zip(result.seconds, reference.seconds, strict=True)]
    times = f"{median(result.seconds):.2f} | {min(result.seconds):.2f} to {max(result.seconds):.2f}"
    if result.share < 1:
        steps = f"{100 * result.share:.1f}% of the epoch"
        return f"| {result.name} | {times}* | {median(ratios):.2f} | | {steps} | |"
    return (
        f"| {result.name} | {times} | {median(ratios):.2f} | {result.first:.1f}"
        f" | {result.loss:.4f} | {100 * result.accuracy:.2f}% |"
    )


def _fastest(results: Sequence[Times]) -> int:
    return min(range(len(results)), key=lambda i: median(results[i].seconds))

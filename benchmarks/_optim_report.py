"""The updates of optimizers: what was run, and its tables."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

from ._machine import machine
from ._optim_cases import OPTIMIZERS, TEXTS


class Result(NamedTuple):
    """One contender's updates."""

    name: str
    seconds: list[float]  # of each round
    first: float  # s
    state: int  # bytes
    moved: float  # by the parameters in the same few updates


class Outcome(NamedTuple):
    """One optimizer on one tree."""

    results: Sequence[Result]
    limits: list[float]  # s, of each round
    failed: Mapping[str, str]


def head(command: str, rounds: int) -> str:
    """What is measured and on what, as Markdown."""
    return f"""\
# The update alone

Written by `{command}`.

An update is an optimizer's step with given gradients: new state and new parameters in place of the
old ones. All in float32, as many threads as cores. Laminax and optax: `update` and `apply_updates`
in one jitted program, parameters and state donated; torch: `step`, over all tensors at once
(`foreach=True`) or in its own kernels (`fused=True`), where it has such. Each is called from a
Python loop, with the same constants; that the parameters of all have moved equally far after three
updates is asserted.

- Every contender has a process of its own; they take turns, one at a time, in each of {rounds}
  rounds, each of about a quarter of a second of updates. Times are medians over the rounds. A ratio
  is the median over the rounds of the contender's time divided by that of laminax in the same
  round: above 1 Laminax is faster.
- Limit: the bytes that an update must move at least (gradient and parameters are read, parameters
  written, averages read and written) over the bandwidth of a copy of an array as large as the
  parameters, by one thread or all, in the same round. Times the limit: a contender's time divided
  by it. What fits into a cache is copied from there.
- First: seconds to trace and compile, of torch those of the first update. State: its bytes.

{machine()}"""


def table(tree: str, size: int, outcomes: Mapping[str, Outcome]) -> str:
    """One tree's optimizers and contenders as Markdown."""
    lines = [
        f"## {tree}: {size:,} parameters",
        "",
        f"{TEXTS[tree][0].upper()}{TEXTS[tree][1:]}.",
        "",
        "| optimizer | contender | ms (min to max) | ratio | times the limit | first s"
        " | state MiB |",
        "|---|---|---|---|---|---|---|",
        *(row for name, outcome in outcomes.items() for row in _rows(name, outcome)),
        "",
        *(f"- {line}" for line in _absent(outcomes)),
    ]
    return "\n".join(lines).rstrip() + "\n"


def limits(copies: Sequence[float], optimizer: str) -> list[float]:
    """Seconds in which what the optimizer moves is moved, by those of a copy."""
    return [seconds * OPTIMIZERS[optimizer] / 2 for seconds in copies]  # read and written


def _rows(name: str, outcome: Outcome) -> list[str]:
    ours = next((result for result in outcome.results if result.name == "laminax"), None)
    rows = [_row(name, result, ours, outcome.limits) for result in outcome.results]
    return [*rows, f"| {name} | the limit | {_times(outcome.limits)} | | 1.00 | | |"]


def _row(name: str, result: Result, ours: Result | None, limits: list[float]) -> str:
    cells = [name, result.name, _times(result.seconds)]
    cells.append(_ratio(result.seconds, ours.seconds) if ours else "")
    cells.append(_ratio(result.seconds, limits))
    cells += [f"{result.first:.2f}", f"{result.state / 2**20:.1f}"]
    return f"| {' | '.join(cells)} |"


def _times(seconds: list[float]) -> str:
    return f"{_ms(median(seconds))} ({_ms(min(seconds))} to {_ms(max(seconds))})"


def _ratio(seconds: list[float], others: list[float]) -> str:
    return f"{median(a / b for a, b in zip(seconds, others, strict=True)):.2f}"


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.3g}" if seconds < 0.1 else f"{1e3 * seconds:.0f}"


def _absent(outcomes: Mapping[str, Outcome]) -> list[str]:
    """Who did not take part, by reason."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, outcome in outcomes.items():
        for contender, why in outcome.failed.items():
            found.setdefault((contender, why), []).append(name)
    return [
        f"{who} did not take part in {', '.join(names)}: {why}"
        for (who, why), names in found.items()
    ]

"""The zoo: what was run, and its tables."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

from ._machine import machine
from ._zoo_cases import Case

PARTS = ("forward", "step")


class Result(NamedTuple):
    """One contender on one model; each mapping is by part, `forward` and `step`."""

    name: str
    parameters: int
    seconds: Mapping[str, list[float]]  # of each round
    first: Mapping[str, float]  # s, compilation included
    peak: Mapping[str, int]  # bytes
    planned: Mapping[str, int | None]  # bytes
    process: int  # bytes


class Outcome(NamedTuple):
    """One model: those that ran, and why others did not."""

    case: Case
    results: Sequence[Result]
    failed: Mapping[str, str]


def head(command: str, rounds: int) -> str:
    """What is measured and on what, as Markdown."""
    return f"""\
# The zoo: each model beside its torch equivalent

Written by `{command}`.

A forward is an evaluation of one batch; a step is a batch taken from the data in a random order,
forward, backward and an update of all parameters by Adam (torch: `fused=True`). float32, as many
threads as cores. Laminax runs many steps in one program, as `fit` does; torch runs a Python loop,
eager, eager in channels-last format (images alone), or with model and loss under `torch.compile`
(images channels-last; to save time not the large convolutional networks). The torch models are
equivalents written by hand, with the same number of parameters, which is asserted.

- Every contender has a process of its own; they take turns, one at a time, in each of {rounds}
  rounds, each of about a quarter of a second of forwards and as much of steps. Times are medians
  over the rounds. A ratio is the median over the rounds of the contender's time divided by that of
  laminax in the same round: above 1 Laminax is faster.
- First call: seconds until a forward, then a step, has been run once, compilation included; the
  library has been loaded and started before by a model of a few units.
- Peak: by how much the resident memory of the process, at most, during two forwards, then two
  steps, after the first exceeds that before the model was made, the data in memory. It counts the
  parameters, for a step the optimizer's state too, and what the compiler has not given back.
- Process: the same from the making of the model until both have run once: initialization and
  compilation included.
- XLA: what its plan, `memory_analysis`, needs: arguments, results and intermediates.

{machine()}"""


def summary(outcomes: Mapping[str, Outcome]) -> str:
    """All models in one table, each beside the best of torch, as Markdown."""
    lines = [
        "## Laminax and the best of torch",
        "",
        "A ratio is torch's time divided by Laminax's; torch's least peak of a step is given.",
        "",
        "| model | forward ms | torch ms | ratio | step ms | torch ms | ratio | first call s"
        " | peak of a step MiB | torch MiB |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(_summary_row(name, outcome) for name, outcome in outcomes.items()),
    ]
    return "\n".join(lines) + "\n"


def table(name: str, outcome: Outcome) -> str:
    """One model's contenders as Markdown."""
    case, results, failed = outcome
    parameters = f", {results[0].parameters:,} parameters" if results else ""
    ours = next((result for result in results if result.name == "laminax"), None)
    lines = [
        f"## {name}",
        "",
        f"{case.text}{parameters}",
        "",
        "| contender | forward ms (min to max) | ratio | step ms (min to max) | ratio"
        " | first call s | peak MiB | process MiB | XLA MiB |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_row(result, ours) for result in results),
        *(f"| {contender} | {why} | | | | | | | |" for contender, why in failed.items()),
    ]
    return "\n".join(lines) + "\n"


def _row(result: Result, ours: Result | None) -> str:
    cells = [result.name]
    for part in PARTS:
        times = result.seconds[part]
        spread = f"{_ms(min(times))} to {_ms(max(times))}"
        cells += [f"{_ms(median(times))} ({spread})", _ratio(result, ours, part)]
    cells.append(" + ".join(f"{result.first[part]:.1f}" for part in PARTS))
    cells.append(", ".join(_mib(result.peak[part]) for part in PARTS))
    cells.append(_mib(result.process))
    cells.append(", ".join(_mib(plan) for part in PARTS if (plan := result.planned[part])))
    return f"| {' | '.join(cells)} |"


def _summary_row(name: str, outcome: Outcome) -> str:
    ours = next((result for result in outcome.results if result.name == "laminax"), None)
    torch = [result for result in outcome.results if result.name != "laminax"]
    cells = [name]
    for part in PARTS:
        best = min(torch, key=lambda result: median(result.seconds[part]), default=None)
        cells += [_ms(median(ours.seconds[part])) if ours else "failed"]
        cells += [_named(best, part) if best else "failed"]
        cells += [_ratio(best, ours, part) if best else ""]
    cells.append(f"{sum(ours.first.values()):.1f}" if ours else "")
    cells.append(_mib(ours.peak["step"]) if ours else "")
    cells.append(_mib(min(result.peak["step"] for result in torch)) if torch else "")
    return f"| {' | '.join(cells)} |"


def _named(result: Result, part: str) -> str:
    how = result.name.removeprefix("torch").strip("_") or "eager"
    return f"{_ms(median(result.seconds[part]))} {how}"


def _ratio(result: Result, ours: Result | None, part: str) -> str:
    if ours is None:
        return ""
    pairs = zip(result.seconds[part], ours.seconds[part], strict=True)
    return f"{median(a / b for a, b in pairs):.2f}"


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.3g}" if seconds < 0.1 else f"{1e3 * seconds:.0f}"


def _mib(size: int) -> str:
    return f"{size / 2**20:.0f}"

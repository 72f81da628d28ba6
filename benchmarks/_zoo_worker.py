"""One model of one library in a process of its own: `python -m benchmarks._zoo_worker NAME MODEL`.

It compiles both programs and runs them, tells what that took, and times them at each `round`.
"""

import ctypes
import functools
import importlib
import sys
import time
from pathlib import Path
from typing import Any

from ._process import Commands, serve
from ._zoo_cases import Case, case_of, examples
from .peers import Program

_SECONDS = 0.25  # what a timing lasts, at least
_MOST = 1000  # runs in a timing
# What a library loads and starts at its first use is no part of a model: this one goes first.
_FIRST = Case("mlp", (8, 2), (4, 8), classes=2)


def prepare(name: str, model: str, tiny: str = "") -> tuple[dict[str, Any], Commands]:
    case = case_of(model, bool(tiny))
    library, _, variant = name.partition("_")
    peer = importlib.import_module(f"{__package__}.peers.zoo_{library}")
    first = peer.setup(_FIRST, examples(_FIRST))
    for part in (first.forward, first.step):
        part().run(1)
    data = examples(case)
    before = _settle()
    contender = peer.setup(case, data, *([variant] if variant else []))
    programs, told, largest = {}, {"parameters": contender.parameters}, 0
    for part in ("forward", "step"):
        start = time.perf_counter()
        program = getattr(contender, part)()
        program.run(1)
        seconds = time.perf_counter() - start
        largest = max(largest, _resident("VmHWM"))
        _settle()
        program.run(2)
        peak = _resident("VmHWM")
        largest = max(largest, peak)
        told[part] = {"first": seconds, "peak": peak - before, "planned": program.planned}
        programs[part] = program
    told["process"] = largest - before
    return told, {"round": functools.partial(_round, programs)}


def _round(programs: dict[str, Program]) -> dict[str, Any]:
    return {part: _timed(program) for part, program in programs.items()}


def _timed(program: Program) -> float:
    """Return the seconds of a run."""
    once = _seconds(program, 1)
    n = max(1, min(_MOST, round(_SECONDS / once)))
    return _seconds(program, n) / n


def _seconds(program: Program, n: int) -> float:
    start = time.perf_counter()
    program.run(n)
    return time.perf_counter() - start


def _settle() -> int:
    """Give back what has been freed, restart the high-water mark and return the resident bytes."""
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return _resident("VmRSS")


def _resident(field: str) -> int:
    """Return an entry of the process's status in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


if __name__ == "__main__":
    serve(functools.partial(prepare, *sys.argv[1:]))

"""One optimizer of one library in a process of its own.

Started by the driver as `python -m benchmarks._optim_worker NAME OPTIMIZER TREE`; the name `copy`
is of a copy, the measure of the memory. Every `round` makes parameters and state, times their
updates and gives their memory back, so that only one contender at a time holds them.
"""

import functools
import importlib
import os
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ._optim_cases import Shape, shapes_of, size_of
from ._process import Commands, serve
from .peers import Updating

_SECONDS = 0.25  # what a timing lasts, at least
_MOST = 1000  # updates in a timing
_BEFORE = 3  # updates before it
# What a library loads and starts at its first use is no part of an update: this one goes first.
_FIRST: Mapping[str, Shape] = {"w": (4, 4), "b": (4,)}


def prepare(
    name: str, optimizer: str, tree: str, tiny: str = ""
) -> tuple[dict[str, Any], Commands]:
    shapes = shapes_of(tree, bool(tiny))
    if name == "copy":
        return {}, {"round": functools.partial(_copied, size_of(shapes))}
    library, _, variant = name.partition("_")
    peer = importlib.import_module(f"{__package__}.peers.optim_{library}")
    setup = functools.partial(peer.setup, **({"variant": variant} if variant else {}))
    setup(optimizer, _FIRST).start().run(1)
    updating = setup(optimizer, shapes)
    told = {"first": updating.first, "state": updating.state}
    return told, {"round": functools.partial(_round, updating)}


def _round(updating: Updating) -> dict[str, Any]:
    updates = updating.start()
    updates.run(_BEFORE)
    return {"moved": updates.moved(), "seconds": _timed(updates.run)}


def _copied(size: int) -> dict[str, Any]:
    """Time copying so many float32 numbers, with one thread or all: what is faster."""
    threads = len(os.sched_getaffinity(0))
    source, target = (np.full(size, number, np.float32) for number in (1, 0))
    parts = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))
    with ThreadPoolExecutor(threads) as pool:

        def spread(n: int) -> None:
            for _ in range(n):
                list(pool.map(lambda part: np.copyto(*part), parts))

        def alone(n: int) -> None:
            for _ in range(n):
                np.copyto(target, source)

        for run in (spread, alone):
            run(_BEFORE)
        return {"seconds": min(_timed(spread), _timed(alone))}


def _timed(run: Callable[[int], None]) -> float:
    """Return the seconds of one."""
    n = max(1, min(_MOST, round(_SECONDS / _seconds(run, 1))))
    return _seconds(run, n) / n


def _seconds(run: Callable[[int], None], n: int) -> float:
    start = time.perf_counter()
    run(n)
    return time.perf_counter() - start


if __name__ == "__main__":
    serve(functools.partial(prepare, *sys.argv[1:]))

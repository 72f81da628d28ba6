"""One contender of a sweep in a process of its own: `python -m benchmarks._sweep_worker --help`."""

import functools
import importlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ._process import Commands, serve
from ._sweep_cases import CASES, Data, settings


def prepare(
    name: str, model: str, epochs: str, n: str, file: str
) -> tuple[dict[str, Any], Commands]:
    with np.load(Path(file)) as arrays:
        data = Data(*(arrays[field] for field in Data._fields))
    library, _, variant = name.partition("_")
    peer = importlib.import_module(f"{__package__}.peers.sweep_{library}")
    case = CASES[model]._replace(epochs=int(epochs))
    tried = settings(int(n), int(n))
    return {}, {"round": functools.partial(_round, peer.setup(case, data, tried, variant))}


def _round(run: Callable[[], list[float]]) -> dict[str, Any]:
    start = time.perf_counter()
    accuracies = run()
    return {"seconds": time.perf_counter() - start, "accuracies": accuracies}


if __name__ == "__main__":
    serve(functools.partial(prepare, *sys.argv[1:]))

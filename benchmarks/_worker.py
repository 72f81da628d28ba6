"""One contender of the MNIST benchmark in a process of its own.

Started by the driver as `python -m benchmarks._worker NAME MODEL SEED FOLDER`. It prepares
itself at once; then `epoch` trains one epoch and `score` classifies the test images.
"""

import functools
import importlib
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from ._process import Commands, serve
from .peers import Contender, Data


def prepare(name: str, model: str, seed: str, folder: str) -> tuple[dict[str, Any], Commands]:
    data = Data(*(np.load(Path(folder, f"{field}.npy")) for field in Data._fields))
    peer = importlib.import_module(f"{__package__}.peers.{name}")
    contender = peer.setup(data, model, int(seed))
    return {"share": contender.share}, {
        "epoch": functools.partial(_epoch, contender),
        "score": functools.partial(_score, contender, data),
    }


def _epoch(contender: Contender) -> dict[str, Any]:
    start = time.perf_counter()
    loss = contender.epoch()
    return {"seconds": (time.perf_counter() - start) / contender.share, "loss": loss}


def _score(contender: Contender, data: Data) -> dict[str, Any]:
    labels = [contender.classify(images) for images in np.split(data.x_test, 10)]
    return {"accuracy": float((np.concatenate(labels) == data.y_test).mean())}


if __name__ == "__main__":
    serve(functools.partial(prepare, *sys.argv[1:]))

"""One contender in a process of its own: reads commands, answers each by one line of JSON.

Started by the driver as `python -m benchmarks._worker NAME MODEL SEED FOLDER`. It prepares
itself at once; then `epoch` trains one epoch and `score` classifies the test images.
"""

import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from .peers import Contender, Data, UnsupportedError


def main(name: str, model: str, seed: str, folder: str) -> None:
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints must not mix with the answers
    data = Data(*(np.load(Path(folder, f"{field}.npy")) for field in Data._fields))
    try:
        contender = importlib.import_module(f"{__package__}.peers.{name}").setup(
            data, model, int(seed)
        )
    except ModuleNotFoundError as error:
        return print(json.dumps({"skipped": f"{error.name} is not installed"}), file=channel)
    except (NotImplementedError, UnsupportedError) as error:
        return print(json.dumps({"skipped": str(error)}), file=channel)
    print(json.dumps({"share": contender.share}), file=channel)
    for command in sys.stdin:
        answer = {"epoch": _epoch, "score": _score}[command.strip()](contender, data)
        print(json.dumps(answer), file=channel)


def _epoch(contender: Contender, data: Data) -> dict[str, Any]:
    start = time.perf_counter()
    loss = contender.epoch()
    return {"seconds": (time.perf_counter() - start) / contender.share, "loss": loss}


def _score(contender: Contender, data: Data) -> dict[str, Any]:
    labels = [contender.classify(images) for images in np.split(data.x_test, 10)]
    return {"accuracy": float((np.concatenate(labels) == data.y_test).mean())}


if __name__ == "__main__":
    main(*sys.argv[1:])

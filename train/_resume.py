"""Going on from a checkpoint: what it must have in common with the run, and reading it."""

import importlib.metadata
import logging
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from laminax.nn import Variables

from ._feed import Feed
from ._record import Record
from ._state import TrainState
from .checkpoint import restore


def about(feed: Feed, seed: int, microbatches: int) -> dict[str, Any]:
    """What a resumed run must have in common with the one it goes on with, and what it may not."""
    libraries = ("laminax", "jax", "jaxlib", "numpy", "optax")
    return {
        "settings": {
            "seed": seed,
            "batch_size": feed.batch_size,
            "examples": feed.examples,
            "microbatches": microbatches,
            "data": feed.fingerprint(),
        },
        "versions": {
            **{name: importlib.metadata.version(name) for name in libraries},
            "python": platform.python_version(),
            "device": jax.devices()[0].device_kind,
        },
    }


def restored(
    path: Path, metadata: Mapping[str, Any], spec: TrainState, about: Mapping[str, Any]
) -> tuple[TrainState, Variables | None, Record]:
    """The state, best variables and record of a checkpoint, once it is known to be this run's."""
    before, now = metadata["settings"], about["settings"]
    differing = [
        f"{name} was {before[name]}, now {now[name]}"
        for name in now
        if before.get(name) != now[name]
    ]
    if differing:
        raise ValueError(
            f"fit: the run in {path.parent.parent} was another one: {'; '.join(differing)}; resume "
            "with its settings and data, or choose another folder"
        )
    if metadata["versions"] != about["versions"]:
        logging.getLogger("laminax").warning(
            "resuming with other versions (%s, before %s): bits may differ",
            about["versions"],
            metadata["versions"],
        )
    record = Record.from_json(metadata["record"])
    best = None if record.best_row is None else Variables(spec.params, spec.state)
    tree: dict[str, Any] = restore(path, {"state": spec, "best": best})
    return tree["state"], tree["best"], record

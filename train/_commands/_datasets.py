"""`laminax datasets`: the data sets that are read, and where they lie."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import tyro

from .. import data
from ..data._download import cache_folder

_READERS: Mapping[str, Callable[[], Any]] = {
    "cifar10": data.cifar10,
    "cora": data.cora,
    "digits": data.digits,
    "membrane": data.membrane,
    "mnist": data.mnist,
    "multi30k": data.multi30k,
    "tinyshakespeare": data.tiny_shakespeare,
}
_DOWNLOADED = {"mnist", "tinyshakespeare"}


@dataclass(frozen=True)
class Datasets:
    """Tell which data sets there are and where they lie, or read one and tell what it holds."""

    name: tyro.conf.Positional[Literal[tuple(_READERS)] | None] = None  # type: ignore[valid-type]
    """Which to read; it is downloaded where that is possible and LAMINAX_DATA is not set."""

    def run(self) -> None:
        """Print a line a data set, or one for each array of the data set named."""
        if self.name is None:
            for name, reader in _READERS.items():
                about = (reader.__doc__ or "").splitlines()[0]
                print(f"{name:<16} {_place(name):<28} {about}")
            return
        for line in _told(self.name, _READERS[self.name]()):
            print(line)


def _place(name: str) -> str:
    folder = os.environ.get("LAMINAX_DATA")
    if name == "digits":
        return "comes with laminax"
    if folder:
        return "in LAMINAX_DATA" if (Path(folder) / name).is_dir() else "not in LAMINAX_DATA"
    if name not in _DOWNLOADED:
        return "LAMINAX_DATA is not set"
    return "downloaded" if (cache_folder() / name).is_dir() else "downloaded when it is read"


def _told(name: str, part: Any) -> list[str]:
    """A line for each array or list in a data set."""
    fields = part._asdict() if hasattr(part, "_asdict") else getattr(part, "__dict__", None)
    if isinstance(part, np.ndarray | jax.Array):
        return [f"{name}: {part.dtype}{part.shape}"]
    if fields is not None:
        return [line for key, value in fields.items() for line in _told(f"{name}.{key}", value)]
    if isinstance(part, tuple | list) and part and not isinstance(part[0], str):
        return [line for i, value in enumerate(part) for line in _told(f"{name}[{i}]", value)]
    if isinstance(part, tuple | list):
        return [f"{name}: {len(part):,} texts, the first {part[0]!r}"]
    return [] if name.endswith(".name") else [f"{name}: {str(part)[:60]!r}"]

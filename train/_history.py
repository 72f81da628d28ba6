"""The record of a run: one row an epoch, as a dict of columns."""

import csv
import math
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


class History(dict[str, list[float]]):
    """A run's record, a dict of columns with one value an epoch.

    Columns: epoch (from 1), step, loss, each metric, validation_loss and so on, rate, loss_scale
    where the loss is scaled, seconds.

    >>> from laminax import train
    >>> history = train.History()
    >>> history.append({"epoch": 1, "loss": 0.7})
    >>> history.append({"epoch": 2, "loss": 0.5})
    >>> history["loss"]
    [0.7, 0.5]
    """

    def append(self, row: Mapping[str, float]) -> None:
        """Add a row; it must have the columns of the rows before."""
        if self and set(self) != set(row):
            raise ValueError(
                f"History.append: the row must have the columns {', '.join(self)}, "
                f"got {', '.join(row)}"
            )
        for name, value in row.items():
            self.setdefault(name, []).append(value)

    def rows(self) -> list[dict[str, float]]:
        """Return the rows as dicts."""
        return [dict(zip(self, values, strict=True)) for values in zip(*self.values(), strict=True)]

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a header and a line an epoch.

        Raises:
            OSError: the file cannot be written.
        """
        with Path(path).open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(self))
            writer.writeheader()
            writer.writerows(self.rows())


class Totals:
    """Sums and counts of an epoch, added in float64 in the order of the steps."""

    def __init__(self, sums: Mapping[str, list[float]] | None = None) -> None:
        self.sums = dict(sums or {})

    def add(self, rows: Mapping[str, tuple[NDArray[np.floating], NDArray[np.floating]]]) -> None:
        """Add rows of one value a step."""
        for name, (totals, counts) in rows.items():
            kept = self.sums.setdefault(name, [0.0, 0.0])
            for total, count in zip(totals.tolist(), counts.tolist(), strict=True):
                kept[0] += total
                kept[1] += count

    def means(self) -> dict[str, float]:
        """Return the mean of each value, the loss first; NaN where nothing was counted."""
        order = sorted(self.sums.items(), key=lambda item: item[0] != "loss")
        return {name: total / count if count else math.nan for name, (total, count) in order}

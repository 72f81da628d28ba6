"""What a search returns: a table of settings, the best first."""

import csv
import functools
import html
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from laminax.nn import Variables

from ._record import Choice, diverged, last, order, winner
from ._settings import text, varied
from ._space import Setting

_SHOWN = 20  # rows in print


class Score(NamedTuple):
    """A mean over seeds and folds, and its standard error s / √n; NaN for one member alone."""

    mean: float
    error: float


class SweepRow(NamedTuple):
    """How one setting did.

    Attributes:
        setting: the hyperparameters by name.
        scores: loss, metrics, and those on held-out data, `validation_loss` and so on, each after
            the last epoch that the setting was trained for.
        epochs: how many those are.
        diverged: how many of its members had a loss that was not finite.
    """

    setting: Setting
    scores: dict[str, Score]
    epochs: int
    diverged: int


@dataclass(frozen=True, repr=False)
class SweepResult:
    """What a search returns; prints as a table, the best first, and shows as one in a notebook.

    Attributes:
        settings: what was tried, in the order given.
        seeds: of the members.
        curves: loss, metrics and validation scores by name, each member's after each epoch
            (settings, seeds, folds, epochs); NaN where it was not trained so long.
        epochs: how many each setting was trained for (settings,).
        choice: which end of which score the best is chosen by.
        programs: a line for each program that was compiled: what its settings have in common.
        interrupted: whether SIGINT or SIGTERM ended the search early.
        best_variables: those of the best setting's best member; `variables` checks for None.
    """

    settings: tuple[Setting, ...]
    seeds: tuple[int, ...]
    curves: Mapping[str, NDArray[np.float64]]
    epochs: NDArray[np.int64]
    choice: Choice
    programs: tuple[str, ...]
    interrupted: bool
    best_variables: Variables | None

    @functools.cached_property
    def rows(self) -> tuple[SweepRow, ...]:
        """A row a setting: the best first, or in the order given where nothing was held out."""
        best = order(self.curves, self.epochs, self.choice)
        return tuple(map(self._row, range(len(self.settings)) if best is None else best.tolist()))

    @property
    def best(self) -> SweepRow:
        """The best setting's row.

        Raises:
            ValueError: nothing was held out to choose by, or every setting diverged.
        """
        self._check_chosen()
        return self.rows[0]

    @property
    def variables(self) -> Variables:
        """What the best setting's best member ended with.

        With folds it has not seen its held-out rows; train the best setting on all of the data.

        Raises:
            ValueError: nothing was held out to choose by, or every setting diverged.
        """
        self._check_chosen()
        assert self.best_variables is not None
        return self.best_variables

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a header and a line a setting, the best first: means and standard errors.

        Raises:
            OSError: the file cannot be written.
        """
        with Path(path).open("w", newline="") as file:
            writer = csv.writer(file)
            names, scores = list(self.settings[0]), list(self.curves)
            columns = [column for name in scores for column in (name, f"{name}_error")]
            writer.writerow([*names, *columns, "epochs", "diverged"])
            for row in self.rows:
                numbers = [number for name in scores for number in row.scores[name]]
                setting = [row.setting[name] for name in names]
                writer.writerow([*setting, *numbers, row.epochs, row.diverged])

    def __str__(self) -> str:
        """The table as aligned text."""
        head, *cells = self._cells()
        more = [f"and {len(cells) - _SHOWN} more, see .rows"] if len(cells) > _SHOWN else []
        cells = [head, *cells[:_SHOWN]]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(map(str.rjust, row, widths)) for row in cells]
        return "\n".join([self._title(), *lines, *more])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head, *cells = self._cells()
        lines = [_html_row("th", head), *(_html_row("td", row) for row in cells)]
        return f"<p>{html.escape(self._title())}</p><table>{''.join(lines)}</table>"

    def _title(self) -> str:
        _, seeds, folds, epochs = self.curves["loss"].shape
        counts = {"setting": len(self.settings), "seed": seeds, "fold": folds, "epoch": epochs}
        told = [counted(n, what) for what, n in counts.items() if n > 1 or what == "setting"]
        end = "lowest" if self.choice.sign > 0 else "highest"
        chosen = f", {end} {self.choice.column} first" if self.choice.column in self.curves else ""
        ended = ", interrupted" if self.interrupted else ""
        return f"{' × '.join(told)} in {counted(len(self.programs), 'program')}{chosen}{ended}"

    def _cells(self) -> list[tuple[str, ...]]:
        names = varied(self.settings) or list(self.settings[0])
        scores = sorted(self.curves, key=lambda name: name != self.choice.column)
        facts = [name for name in ("epochs", "diverged") if len(self._facts(name)) > 1]
        body = [
            (
                *(text(row.setting[name]) for name in names),
                *(_plus_minus(row.scores[name]) for name in scores),
                *(str(getattr(row, name)) for name in facts),
            )
            for row in self.rows
        ]
        return [(*names, *scores, *facts), *body]

    def _facts(self, name: str) -> set[int]:
        """What a column holds; divergence is told where there is any."""
        return {getattr(row, name) for row in self.rows} | ({0} if name == "diverged" else set())

    def _row(self, i: int) -> SweepRow:
        scores = {name: _score(last(curve, self.epochs)[i]) for name, curve in self.curves.items()}
        bad = int(diverged(self.curves, self.epochs)[i].sum())
        return SweepRow(self.settings[i], scores, int(self.epochs[i]), bad)

    def _check_chosen(self) -> None:
        if self.choice.column not in self.curves:
            raise ValueError(
                "SweepResult: nothing was held out, so there is nothing to choose the best by; the "
                "training loss would choose what overfits: give validation= or folds="
            )
        if winner(self.curves, self.epochs, self.choice) is None:
            raise ValueError(
                "SweepResult: no setting was trained to an end with a finite loss; try lower rates"
            )


def counted(n: int, what: str) -> str:
    """Return "1 setting", "2 settings"."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _score(values: NDArray[np.float64]) -> Score:
    error = np.std(values, ddof=1) / math.sqrt(values.size) if values.size > 1 else math.nan
    return Score(float(np.mean(values)), float(error))


def _plus_minus(score: Score) -> str:
    return f"{score.mean:.4f}" + ("" if math.isnan(score.error) else f" ± {score.error:.4f}")


def _html_row(tag: str, cells: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

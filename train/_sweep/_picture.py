"""Pictures of a search, by matplotlib (the `viz` extra): what became of the settings."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from laminax._figure import figure as new_figure

from ._result import SweepResult, SweepRow
from ._settings import shown, text, varied

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLORS = ("#4477aa", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb")
_BEST = "#ee6677"
_FAR = 30.0  # ends so many times apart stand on a logarithmic axis


def plot_sweep(result: SweepResult) -> "Figure":
    """Draw the score that settings are chosen by over the hyperparameters that differ.

    One number: a curve, with a band of one standard error, and a curve for each value of a second
    hyperparameter that is none. Two numbers: a map of their grid, or colored points. More: a panel
    each. The best is marked; those that diverged are left out, in the plane stand as crosses.
    Without held-out data the training loss is drawn.

    Raises:
        ImportError: matplotlib is missing.
        ValueError: only one setting, or none was trained to an end.

    >>> from laminax import nn, optim, train
    >>> import numpy as np
    >>> def build(rate):
    ...     return train.supervised(nn.dense(1), nn.losses.squared_error), optim.sgd(rate)
    >>> data = np.ones((8, 1), np.float32), np.ones((8, 1), np.float32)
    >>> result = train.sweep(build, train.grid(rate=[0.01, 0.1]), data, epochs=1, batch_size=4,
    ...                      progress=False)
    >>> len(train.plot_sweep(result).axes)
    1
    """
    names = varied(result.settings)
    if not names:
        raise ValueError("plot_sweep: there is one setting alone; give several to compare")
    column = result.choice.column if result.choice.column in result.curves else "loss"
    rows = [row for row in result.rows if _drawn(row, column)]
    if not rows:
        raise ValueError("plot_sweep: no setting was trained to an end with a finite loss")
    numeric = [name for name in names if _numeric([s[name] for s in result.settings])]
    figure = new_figure(4.2 if len(names) < 3 else 2.8 * len(names), 3.4)
    lost = [row for row in result.rows if not _drawn(row, column)]
    if len(numeric) == 1 and len(names) <= 2:
        other = next((name for name in names if name not in numeric), None)
        _curves(figure.subplots(), rows, numeric[0], other, column)
    elif len(names) == 2 and len(numeric) == 2:
        _plane(figure, rows, lost, names, column)
    else:
        panels = np.atleast_1d(figure.subplots(1, len(names), sharey=True))
        for axes, name in zip(panels, names, strict=True):
            _strip(axes, rows, name, column, name in numeric)
        panels[0].set_ylabel(_said(column))
    figure.suptitle(_title(result, rows, len(lost), column), fontsize=10)
    return figure


def _drawn(row: SweepRow, column: str) -> bool:
    return not row.diverged and row.epochs > 0 and np.isfinite(row.scores[column].mean)


def _numeric(values: Sequence[Any]) -> bool:
    return all(isinstance(v, int | float | np.number) and not isinstance(v, bool) for v in values)


def _curves(
    axes: "Axes", rows: Sequence[SweepRow], name: str, other: str | None, column: str
) -> None:
    kinds = list({text(row.setting[other]): None for row in rows}) if other else [""]
    for kind, color in zip(sorted(kinds), _COLORS * len(kinds), strict=False):
        mine = [row for row in rows if not other or text(row.setting[other]) == kind]
        mine.sort(key=lambda row: row.setting[name])
        x = [row.setting[name] for row in mine]
        mean, error = np.array([row.scores[column] for row in mine]).T
        axes.plot(x, mean, color=color, marker=".", label=f"{other}={kind}" if other else None)
        axes.fill_between(x, mean - error, mean + error, color=color, alpha=0.2, linewidth=0)
    best = rows[0]
    axes.plot(best.setting[name], best.scores[column].mean, "o", color=_BEST, zorder=3)
    _scales(axes, rows, name, column)
    axes.set(xlabel=name, ylabel=_said(column))
    axes.spines[["top", "right"]].set_visible(False)
    if other:
        axes.legend(frameon=False)


def _plane(
    figure: "Figure",
    rows: Sequence[SweepRow],
    lost: Sequence[SweepRow],
    names: Sequence[str],
    column: str,
) -> None:
    axes = figure.subplots()
    x, y = (np.array([row.setting[name] for row in rows]) for name in names)
    values = np.array([row.scores[column].mean for row in rows])
    every = [sorted({row.setting[name] for row in [*rows, *lost]}) for name in names]
    grid = len(rows) + len(lost) == len(every[0]) * len(every[1]) > 3
    low, high = values.min(), values.max()
    norm = "log" if low > 0 and high > _FAR * low else "linear"
    # The better, the darker, whichever end is the better one.
    better_low = values[0] <= np.median(values)
    style: Any = {"cmap": "viridis" if better_low else "viridis_r", "norm": norm}
    if grid:
        table = np.full((len(every[1]), len(every[0])), np.nan)
        at = [every[1].index(v) for v in y.tolist()], [every[0].index(v) for v in x.tolist()]
        table[at] = values
        drawn: Any = axes.imshow(table, origin="lower", aspect="auto", **style)
        x, y = np.array(at[1]), np.array(at[0])
        gone = [[every[i].index(row.setting[n]) for row in lost] for i, n in enumerate(names)]
        axes.set_xticks(range(len(every[0])), map(text, every[0]), rotation=45, ha="right")
        axes.set_yticks(range(len(every[1])), map(text, every[1]))
    else:
        drawn = axes.scatter(x, y, c=values, s=30, **style)
        gone = [[row.setting[n] for row in lost] for n in names]
        _far(axes.set_xscale, x)
        _far(axes.set_yscale, y)
    axes.plot(*gone, "x", color="#888888")
    axes.plot(
        x[0], y[0], "o", color="none", markeredgecolor=_BEST, markersize=13, markeredgewidth=2
    )
    axes.set(xlabel=names[0], ylabel=names[1])
    figure.colorbar(drawn, label=_said(column))


def _strip(axes: "Axes", rows: Sequence[SweepRow], name: str, column: str, numeric: bool) -> None:
    values = [row.setting[name] for row in rows]
    y = [row.scores[column].mean for row in rows]
    if numeric:
        _scales(axes, rows, name, column)
        x = values
    else:
        kinds = sorted(set(map(text, values)))
        x = [kinds.index(text(value)) for value in values]
        axes.set_xticks(range(len(kinds)), kinds)
        axes.margins(x=0.3)
    axes.plot(x, y, ".", color=_COLORS[0], alpha=0.6)
    axes.plot(x[0], y[0], "o", color=_BEST, zorder=3)
    axes.set(xlabel=name)
    axes.spines[["top", "right"]].set_visible(False)


def _scales(axes: "Axes", rows: Sequence[SweepRow], name: str, column: str) -> None:
    _far(axes.set_xscale, np.array([row.setting[name] for row in rows]))
    _far(axes.set_yscale, np.array([row.scores[column].mean for row in rows]))


def _far(set_scale: Any, values: NDArray[Any]) -> None:
    low, high = values.min(), values.max()
    # Evenly spread numbers, one of which happens to be near zero, stay on a linear axis.
    if low > 0 and high > _FAR * low and np.median(values) < (low + high) / 4:
        set_scale("log")


def _said(column: str) -> str:
    if column.startswith("validation_"):
        return f"held-out {column.removeprefix('validation_')}"
    return f"training {column}"


def _title(result: SweepResult, rows: Sequence[SweepRow], lost: int, column: str) -> str:
    names = varied(result.settings)
    gone = f"; {lost} of {len(result.settings)} diverged" if lost else ""
    if column != result.choice.column:
        return f"{len(result.settings)} settings, nothing held out{gone}"
    mean, error = rows[0].scores[column]
    spread = "" if np.isnan(error) else f" ± {error:.2g}"
    best = shown({name: rows[0].setting[name] for name in names})
    return f"best: {best}\n{_said(column)} {mean:.4g}{spread}{gone}"

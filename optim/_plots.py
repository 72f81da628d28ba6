"""Pictures of schedules and of paths over a function, by matplotlib (the `viz` extra)."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from laminax._figure import figure as new_figure

from ._checks import check_steps
from ._schedules import Schedule, as_schedule

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLORS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb")


def plot_schedule(
    schedules: ArrayLike | Schedule | Mapping[str, ArrayLike | Schedule], steps: int
) -> "Figure":
    """Draw the learning rate of steps 0 to `steps` − 1: of one schedule, or of several by name.

    Raises ImportError where matplotlib is missing, ValueError for steps below 1.

    >>> from laminax.optim import cosine, warmup
    >>> figure = plot_schedule({"cosine": cosine(0.1, 90), "warm": warmup(cosine(0.1, 80), 10)}, 90)
    >>> [line.get_label() for line in figure.axes[0].lines]
    ['cosine', 'warm']
    """
    check_steps("plot_schedule", "steps", steps, "1000")
    named = schedules if isinstance(schedules, Mapping) else {"": schedules}
    at = np.arange(steps, dtype=np.int32)
    figure = new_figure(6.4, 3.2)
    axes = figure.subplots()
    for (name, schedule), color in zip(named.items(), _colors(len(named)), strict=True):
        rates = jax.vmap(as_schedule("plot_schedule", schedule))(jnp.asarray(at))
        axes.plot(at, np.broadcast_to(np.asarray(rates), at.shape), color=color, label=name)
    axes.set(xlabel="step", ylabel="learning rate")
    axes.set_ylim(bottom=0.0)
    axes.spines[["top", "right"]].set_visible(False)
    if isinstance(schedules, Mapping):
        _legend(axes)
    return figure


def plot_paths(
    f: Callable[[jax.Array], ArrayLike], paths: Mapping[str, ArrayLike], *, margin: float = 0.2
) -> "Figure":
    """Draw paths in the plane over the contours of f, a function of an array (2,).

    `paths` gives for each name its points (n, 2) in order; where a path begins is a ring, where it
    ends a dot. The contours stand at even ranks of f's values over the picture, so that valleys
    show beside cliffs. `margin` is the share of the paths' extent left around them. Raises
    ImportError where matplotlib is missing, ValueError for a path that is not of finite (n, 2).

    >>> import jax.numpy as jnp
    >>> bowl = lambda x: x[0] ** 2 + 4.0 * x[1] ** 2
    >>> figure = plot_paths(bowl, {"sgd": [[2.0, 1.0], [1.0, 0.2], [0.5, 0.0]]})
    >>> figure.axes[0].get_legend_handles_labels()[1]
    ['sgd']
    """
    points = {name: _points(name, path) for name, path in paths.items()}
    if not points:
        raise ValueError("plot_paths: paths is empty; expected names and their points (n, 2).")
    together = np.concatenate([*points.values()])
    low, high = together.min(0), together.max(0)
    around = margin * np.maximum(high - low, 1e-3 + 0.1 * np.max(high - low))
    x, y = np.linspace(low - around, high + around, 160).T
    grid = np.stack(np.meshgrid(x, y), -1)
    values = np.asarray(jax.vmap(jax.vmap(f))(jnp.asarray(grid, float)))
    figure = new_figure(6.4, 4.4)
    axes = figure.subplots()
    levels = np.unique(np.nanquantile(values[np.isfinite(values)], np.linspace(0.0, 1.0, 25)))
    axes.contour(x, y, values, levels, colors="#bbbbbb", linewidths=0.7)
    for (name, path), color in zip(points.items(), _colors(len(points)), strict=True):
        axes.plot(*path.T, color=color, label=name, linewidth=1.3, marker=".", markersize=3)
        axes.plot(*path[0], color=color, marker="o", markersize=8, fillstyle="none")
        axes.plot(*path[-1], color=color, marker="o", markersize=7)
    axes.set(xlabel="$x_1$", ylabel="$x_2$")
    _legend(axes)
    return figure


def _points(name: str, path: ArrayLike) -> np.ndarray:
    points = np.asarray(path, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise ValueError(
            f"plot_paths: the path {name!r} is of shape {points.shape} with "
            f"{int((~np.isfinite(points)).sum())} numbers that are not finite; expected finite "
            f"points (n, 2); cut it where it diverges."
        )
    return points


def _colors(count: int) -> list[str]:
    return [_COLORS[index % len(_COLORS)] for index in range(count)]


def _legend(axes: "Axes") -> None:
    # Beside the picture: within it some line always runs behind.
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))

"""Pictures of a run, by matplotlib (the `viz` extra): each returns a figure to show or to save."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from laminax._figure import figure as new_figure

from ._history import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLORS = {"training": "#4477aa", "validation": "#ee6677"}


def plot_history(history: History) -> "Figure":
    """Draw the curves of a run: the loss and each metric over the epochs.

    Raises:
        ImportError: matplotlib is missing.
        ValueError: the history has no row.

    >>> from laminax import train
    >>> history = train.History(epoch=[1, 2], loss=[0.9, 0.3], accuracy=[0.6, 0.9])
    >>> len(train.plot_history(history).axes)
    2
    """
    if not history.get("epoch"):
        raise ValueError("plot_history: the history has no row yet; train at least one epoch")
    skipped = ("epoch", "step", "rate", "loss_scale", "seconds", "validation_")
    names = [name for name in history if not name.startswith(skipped)]
    figure = new_figure(4.6 * len(names), 3.2)
    for axes, name in zip(np.atleast_1d(figure.subplots(1, len(names))), names, strict=True):
        _curves(axes, history, name)
    return figure


def plot_confusion(labels: ArrayLike, predicted: ArrayLike, classes: Sequence[str]) -> "Figure":
    """Draw the confusion matrix: how often each true class was taken for which.

    The shade is the share of the true class; zeros are left out.

    Args:
        labels: true classes (n,), integers.
        predicted: predicted classes (n,), integers.
        classes: their names.

    Raises:
        ImportError: matplotlib is missing.

    >>> from laminax import train
    >>> len(train.plot_confusion([0, 1, 1], [0, 1, 0], ["cat", "dog"]).axes)
    1
    """
    counts = np.zeros((len(classes), len(classes)), int)
    np.add.at(counts, (np.asarray(labels), np.asarray(predicted)), 1)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    size = 2.2 + 0.42 * len(classes)
    figure = new_figure(size, size)
    axes = figure.subplots()
    # The square root brings out the few mistakes beside the many hits.
    axes.imshow(np.sqrt(share), cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            color = "white" if share[row, column] > 0.4 else "#333333"
            axes.text(column, row, str(count), ha="center", va="center", color=color, fontsize=9)
    right = np.trace(counts) / max(counts.sum(), 1)
    axes.set(
        xlabel="predicted", ylabel="true",
        xticks=range(len(classes)), yticks=range(len(classes)),
        xticklabels=classes, yticklabels=classes,
        title=f"{counts.sum() - np.trace(counts)} of {counts.sum()} wrong ({right:.2%} right)",
    )  # fmt: skip
    if max(map(len, classes), default=0) > 4:
        axes.tick_params("x", rotation=45)
    return figure


def plot_images(
    images: ArrayLike, titles: Sequence[str] | None = None, *, columns: int = 8
) -> "Figure":
    """Draw images (n, height, width[, channels]) in a grid, each under its title.

    Raises:
        ImportError: matplotlib is missing.

    >>> import numpy as np
    >>> from laminax import train
    >>> len(train.plot_images(np.zeros((3, 8, 8, 1)), ["a", "b", "c"]).axes)
    3
    """
    images = np.asarray(images)
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    figure = new_figure(1.15 * columns, (1.45 if titles else 1.15) * rows)
    for i, image in enumerate(images):
        axes = figure.add_subplot(rows, columns, i + 1)
        axes.imshow(image.squeeze(), cmap="gray_r")
        axes.axis("off")
        if titles:
            axes.set_title(titles[i], fontsize=9)
    return figure


def _curves(axes: "Axes", history: History, name: str) -> None:
    epochs = history["epoch"]
    for label, column in (("training", name), ("validation", f"validation_{name}")):
        if column in history:
            values = history[column]
            color, marker = _COLORS[label], "." if len(epochs) < 30 else ""
            ended = f"{label}, {values[-1]:.3g} at the end"
            axes.plot(epochs, values, color=color, label=ended, marker=marker)
    if name == "loss" and all(np.min(line.get_ydata()) > 0 for line in axes.get_lines()):
        axes.set_yscale("log")
    axes.set(xlabel="epoch", title=name)
    axes.locator_params(axis="x", integer=all(float(epoch).is_integer() for epoch in epochs))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)

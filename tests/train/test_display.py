"""Pictures tell what the numbers say."""

import sys

import numpy as np
import pytest

from laminax import train

HISTORY = train.History(
    epoch=[1, 2, 3],
    step=[4, 8, 12],
    loss=[1.0, 0.5, 0.25],
    accuracy=[0.2, 0.4, 0.8],
    validation_loss=[1.1, 0.9, 0.7],
    rate=[0.1, 0.1, 0.1],
    seconds=[1.0, 1.0, 1.0],
)


@pytest.fixture
def matplotlib():
    return pytest.importorskip("matplotlib")


def test_curves_hold_the_columns_of_the_history(matplotlib):
    loss, accuracy = train.plot_history(HISTORY).axes
    drawn = {line.get_label(): line.get_ydata().tolist() for line in loss.get_lines()}
    assert drawn == {
        "training, 0.25 at the end": HISTORY["loss"],
        "validation, 0.7 at the end": HISTORY["validation_loss"],
    }
    assert [line.get_ydata().tolist() for line in accuracy.get_lines()] == [HISTORY["accuracy"]]
    assert (loss.get_title(), accuracy.get_title()) == ("loss", "accuracy")
    assert loss.get_xlabel() == "epoch"
    assert loss.get_yscale() == "log"


@pytest.mark.parametrize("epochs, whole", [(range(1, 21), True), ([0.25, 0.5, 0.75], False)])
def test_ticks_stand_at_epochs_where_rows_do(epochs, whole, matplotlib):
    figure = train.plot_history(train.History(epoch=list(epochs), loss=[1.0] * len(epochs)))
    figure.canvas.draw()
    low, high = figure.axes[0].get_xlim()
    ticks = [tick for tick in figure.axes[0].get_xticks() if low <= tick <= high]
    assert len(ticks) > 2
    assert all(float(tick).is_integer() for tick in ticks) == whole


def test_rates_and_scales_are_no_curves(matplotlib):
    history = train.History({**HISTORY, "loss_scale": [4.0, 8.0, 8.0], "rate */w": [0.1] * 3})
    assert len(train.plot_history(history).axes) == 2


def test_losses_that_are_not_positive_are_drawn_too(matplotlib):
    history = train.History(epoch=[1, 2], loss=[0.5, -0.5])
    (axes,) = train.plot_history(history).axes
    assert axes.get_yscale() == "linear"


def test_a_history_without_rows_is_refused():
    with pytest.raises(ValueError, match="plot_history: the history has no row yet; train"):
        train.plot_history(train.History())


def test_the_confusion_matrix_counts_true_rows_and_predicted_columns(matplotlib):
    labels, predicted = np.array([0, 0, 0, 1, 2, 2]), np.array([0, 0, 2, 1, 1, 2])
    (axes,) = train.plot_confusion(labels, predicted, ["ant", "bee", "cat"]).axes
    counts = {
        (int(text.get_position()[1]), int(text.get_position()[0])): text.get_text()
        for text in axes.texts
    }
    assert counts == {(0, 0): "2", (0, 2): "1", (1, 1): "1", (2, 1): "1", (2, 2): "1"}
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("true", "predicted")
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["ant", "bee", "cat"]
    assert axes.get_title() == "2 of 6 wrong (66.67% right)"


def test_images_stand_in_a_grid_under_their_titles(matplotlib, tmp_path):
    images = np.arange(5 * 4).reshape(5, 2, 2, 1)
    figure = train.plot_images(images, list("abcde"), columns=3)
    assert [axes.get_title() for axes in figure.axes] == list("abcde")
    for image, axes in zip(images, figure.axes, strict=True):
        np.testing.assert_array_equal(axes.get_images()[0].get_array(), image[..., 0])
    figure.savefig(tmp_path / "images.png")
    rows = {round(axes.get_position().y0, 3) for axes in figure.axes}
    assert len(rows) == 2


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(
        ImportError, match=r"pictures need matplotlib.*pip install 'laminax\[viz\]'"
    ):
        train.plot_history(HISTORY)

"""Pictures of a search show its numbers."""

import numpy as np
import pytest

from laminax import nn, train
from laminax.train._sweep._record import Choice

pytest.importorskip("matplotlib")


def result(settings, values, sign=1, column="validation_loss"):
    """A search of these values (settings, seeds) after an epoch."""
    values = np.asarray(values, float)[:, :, None, None]
    return train.SweepResult(
        settings=tuple(settings),
        seeds=tuple(range(values.shape[1])),
        curves={"loss": 2 * values, column: values},
        epochs=np.ones(len(settings), int),
        choice=Choice(sign, "validation_loss" if column == "loss" else column),
        programs=("all",),
        interrupted=False,
        best_variables=nn.Variables({}, {}),
    )


def title(figure):
    return figure.get_suptitle()


def test_one_number_is_a_curve_with_a_band_of_one_standard_error():
    found = result(train.grid(rate=[0.1, 0.001, 0.01]), [[3, 5], [2, 2], [1, 2]])
    figure = train.plot_sweep(found)
    (axes,) = figure.axes
    curve, best = axes.get_lines()
    assert curve.get_xdata().tolist() == [0.001, 0.01, 0.1]
    assert curve.get_ydata().tolist() == [2, 1.5, 4]
    assert (best.get_xdata(), best.get_ydata()) == (0.01, 1.5)
    assert axes.get_xscale() == "log"
    corners = axes.collections[0].get_paths()[0].vertices
    assert corners[:, 1].min() == 1.0 and corners[:, 1].max() == 5.0
    assert title(figure) == "best: rate=0.01\nheld-out loss 1.5 ± 0.5"


def test_a_word_beside_it_gives_a_curve_for_each_of_its_values():
    settings = train.grid(rate=[1.0, 2.0], act=["tanh", "relu"])
    (axes,) = train.plot_sweep(result(settings, [[1.0], [2], [3], [4]])).axes
    drawn = {line.get_label(): line.get_ydata().tolist() for line in axes.get_lines()[:2]}
    assert drawn == {"act=relu": [2, 4], "act=tanh": [1, 3]}


def test_two_numbers_of_a_grid_are_a_map_in_which_the_best_is_dark():
    settings = train.grid(rate=[0.1, 0.2], decay=[1.0, 2.0, 3.0])
    values = [[5.0], [4], [np.nan], [3], [2], [6]]
    figure = train.plot_sweep(result(settings, values))
    axes = figure.axes[0]
    (image,) = axes.get_images()
    np.testing.assert_array_equal(image.get_array().filled(np.nan), [[5, 3], [4, 2], [np.nan, 6]])
    lost, best = axes.get_lines()
    assert (lost.get_xdata().tolist(), lost.get_ydata().tolist()) == ([0], [2])
    assert (best.get_xdata(), best.get_ydata()) == (1, 1)
    assert image.get_cmap()(image.norm(2.0))[:3] < image.get_cmap()(image.norm(6.0))[:3]
    assert "1 of 6 diverged" in title(figure)
    highest = train.plot_sweep(result(settings, values, -1, "validation_accuracy"))
    (image,) = highest.axes[0].get_images()
    assert image.get_cmap()(image.norm(6.0))[:3] < image.get_cmap()(image.norm(2.0))[:3]


def test_two_numbers_at_random_are_colored_points():
    settings = train.sample(9, a=train.uniform(0, 1), b=train.uniform(1, 2))
    values = np.arange(9.0)[:, None]
    points = train.plot_sweep(result(settings, values)).axes[0].collections[0]
    np.testing.assert_allclose(
        points.get_offsets(), [[setting["a"], setting["b"]] for setting in settings]
    )
    assert points.get_array().tolist() == list(range(9))


def test_more_are_a_panel_each():
    settings = train.grid(a=[1.0, 2.0], b=[1, 2], act=["relu", "tanh"])
    figure = train.plot_sweep(result(settings, np.arange(8.0)[::-1, None]))
    assert [axes.get_xlabel() for axes in figure.axes] == ["a", "b", "act"]
    points, best = figure.axes[2].get_lines()
    assert sorted(points.get_ydata().tolist()) == list(range(8))
    assert (best.get_xdata(), best.get_ydata()) == (1, 0)


def test_without_held_out_data_the_training_loss_is_drawn():
    figure = train.plot_sweep(result(train.grid(rate=[0.1, 0.2]), [[1.0], [2.0]], column="loss"))
    assert figure.axes[0].get_ylabel() == "training loss"
    assert title(figure) == "2 settings, nothing held out"


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="plot_sweep: there is one setting alone"):
        train.plot_sweep(result([{"rate": 0.1}], [[1.0]]))
    with pytest.raises(ValueError, match="no setting was trained to an end"):
        train.plot_sweep(result(train.grid(rate=[0.1, 0.2]), [[np.nan], [np.inf]]))

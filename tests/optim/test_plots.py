"""What the pictures of schedules and paths show."""

import sys

import jax.numpy as jnp
import numpy as np
import pytest

from laminax import optim


@pytest.fixture(autouse=True)
def matplotlib():
    return pytest.importorskip("matplotlib")


def rosenbrock(x):
    return (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2


def test_schedules_are_drawn_step_by_step_under_their_names():
    cosine = optim.cosine(0.1, 20)
    axes = optim.plot_schedule({"cosine": cosine, "constant": 0.05}, 30).axes[0]
    first, second = axes.lines
    np.testing.assert_array_equal(first.get_xdata(), np.arange(30))
    np.testing.assert_allclose(first.get_ydata(), cosine(jnp.arange(30)), rtol=1e-6)
    np.testing.assert_allclose(second.get_ydata(), 0.05, rtol=1e-6)
    assert axes.get_legend_handles_labels()[1] == ["cosine", "constant"]
    assert optim.plot_schedule(cosine, 30).axes[0].get_legend() is None


def test_paths_lie_in_the_picture_over_contours_of_the_function():
    paths = {"a": np.array([[-1.2, 1.0], [0.0, 0.5], [1.0, 1.0]]), "b": [[2.0, -1.0], [1.5, 0.0]]}
    axes = optim.plot_paths(rosenbrock, paths).axes[0]
    assert axes.get_legend_handles_labels()[1] == ["a", "b"]
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), paths["a"])
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert left < -1.2 and right > 2.0 and bottom < -1.0 and top > 1.0
    (contours,) = axes.collections
    for level, path in zip(contours.levels, contours.get_paths(), strict=True):
        if len(path.vertices) and 1.0 < level < 1000.0:
            heights = rosenbrock(path.vertices.T)
            assert np.abs(np.median(heights) - level) < 0.02 * level


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        ({}, "paths is empty"),
        ({"a": np.zeros((3, 3))}, r"path 'a' is of shape \(3, 3\)"),
        ({"a": [[0.0, np.nan]]}, "1 numbers that are not finite"),
    ],
)
def test_unusable_paths_are_refused(paths, words):
    with pytest.raises(ValueError, match=f"plot_paths: .*{words}"):
        optim.plot_paths(rosenbrock, paths)


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "laminax._picture", None)
    with pytest.raises(ImportError, match=r"matplotlib.*pip install 'laminax\[viz\]'"):
        optim.plot_schedule(0.1, 10)

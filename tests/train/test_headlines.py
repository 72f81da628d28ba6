"""The accuracies that the recipes are known for, by the command line's own path."""

import json
import os

import numpy as np
import pytest

from laminax.train.recipes import digits, mnist, shakespeare

pytestmark = pytest.mark.slow


def accuracy(recipe, out, **settings):
    recipe.main(recipe.Config(out=out, **settings))
    return json.loads((out / "result.json").read_text())["accuracy"]


@pytest.mark.parametrize("model, least", [("mlp", 0.98), ("cnn", 0.98)])
def test_digits(tmp_path, model, least):
    scores = [accuracy(digits, tmp_path / str(s), model=model, seed=s) for s in range(3)]
    assert np.mean(scores) >= least, scores


has_data = pytest.mark.skipif(
    "LAMINAX_DATA" not in os.environ, reason="LAMINAX_DATA names no folder"
)


@has_data
@pytest.mark.parametrize("model, least", [("mlp", 0.983), ("lenet", 0.99)])
def test_mnist(tmp_path, model, least):
    scores = [accuracy(mnist, tmp_path / str(s), model=model, seed=s) for s in range(3)]
    assert np.mean(scores) >= least, scores


@has_data
@pytest.mark.parametrize(
    ("settings", "most"),
    [
        ({"model": "lenet", "shift": 1, "epochs": 30}, 0.7),
        ({"model": "lenet5", "shift": 1, "epochs": 30, "rate": 5e-3, "batch_size": 64}, 0.95),
        ({"model": "dropout", "shift": 1, "epochs": 40, "rate": 1e-3}, 1.2),
    ],
    ids=lambda value: value["model"] if isinstance(value, dict) else f"{value}%",
)
def test_mnist_errors(tmp_path, settings, most):
    assert 100 * (1 - accuracy(mnist, tmp_path, **settings)) <= most


@has_data
def test_shakespeare(tmp_path):
    shakespeare.main(shakespeare.Config(out=tmp_path))
    assert json.loads((tmp_path / "result.json").read_text())["loss"] <= 1.88

"""The accuracies that the recipes are known for, by the command line's own path."""

import json
import os

import numpy as np
import pytest

from laminax.train.recipes import digits, mnist

pytestmark = pytest.mark.slow


def accuracy(recipe, out, **settings):
    recipe.main(recipe.Config(out=out, **settings))
    return json.loads((out / "result.json").read_text())["accuracy"]


@pytest.mark.parametrize("model, least", [("mlp", 0.98), ("cnn", 0.98)])
def test_digits(tmp_path, model, least):
    scores = [accuracy(digits, tmp_path / str(s), model=model, seed=s) for s in range(3)]
    assert np.mean(scores) >= least, scores


@pytest.mark.skipif("LAMINAX_DATA" not in os.environ, reason="LAMINAX_DATA names no folder")
@pytest.mark.parametrize("model, least", [("mlp", 0.983), ("lenet", 0.99)])
def test_mnist(tmp_path, model, least):
    scores = [accuracy(mnist, tmp_path / str(s), model=model, seed=s) for s in range(3)]
    assert np.mean(scores) >= least, scores

"""The figures that the recipes of autoencoders are known for, by the command line's own path."""

import json
import os

import pytest

from laminax.train.recipes import autoencoder, vae

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("LAMINAX_DATA" not in os.environ, reason="LAMINAX_DATA names no folder"),
]


def scores(recipe, out):
    recipe.main(recipe.Config(out=out))
    return json.loads((out / "result.json").read_text())


def test_the_deep_autoencoder_s_squared_error_an_image(tmp_path):
    found = scores(autoencoder, tmp_path)
    assert found["pca"] == pytest.approx(13.87, abs=0.05)
    assert found["squared_error"] <= 3.0


def test_the_vae_s_bounds(tmp_path):
    found = scores(vae, tmp_path)
    assert found["importance_weighted"] < found["loss"] <= 104

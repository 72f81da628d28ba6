"""The recipes of autoencoders, on a tiny data set of the same form."""

import csv
import json

import jax
import numpy as np
import pytest

from laminax import nn, train
from laminax.train import cli
from laminax.train.recipes import autoencoder, vae


@pytest.fixture
def tiny(monkeypatch):
    """Images that are one of ten rows, white or gray."""
    labels = (np.arange(240) % 10).astype(np.int32)
    images = np.zeros((240, 28, 28, 1), np.uint8)
    images[np.arange(240), 2 * labels, :, 0] = 255
    images[::3] //= 2
    data = train.data.DataSet(
        "mnist", (images[:200], labels[:200]), (images[200:], labels[200:]), tuple("0123456789")
    )
    monkeypatch.setattr(train.data, "mnist", lambda: data)
    return data


@pytest.mark.parametrize(
    "name", ["deep", "tied", "denoising", "sparse", "k_sparse", "convolutional"]
)
def test_every_model_takes_the_images_and_gives_images_back(name):
    x = jax.ShapeDtypeStruct((4, 28, 28, 1), "uint8")
    model = autoencoder.build(autoencoder.Config(model=name))
    variables = jax.eval_shape(model.init, jax.random.key(0), x)
    assert jax.eval_shape(model, variables, x).shape == (4, 28, 28, 1)


def test_the_deep_model_is_the_paper_s():
    x = jax.ShapeDtypeStruct((4, 28, 28, 1), "uint8")
    assert nn.summary(autoencoder.build(autoencoder.Config()), x).total.parameters == 2_837_314


def test_the_principal_components_leave_what_they_should():
    random = np.random.default_rng(0)
    x = random.integers(0, 255, size=(60, 5)).astype(np.uint8)
    y = random.integers(0, 255, size=(7, 5)).astype(np.uint8)
    mean = x.mean(0) / 255
    kept = np.linalg.svd(x / 255 - mean, full_matrices=False)[2][:2]
    rest = (y / 255 - mean) - (y / 255 - mean) @ kept.T @ kept
    expected = np.square(rest).sum(1).mean()
    assert autoencoder.pca_error(x, y, components=2) == pytest.approx(expected, rel=1e-4)


def test_an_autoencoder_trains_from_the_command_line(tiny, tmp_path, capsys):
    args = ["--model", "sparse", "--epochs", "40", "--batch-size", "20", "--out", str(tmp_path)]
    cli.main(["train", "autoencoder", *args])
    scores = json.loads((tmp_path / "result.json").read_text())
    assert f"squared_error {scores['squared_error']:.3f}, pca {scores['pca']:.3f}" in (
        capsys.readouterr().out
    )
    with (tmp_path / "history.csv").open(newline="") as file:
        errors = [float(row["squared_error"]) for row in csv.DictReader(file)]
    assert errors[-1] < 0.3 * errors[0]
    assert scores["squared_error"] < 0.3 * errors[0]
    image = pytest.importorskip("matplotlib.image")
    assert len(np.unique(image.imread(tmp_path / "reconstructions.png"))) > 10


def test_a_vae_trains_from_the_command_line(tiny, tmp_path, capsys):
    cli.main(["train", "vae", "--epochs", "4", "--batch-size", "20", "--out", str(tmp_path)])
    scores = json.loads((tmp_path / "result.json").read_text())
    assert f"test loss {scores['loss']:.2f}, kl {scores['kl']:.2f}" in capsys.readouterr().out
    assert scores["importance_weighted"] < scores["loss"], "a tighter bound"
    with (tmp_path / "history.csv").open(newline="") as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert losses[-1] < 0.3 * losses[0]
    image = pytest.importorskip("matplotlib.image")
    for name in ("samples.png", "latent.png"):
        assert len(np.unique(image.imread(tmp_path / name))) > 10


def test_pixels_are_drawn_once_with_their_intensity():
    x = np.tile(np.array([0, 51, 255], np.uint8)[:, None, None, None], (1, 100, 100, 1))
    drawn = vae.binary(x)
    assert drawn.shape == (3, 10_000) and set(np.unique(drawn)) == {0, 1}
    np.testing.assert_array_equal(drawn, vae.binary(x))
    assert drawn[0].sum() == 0 and drawn[2].all()
    assert drawn[1].mean() == pytest.approx(0.2, abs=0.02)

import os

import numpy as np
import pytest

from laminax.train.data import membrane

DATA = os.environ.get("LAMINAX_DATA")
pytest.importorskip("PIL", reason="Pillow is not installed: no PNG can be read")


@pytest.mark.skipif(not DATA, reason="LAMINAX_DATA names no folder of data")
def test_membrane_facts():
    data = membrane()
    assert data.x.shape == (30, 512, 512, 1) and data.x.dtype == np.uint8
    assert data.y.shape == (30, 512, 512) and data.y.dtype == np.int32
    assert set(np.unique(data.y)) == {0, 1} and data.classes == ("cell", "membrane")
    share = data.y.mean()
    assert 0.15 < share < 0.3  # membranes are thin
    dark = [data.x[..., 0][data.y == label].mean() for label in (0, 1)]
    assert dark[1] < dark[0] - 20  # and dark


def images(folder, label):
    from PIL import Image

    folder.mkdir()
    for i in range(30):
        blank = np.zeros((512, 512), np.uint8)
        Image.fromarray(blank).save(folder / f"image_{i:02}.png")
        Image.fromarray(blank + (label if i == 7 else 255)).save(folder / f"label_{i:02}.png")


@pytest.mark.parametrize("label, words", [(0, None), (7, r"label_07.png holds the label 7")])
def test_labels_are_membrane_or_cell(tmp_path, monkeypatch, label, words):
    images(tmp_path / "membrane", np.uint8(label))
    monkeypatch.setenv("LAMINAX_DATA", str(tmp_path))
    if words is None:
        data = membrane()
        assert data.y[7].all() and data.y.sum() == 512 * 512
        return
    with pytest.raises(ValueError, match=words):
        membrane()


def test_without_the_folder(monkeypatch):
    monkeypatch.delenv("LAMINAX_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match="membrane: cannot be downloaded; put it into"):
        membrane()

import io
import os
import zipfile

import numpy as np
import pytest

from laminax.train.data import _cifar, cifar10
from laminax.train.data._download import cache_folder

DATA = os.environ.get("LAMINAX_DATA")
pytest.importorskip("PIL", reason="Pillow is not installed: no JPEG can be read")


def jpeg(color):
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), color).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def zipped(path, entries):
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return path


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("LAMINAX_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data" / "cifar10" / "cifar10-jpeg.zip"


COLORS = {"train/cat/0001.jpg": (200, 10, 10), "train/airplane/0002.jpg": (10, 200, 10)}
COLORS |= {"train/airplane/0001.jpg": (10, 10, 200), "test/dog/0001.jpg": (90, 90, 90)}


def test_images_come_class_by_class_and_are_decoded_once(place, monkeypatch):
    path = zipped(place, {name: jpeg(color) for name, color in COLORS.items()})
    x, y = _cifar._images(path, "train")
    assert y.tolist() == [0, 0, 3] and y.dtype == np.int32
    expected = [
        COLORS[f"train/{name}.jpg"] for name in ("airplane/0001", "airplane/0002", "cat/0001")
    ]
    assert x.dtype == np.uint8 and x.shape == (3, 32, 32, 3)
    np.testing.assert_allclose(x[:, 5, 5], expected, atol=4)
    (kept,) = (cache_folder() / "cifar10").iterdir()
    assert kept.suffix == ".npy"

    def never(*args):
        raise AssertionError("decoded again")

    monkeypatch.setattr(_cifar, "_decoded", never)
    again, _ = _cifar._images(path, "train")
    np.testing.assert_array_equal(again, x)
    zipped(place, {"train/cat/0001.jpg": jpeg((0, 0, 0))})
    with pytest.raises(AssertionError, match="decoded again"):  # another file, another cache
        _cifar._images(path, "train")


def test_without_a_place_to_keep_them_images_are_decoded_every_time(place, monkeypatch, tmp_path):
    (tmp_path / "cache").write_text("no folder")
    path = zipped(place, {"train/cat/0001.jpg": jpeg((200, 0, 0))})
    assert _cifar._images(path, "train")[0].shape == (1, 32, 32, 3)


def test_files_that_are_not_cifar(place):
    with pytest.raises(FileNotFoundError, match=r"no folder .*cifar10"):
        cifar10()
    place.parent.mkdir()
    with pytest.raises(FileNotFoundError, match=r"holds neither cifar10-jpeg.zip"):
        cifar10()
    place.write_bytes(b"no zip")
    with pytest.raises(ValueError, match=r"cifar10: .*cifar10-jpeg.zip is damaged \(File is not a"):
        cifar10()
    zipped(place, {name: jpeg(color) for name, color in COLORS.items()})
    with pytest.raises(
        ValueError, match=r"holds train images \[3, 32, 32, 3\], expected \[50000, 32"
    ):
        cifar10()
    zipped(place, {"train/fish/0001.jpg": jpeg((0, 0, 0))})
    with pytest.raises(ValueError, match=r"holds 'train/fish/0001.jpg', expected <part>/<class>"):
        cifar10()


@pytest.mark.slow
@pytest.mark.skipif(not DATA, reason="LAMINAX_DATA names no folder of data")
def test_cifar10_facts(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    data, again = cifar10(), cifar10()
    for (x, y), (x_again, _), n in zip(data[1:3], again[1:3], (50_000, 10_000), strict=True):
        assert x.shape == (n, 32, 32, 3) and x.dtype == np.uint8 and y.dtype == np.int32
        np.testing.assert_array_equal(np.bincount(y), n // 10)
        np.testing.assert_array_equal(x, x_again)
    # The means of the red, green and blue of the original's training images.
    mean = data.train[0].mean((0, 1, 2)) / 255
    np.testing.assert_allclose(mean, [0.4914, 0.4822, 0.4465], atol=2e-3)
    ships, frogs = (data.train[0][data.train[1] == data.classes.index(c)] for c in ("ship", "frog"))
    assert ships[..., 2].mean() > ships[..., 0].mean() > 100  # the sea is blue,
    assert frogs[..., 2].mean() < frogs[..., 1].mean()  # frogs are not

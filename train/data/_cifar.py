"""CIFAR-10 from a zip of JPEGs, decoded once."""

import contextlib
import importlib.util
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ._datasets import DataSet
from ._download import cache_folder, put
from ._located import given

_CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)


def cifar10() -> DataSet:
    """CIFAR-10, color images of 32×32 pixels in ten classes: 50,000 train, 10,000 test.

    Read from `$LAMINAX_DATA/cifar10/cifar10-jpeg.zip`, which holds `train/<class>/<number>.jpg` and
    `test/...`; the examples come in that order, class by class. They are decoded once, by Pillow
    (`laminax[data]`), and kept in the user's cache folder (184 MB). Having been JPEGs, they differ
    a little from the original's pixels.

    Raises:
        FileNotFoundError: `LAMINAX_DATA` is not set, or the file is missing there.
        ModuleNotFoundError: Pillow is not installed, and the images not decoded yet.
        ValueError: the file is no zip of these images.

    >>> cifar10().train[0].shape  # doctest: +SKIP
    (50000, 32, 32, 3)

    Source: A. Krizhevsky, Learning multiple layers of features from tiny images, 2009.
    """
    (path,) = given("cifar10", ["cifar10-jpeg.zip"])
    train, test = _part(path, "train", 50_000), _part(path, "test", 10_000)
    return DataSet("cifar10", train, test, _CLASSES)


def _part(path: Path, part: str, n: int) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    x, y = _images(path, part)
    if x.shape != (n, 32, 32, 3) or (np.bincount(y, minlength=10) != n // 10).any():
        raise ValueError(
            f"cifar10: {path} holds {part} images {list(x.shape)}, expected [{n}, 32, 32, 3], "
            f"{n // 10} of each class; put an intact file in its place"
        )
    return x, y


def _images(path: Path, part: str) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Return the images of a folder in the zip, kept in the cache by what the zip holds."""
    try:
        with zipfile.ZipFile(path) as file:
            entries = [entry for entry in file.infolist() if entry.filename.startswith(f"{part}/")]
            images = sorted((e.filename, e.CRC) for e in entries if not e.is_dir())
            y = np.array([_class(path, name) for name, _ in images], np.int32)
            cached = cache_folder() / "cifar10" / f"{part}-{crc32(repr(images).encode()):08x}.npy"
            if not cached.is_file():
                x = _decoded(file, [name for name, _ in images])
                with contextlib.suppress(OSError):  # where nothing can be kept, decode every time
                    put(cached, _npy(x))
                return x, y
    except zipfile.BadZipFile as error:
        raise ValueError(f"cifar10: {path} is damaged ({error}); put an intact one there") from None
    loaded: NDArray[np.uint8] = np.load(cached, allow_pickle=False)
    return loaded, y


def _class(path: Path, name: str) -> int:
    parts = name.split("/")
    if len(parts) != 3 or parts[1] not in _CLASSES:
        raise ValueError(
            f"cifar10: {path} holds {name!r}, expected <part>/<class>/<number>.jpg with a class of "
            f"{', '.join(_CLASSES)}"
        )
    return _CLASSES.index(parts[1])


def _decoded(file: zipfile.ZipFile, names: list[str]) -> NDArray[np.uint8]:
    if importlib.util.find_spec("PIL") is None:
        raise ModuleNotFoundError(
            'cifar10: JPEGs are read by Pillow, which is not installed; pip install "laminax[data]"'
        )
    from PIL import Image

    def pixels(name: str) -> NDArray[Any]:
        with Image.open(BytesIO(file.read(name))) as image:
            return np.asarray(image.convert("RGB"))

    return np.stack([pixels(name) for name in names]) if names else np.zeros((0,), np.uint8)


def _npy(x: NDArray[Any]) -> bytes:
    buffer = BytesIO()
    np.save(buffer, x)
    return buffer.getvalue()

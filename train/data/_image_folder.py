"""A folder of images, one folder inside it a class."""

import importlib.util
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_ENDINGS = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}


class Images(NamedTuple):
    """Labeled images: `x` uint8 (n, height, width, channels), `y` int32 (n,) into `classes`."""

    x: NDArray[np.uint8]
    y: NDArray[np.int32]
    classes: tuple[str, ...]


def image_folder(path: str | PathLike[str], size: tuple[int, int], *, channels: int = 3) -> Images:
    """Images of a folder whose folders are the classes: `path/<class>/<any name>.jpg`.

    Each image is cut around its center to the proportions of `size`, then brought to it by Pillow
    (`laminax[data]`). Classes and files are in the order of their names; files that are no images
    by their endings, and names with a dot ahead, are left out.

    Args:
        path: the folder.
        size: (height, width) in pixels.
        channels: 3 for red, green and blue, 1 for gray.

    Raises:
        FileNotFoundError: there is no such folder, or no image in a class of it.
        ModuleNotFoundError: Pillow is not installed.
        ValueError: a file is no image; a size or number of channels that cannot be.

    >>> image_folder("flowers", (64, 64)).classes  # doctest: +SKIP
    ('daisy', 'rose')
    """
    if importlib.util.find_spec("PIL") is None:
        raise ModuleNotFoundError(
            "image_folder: images are read by Pillow, which is not installed; pip install "
            '"laminax[data]"'
        )
    if channels not in (1, 3):
        raise ValueError(f"image_folder: channels must be 3 (color) or 1 (gray), got {channels!r}")
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f"image_folder: size must be (height, width), got {size!r}")
    folder = Path(path)
    if not folder.is_dir():
        raise FileNotFoundError(f"image_folder: no folder {folder}; give one that holds classes")
    classes = sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name[0] != ".")
    if not classes:
        raise FileNotFoundError(
            f"image_folder: {folder} holds no folders; put the images of each class into one"
        )
    files = {name: _images(folder / name) for name in classes}
    x = [_read(file, size, channels) for name in classes for file in files[name]]
    y = np.repeat(np.arange(len(classes)), [len(files[name]) for name in classes])
    return Images(np.stack(x), y.astype(np.int32), tuple(classes))


def _images(folder: Path) -> list[Path]:
    found = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in _ENDINGS and path.name[0] != "." and path.is_file()
    )
    if not found:
        raise FileNotFoundError(
            f"image_folder: {folder} holds no images ({', '.join(sorted(_ENDINGS))}); put some "
            "there, or remove it"
        )
    return found


def _read(path: Path, size: tuple[int, int], channels: int) -> NDArray[np.uint8]:
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            colors = image.convert("RGB" if channels == 3 else "L")
    except OSError as error:
        raise ValueError(
            f"image_folder: {path} cannot be read as an image ({error}); replace or remove it"
        ) from error
    pixels = np.asarray(ImageOps.fit(colors, (size[1], size[0]), Image.Resampling.BILINEAR))
    return pixels if channels == 3 else pixels[..., None]

"""Membranes of neurons in electron micrographs: images with a label a pixel."""

import importlib.util
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._located import given

_SLICES = 30


class Segmentation(NamedTuple):
    """Images with a class a pixel.

    `x` uint8 (n, height, width, channels), `y` int32 (n, height, width) that counts into `classes`.
    """

    name: str
    x: NDArray[np.uint8]
    y: NDArray[np.int32]
    classes: tuple[str, ...]


def membrane() -> Segmentation:
    """30 slices of 512×512 pixels of the fruit fly's nerve cord, membrane or not.

    The slices lie one on another, so neighbors are alike: keep folds of consecutive ones together.
    Read from `$LAMINAX_DATA/membrane`, `image_NN.png` and `label_NN.png` (255: cell, 0: membrane).
    The labels of the challenge's own test stack are not public. Needs Pillow (`laminax[data]`).

    Raises:
        FileNotFoundError: `LAMINAX_DATA` is not set, or a file is missing there.
        ModuleNotFoundError: Pillow is not installed.
        ValueError: a file is not 512×512 gray, a label neither 0 nor 255.

    >>> membrane().x.shape  # doctest: +SKIP
    (30, 512, 512, 1)

    Source: Arganda-Carreras et al., Crowdsourcing the creation of image segmentation algorithms for
    connectomics, 2015; the training stack of the ISBI 2012 challenge.
    """
    if importlib.util.find_spec("PIL") is None:
        raise ModuleNotFoundError(
            'membrane: PNG files are read by Pillow, which is not installed; pip install "laminax'
            '[data]"'
        )
    numbers = range(_SLICES)
    x = np.stack(
        [_gray(path) for path in given("membrane", (f"image_{i:02}.png" for i in numbers))]
    )
    labels = given("membrane", (f"label_{i:02}.png" for i in numbers))
    y = np.stack([_labels(path) for path in labels])
    return Segmentation("membrane", x[..., None], y, ("cell", "membrane"))


def _gray(path: Path) -> NDArray[np.uint8]:
    from PIL import Image

    with Image.open(path) as image:
        pixels = np.asarray(image)
    if pixels.shape != (512, 512) or pixels.dtype != np.uint8:
        raise ValueError(
            f"membrane: {path} holds {pixels.dtype}{list(pixels.shape)}, expected uint8[512, 512]"
        )
    return pixels


def _labels(path: Path) -> NDArray[np.int32]:
    pixels = _gray(path)
    odd = np.setdiff1d(pixels, (0, 255))
    if odd.size:
        raise ValueError(f"membrane: {path} holds the label {odd[0]}, expected 0 or 255")
    return np.asarray(pixels == 0, np.int32)

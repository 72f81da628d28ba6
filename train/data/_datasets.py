"""Data sets ready to train on: NumPy arrays, uint8 pixels in NHWC, int32 labels."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._download import Content
from ._idx import read_idx
from ._located import located
from ._split import split

_MNIST = {
    "train-images-idx3-ubyte": Content(
        47_040_016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
    ),
    "train-labels-idx1-ubyte": Content(
        60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
    ),
    "t10k-images-idx3-ubyte": Content(
        7_840_016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
    ),
    "t10k-labels-idx1-ubyte": Content(
        10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
    ),
}
_MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)


class DataSet(NamedTuple):
    """Labeled examples in two parts that share none.

    `train` and `test` are pairs (x, y): x uint8 (n, height, width, channels), y int32 (n,) that
    counts into `classes`.
    """

    name: str
    train: tuple[NDArray[Any], NDArray[np.int32]]
    test: tuple[NDArray[Any], NDArray[np.int32]]
    classes: tuple[str, ...]


def digits() -> DataSet:
    """1,797 handwritten digits of 8×8 pixels from 0 to 16, bundled: 1,258 train, 539 test.

    The parts are `split` with its defaults. The pixels count the dark points in a 4×4 block of a
    32×32 bitmap.

    >>> data = digits()
    >>> data.train[0].shape, data.test[0].shape, data.train[1].dtype
    ((1258, 8, 8, 1), (539, 8, 8, 1), dtype('int32'))

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine
    Learning Repository, 1998, https://doi.org/10.24432/C50P49, licensed CC BY 4.0; the test file,
    as uint8 images.
    """
    with np.load(Path(__file__).with_name("digits.npz"), allow_pickle=False) as file:
        train, test = split((file["x"], file["y"]))
    return DataSet("digits", train, test, tuple("0123456789"))


def mnist() -> DataSet:
    """MNIST, 28×28 pixels from 0 to 255: 60,000 train, 10,000 test.

    Read from `$LAMINAX_DATA/mnist` where that variable is set (four IDX files, plain or `.gz`);
    else from the user's cache folder, into which the files are downloaded once (11 MB), checked by
    size and SHA-256.

    Raises:
        FileNotFoundError: a folder or file is missing in `$LAMINAX_DATA/mnist`.
        OSError: the download failed.
        ValueError: a file is damaged, or is not MNIST's.

    >>> mnist().train[1][:5]  # doctest: +SKIP
    array([5, 0, 4, 1, 9], dtype=int32)

    Source: Y. LeCun, C. Cortes and C. Burges, The MNIST Database of Handwritten Digits, 1998.
    """
    paths = located("mnist", _MNIST, _MIRRORS)
    x, y, x_test, y_test = (read_idx(path) for path in paths)
    train = _labeled(x, y, paths[:2], 60_000)
    test = _labeled(x_test, y_test, paths[2:], 10_000)
    return DataSet("mnist", train, test, tuple("0123456789"))


def _labeled(
    x: NDArray[Any], y: NDArray[Any], paths: list[Path], n: int
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    for array, path, shape in ((x, paths[0], (n, 28, 28)), (y, paths[1], (n,))):
        if array.dtype != np.uint8 or array.shape != shape:
            raise ValueError(
                f"mnist: {path} holds {array.dtype}{list(array.shape)}, expected"
                f" uint8{list(shape)}; put MNIST's own file in its place."
            )
    if y.max() > 9:
        raise ValueError(
            f"mnist: {paths[1]} holds the label {y.max()}, expected 0 to 9; put MNIST's own file in"
            " its place."
        )
    return x[..., None], y.astype(np.int32)

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from laminax.train.data import read_idx

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx(array: np.ndarray) -> bytes:
    code = CODES[array.dtype.str[1:]]
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return (
        bytes([0, 0, code, array.ndim])
        + sizes
        + array.astype(array.dtype.newbyteorder(">")).tobytes()
    )


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 3, 4), (0, 3)])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_reads_every_type_plain_and_packed(tmp_path: Path, dtype: str, shape: tuple, pack) -> None:
    array = (np.arange(np.prod(shape)) * 37 - 50).reshape(shape).astype(dtype)
    path = tmp_path / "file"
    path.write_bytes(pack(idx(array)))
    found = read_idx(path)
    assert found.dtype == np.dtype(dtype) and found.dtype.isnative and found.flags.writeable
    np.testing.assert_array_equal(found, array)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file at .*nothing-here"):
        read_idx(tmp_path / "nothing-here")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not an IDX file: it starts with nothing"),
        (b"\x89PNG\r\n", "not an IDX file: it starts with 89 50 4e 47, expected 00 00"),
        (b"\0\0\x07\1\0\0\0\0", "not an IDX file"),
        (b"\0\0\x08\3\0\0\0\1", "ends inside its header: 8 bytes, expected 16 for 3 axes"),
        (idx(np.arange(9, dtype="u1"))[:-1], r"holds 16 bytes, expected 17 for uint8\[9\]"),
        (idx(np.arange(9, dtype="u1")) + b"0", "holds 18 bytes, expected 17"),
        (
            gzip.compress(idx(np.arange(9, dtype="u1")), mtime=0)[:-9],
            "bytes of gzip that do not unpack",
        ),
        (
            gzip.compress(b"\0\0\x08\1", mtime=0)[:-8] + b"\0" * 8,
            "bytes of gzip that do not unpack",
        ),
        (b"\x1f\x8b\x08\0" + b"\xff" * 40, "bytes of gzip that do not unpack"),
    ],
)
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "damaged-idx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words) as caught:
        read_idx(path)
    assert "damaged-idx" in str(caught.value) and "Replace the file" in str(caught.value)


def test_every_flipped_byte_of_a_packed_file_is_noticed(tmp_path: Path) -> None:
    array = np.arange(60, dtype="u1").reshape(3, 20)
    good = gzip.compress(idx(array), mtime=0)
    path = tmp_path / "file"
    for i in range(len(good)):
        path.write_bytes(good[:i] + bytes([good[i] ^ 0x41]) + good[i + 1 :])
        try:
            found = read_idx(path)
        except ValueError:
            continue
        np.testing.assert_array_equal(found, array)  # a flip in gzip's own time stamp

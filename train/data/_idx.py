"""IDX, the file format of MNIST: a big-endian header of type, rank and sizes, then the numbers."""

import gzip
import struct
import zlib
from math import prod
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_REPAIR = "Replace the file by an intact copy."


def read_idx(path: str | PathLike[str]) -> NDArray[Any]:
    """The array in an IDX file, plain or gzip-compressed, in native byte order.

    The header is two zero bytes, a type code, the rank, and one 32-bit size for each axis.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, truncated, too long or of another format.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "labels")
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]))
    ...     read_idx(path)
    array([5, 0, 4], dtype=uint8)

    Source: Y. LeCun, C. Cortes and C. Burges, The MNIST Database of Handwritten Digits, 1998.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"read_idx: no file at {path}; give the path of an IDX file.")
    content = _content(path)
    magic = content[:4]
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPES:
        raise ValueError(
            f"read_idx: {path} is not an IDX file: it starts with {magic.hex(' ') or 'nothing'},"
            f" expected 00 00, a type code ({', '.join(f'{t:02x}' for t in _DTYPES)}) and the rank."
            f" {_REPAIR}"
        )
    dtype, rank = np.dtype(_DTYPES[magic[2]]), magic[3]
    start = 4 + 4 * rank
    if len(content) < start:
        raise ValueError(
            f"read_idx: {path} ends inside its header: {len(content)} bytes, expected {start} for"
            f" {rank} axes. {_REPAIR}"
        )
    shape = struct.unpack(f">{rank}I", content[4:start])
    expected = start + prod(shape) * dtype.itemsize
    if len(content) != expected:
        raise ValueError(
            f"read_idx: {path} holds {len(content)} bytes, expected {expected} for"
            f" {dtype.name}{list(shape)}: it is truncated or damaged. {_REPAIR}"
        )
    numbers = np.frombuffer(content, dtype, offset=start).reshape(shape)
    return numbers.astype(dtype.newbyteorder("="))


def _content(path: Path) -> bytes:
    raw = path.read_bytes()
    if not raw.startswith(b"\x1f\x8b"):
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(
            f"read_idx: {path} is damaged: {len(raw)} bytes of gzip that do not unpack ({error})."
            f" {_REPAIR}"
        ) from error

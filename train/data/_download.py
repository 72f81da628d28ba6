"""Files fetched once: checked by size and SHA-256, and put in place whole or not at all."""

import gzip
import hashlib
import os
import platform
import tempfile
import zlib
from collections.abc import Sequence
from http.client import HTTPException
from io import BytesIO
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen


class Content(NamedTuple):
    """What a file must be, and a `.gz` unpack to, whose own bytes differ between mirrors."""

    size: int  # bytes
    sha256: str


def cache_folder() -> Path:
    """The user's cache folder for Laminax, by the platform's convention; not created here."""
    default = "~/Library/Caches" if platform.system() == "Darwin" else "~/.cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or default).expanduser() / "laminax"


def download(urls: Sequence[str], path: Path, content: Content) -> None:
    """Fetch a file from the first of `urls` that serves `content`, and put it at `path`.

    A path that ends in `.gz` is that of a gzip file, any other of the content itself.

    Raises:
        OSError: no address served the content, or `path` cannot be written.
    """
    failures = []
    for url in urls:
        try:
            data = _fetch(url, content, packed=path.suffix == ".gz")
        except (OSError, HTTPException, ValueError) as error:
            failures.append(f"{url}: {error}")
        else:
            return put(path, data)
    reasons = "\n  ".join(failures)
    raise OSError(
        f"download: cannot get {path.name}:\n  {reasons}\nCheck the network, or put the file at"
        f" {path} by hand."
    )


def _fetch(url: str, content: Content, packed: bool) -> bytes:
    with urlopen(url, timeout=30) as response:
        data: bytes = response.read(content.size + 1024)  # compressed, it is never longer
    unpacked = _unpacked(data, content) if packed else data
    if len(unpacked) != content.size:
        raise ValueError(f"unpacks to {len(unpacked)} bytes or more, expected {content.size}")
    found = hashlib.sha256(unpacked).hexdigest()
    if found != content.sha256:
        raise ValueError(f"unpacks to sha256 {found}, expected {content.sha256}")
    return data


def _unpacked(data: bytes, content: Content) -> bytes:
    try:
        # One byte more than expected tells too long; a bomb is unpacked no further.
        return gzip.GzipFile(fileobj=BytesIO(data)).read(content.size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{len(data)} bytes that do not unpack ({error})") from error


def put(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all, and the folders above it.

    Raises:
        OSError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as aside:
            part = Path(aside, path.name)
            part.write_bytes(data)
            part.replace(path)
    except OSError as error:
        raise OSError(
            f"download: cannot write {path}: {error.strerror}; free some space, or choose another"
            " folder by XDG_CACHE_HOME."
        ) from error

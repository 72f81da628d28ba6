"""Files that appear whole or not at all: written aside, flushed to the disk, renamed."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def writable(folder: str | os.PathLike[str]) -> Path:
    """The folder, made if missing, and proven to take files by writing one.

    Raises:
        OSError: the folder cannot be made or written in.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as base:
    ...     writable(Path(base, "runs", "first")).is_dir()
    True
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"0")
    except OSError as error:
        raise OSError(
            f"writable: cannot write in the folder {folder.absolute()}: {error.strerror}; choose"
            " another folder, or change its permissions or free space."
        ) from error
    return folder


def commit(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file in a temporary sibling of `path`, then move it to `path` at once.

    Whatever fails, the file that stood at `path` before still does.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as aside:
        part = Path(aside, path.name)
        part.touch()
        mode = part.stat().st_mode  # as the user's umask has it; some writers make it private
        write(part)
        part.chmod(mode)
        _flush(part)
        part.replace(path)
        _flush(path.parent)  # the rename itself


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

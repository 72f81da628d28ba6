"""The checkpoints of a run, named by step, the newest kept, one writer a folder.

OUT/checkpoints/000001200.safetensors    the training state, the best variables and the record
OUT/checkpoints/000001200.orbax          the same in parts, where `sharded` is asked for
"""

import fcntl
import re
import shutil
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .._processes import agreed, first
from ._tree import begin, read_metadata, verify

_NAME = re.compile(r"(\d{9,})\.(?:safetensors|orbax)")
_UNFINISHED = re.compile(rf"\.?{_NAME.pattern}\..+")


class Checkpoints(NamedTuple):
    """When `fit` writes checkpoints into its folder, and how many it keeps.

    One is written every so many minutes, or every so many steps where `steps` is given, and one at
    the end; after each but the newest `keep` are deleted. The best variables by validation stand in
    each of them.

    With `sharded` each of several processes writes what its own devices hold, by orbax (the `orbax`
    extra), so that none needs room for the whole state; all of them must see the folder.
    """

    minutes: float = 10.0
    steps: int | None = None
    keep: int = 2
    sharded: bool = False

    def check(self) -> None:
        """Raise ValueError for numbers that cannot be."""
        for name in ("minutes", "steps", "keep"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not value > 0):
                raise ValueError(
                    f"Checkpoints: {name} must be above 0, got {value!r}; as "
                    "train.Checkpoints(minutes=5, keep=3)"
                )


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoint files of a run folder, oldest first."""
    found = [(path, _NAME.fullmatch(path.name)) for path in folder.glob("checkpoints/*")]
    return [path for _, path in sorted((int(m[1]), path) for path, m in found if m)]


def newest(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """The newest checkpoint that is whole, and its metadata; None where there is none.

    A damaged file is passed over with a warning.
    """
    for path in reversed(checkpoints(folder)):
        try:
            verify(path)
            return path, read_metadata(path)
        except ValueError as error:
            warnings.warn(f"{error} The checkpoint before it is used.", stacklevel=2)
    return None


class Lock:
    """The right to write in a run folder, which one process at a time has; it ends with it."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / ".lock").open("a")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise OSError(
                f"fit: another run is writing in {folder.absolute()}; wait for it to end, or "
                "choose another folder."
            ) from error

    def close(self) -> None:
        """Give the folder free."""
        self._file.close()


class Writer:
    """Writes checkpoints in the background, from copies on the host."""

    def __init__(self, folder: Path, policy: Checkpoints, step: int) -> None:
        self._folder, self._policy = folder, policy
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None
        self._last = time.monotonic()
        self.latest = step
        if first():  # what a run that was killed did not finish
            for path in folder.glob("checkpoints/*"):
                if _UNFINISHED.fullmatch(path.name):
                    shutil.rmtree(path)

    def due(self, step: int) -> bool:
        """Whether it is time for a checkpoint at this step."""
        if step == self.latest:
            return False
        if self._policy.steps is not None:
            return step % self._policy.steps == 0
        return time.monotonic() - self._last >= 60 * self._policy.minutes

    def steps_until_due(self, step: int) -> int | None:
        """How many steps may be taken before one is due; None where the clock decides."""
        return (
            None if self._policy.steps is None else self._policy.steps - step % self._policy.steps
        )

    def write(self, step: int, tree: Any, metadata: Callable[[], Mapping[str, Any]]) -> None:
        """Copy the tree to the host, then write it while training goes on.

        That an earlier one could not be written is warned of; those before it stand.
        """
        try:
            self.wait()
        except OSError as error:
            warnings.warn(f"training goes on without a checkpoint: {error}", stacklevel=2)
        path = self._path(step)
        if path.is_dir() and first():  # one that was passed over, or not ended
            shutil.rmtree(path)
        agreed()
        finish = begin(path, tree, metadata())
        self._last, self.latest = time.monotonic(), step

        def work() -> None:
            try:
                finish()
                self._prune()
            except Exception as error:
                self._error = error

        self._thread = threading.Thread(target=work)
        self._thread.start()

    def wait(self) -> None:
        """Wait until the checkpoint at hand is on the disk.

        Raises:
            OSError: it could not be written.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _path(self, step: int) -> Path:
        kind = "orbax" if self._policy.sharded else "safetensors"
        return self._folder / "checkpoints" / f"{step:09d}.{kind}"

    def _prune(self) -> None:
        if first():
            for path in checkpoints(self._folder)[: -self._policy.keep]:
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

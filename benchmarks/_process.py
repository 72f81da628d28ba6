"""A contender's process: it reads commands and answers each by one line of JSON.

Each contender waits in its own process until it is told to run, so that no thread pool meets
another and a slow moment of the machine hits all of them alike. `Worker` is the driver's end,
`serve` that of the process.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from .peers import UnsupportedError

Commands: TypeAlias = Mapping[str, Callable[[], dict[str, Any]]]

# CPU for all: that is what every contender can use.
_ENVIRONMENT = {"JAX_PLATFORMS": "cpu", "KERAS_BACKEND": "jax"}
_PAUSE = 0.3  # s, in which the threads of the previous contender stop spinning


class AbsentError(Exception):
    """The contender does not take part."""


class EndedError(RuntimeError):
    """The process ended, or was ended since it did not answer in time."""


class Worker:
    """A contender's process, running `module` with the arguments; `start` is its first answer."""

    def __init__(
        self,
        name: str,
        module: str,
        arguments: Sequence[str],
        folder: str,
        limit: float | None = None,
    ):
        self.name = name
        self._limit = limit  # s, for an answer
        self._log = Path(folder, f"{name}.log")
        # What a compiler kept from an earlier run would hide how long it takes.
        own = {"TORCHINDUCTOR_CACHE_DIR": str(Path(folder, f"{name}.cache"))}
        with self._log.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=os.environ | _ENVIRONMENT | own,
                start_new_session=True,  # a compiler's helpers end with it
            )
        self.start = self._answer()
        if "skipped" in self.start:
            self.close()
            raise AbsentError(self.start["skipped"])

    def ask(self, command: str) -> dict[str, Any]:
        time.sleep(_PAUSE)
        assert self._process.stdin
        print(command, file=self._process.stdin, flush=True)
        return self._answer()

    def close(self) -> None:
        self._process.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        if not select.select([self._process.stdout], [], [], self._limit)[0]:
            self._kill()
            raise EndedError(f"{self.name}: no answer in {self._limit:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            self._kill()
            raise EndedError(f"{self.name} ended:\n{self._log.read_text()[-4000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def last_line(reason: Exception) -> str:
    """Return the end of an error's text, fit for a cell of a table."""
    lines = [line for line in str(reason).splitlines() if line.strip()]
    return lines[-1].strip().replace("|", "\\|")[:200]


def serve(prepare: Callable[[], tuple[dict[str, Any], Commands]]) -> None:
    """Prepare, tell the first answer, then answer each line of the standard input."""
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints must not mix with the answers
    try:
        start, commands = prepare()
    except ModuleNotFoundError as error:
        return print(json.dumps({"skipped": f"{error.name} is not installed"}), file=channel)
    except (NotImplementedError, UnsupportedError) as error:
        return print(json.dumps({"skipped": str(error)}), file=channel)
    print(json.dumps(start), file=channel)
    for command in sys.stdin:
        print(json.dumps(commands[command.strip()]()), file=channel)

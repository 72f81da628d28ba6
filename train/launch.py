"""Local processes that make up one run: `laminax launch -n 4 train.py`.

Each runs the script as it stands, after `jax.distributed.initialize`; all devices of all of them
are then one mesh. On a cluster, where Slurm or the like starts the processes, or on a TPU slice, a
script calls `jax.distributed.initialize()` itself, which finds out the rest.
"""

import contextlib
import os
import runpy
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

import jax


def launch(
    script: str, arguments: Sequence[str] = (), *, processes: int, device_each: bool = False
) -> int:
    """Run a script in so many local processes; return 0, or the first other exit status.

    Where one of them fails, the others are ended.

    Args:
        script: the path of a Python file.
        arguments: of the script.
        processes: how many.
        device_each: whether each sees one accelerator alone, its own.

    Raises:
        FileNotFoundError: there is no such script.
        ValueError: fewer than one process.
    """
    if not Path(script).is_file():
        raise FileNotFoundError(f"launch: there is no script {script!r}")
    if processes < 1:
        raise ValueError(f"launch: processes must be at least 1, got {processes}")
    address = f"localhost:{_free_port()}"
    common = [str(int(device_each)), script, *arguments]
    worker = [sys.executable, "-m", "laminax.train.launch", address, str(processes)]
    started = [subprocess.Popen([*worker, str(i), *common]) for i in range(processes)]
    try:
        return _wait(started)
    finally:
        for process in started:  # one that waits for others does not heed a milder word
            process.kill()
            process.wait()


def _wait(started: Sequence[subprocess.Popen[bytes]]) -> int:
    while True:
        with contextlib.suppress(KeyboardInterrupt):  # the processes have it, too, and end
            states = [process.poll() for process in started]
            failed = [state for state in states if state]
            if failed:
                return failed[0]
            if all(state == 0 for state in states):
                return 0
            time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port: int = probe.getsockname()[1]
        return port


def _work(arguments: list[str]) -> None:
    """Join the others, then run the script as if it were called by itself."""
    address, processes, process, device_each, script, *rest = arguments
    own = [int(process)] if device_each == "1" else None
    jax.distributed.initialize(address, int(processes), int(process), local_device_ids=own)
    sys.argv = [script, *rest]
    sys.path.insert(0, str(Path(script).resolve().parent))
    try:
        runpy.run_path(script, run_name="__main__")
    except BaseException as error:
        status = error.code if isinstance(error, SystemExit) else 1
        if not isinstance(error, SystemExit):
            traceback.print_exc()
        sys.stdout.flush()
        if status:  # at once: at its end a process waits for the others, and they for it
            os._exit(status if isinstance(status, int) else 1)


if __name__ == "__main__":
    _work(sys.argv[1:])

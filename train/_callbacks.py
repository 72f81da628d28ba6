"""Callbacks that write elsewhere: rows as JSON lines or for TensorBoard, a profile of the steps."""

import json
import os
from pathlib import Path

import jax

from ._callback import Callback, View
from .checkpoint import writable


def log_jsonl(path: str | os.PathLike[str]) -> Callback:
    """Callback that adds each row to a file, an object a line.

    A run that goes on from a checkpoint drops the lines of rows that it will write again.

    Raises:
        OSError: the file cannot be written.

    >>> import tempfile, jax.numpy as jnp
    >>> from laminax import nn, optim, train
    >>> x = jnp.linspace(-1, 1, 8)[:, None]
    >>> objective = train.supervised(nn.dense(1), nn.losses.squared_error)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log = train.log_jsonl(f"{folder}/log.jsonl")
    ...     _ = train.fit(objective, optim.sgd(0.1), (x, x), epochs=2, batch_size=8,
    ...                   callbacks=[log], progress=False)
    ...     rows = Path(folder, "log.jsonl").read_text().splitlines()
    >>> [json.loads(row)["step"] for row in rows]
    [1, 2]
    """
    file = Path(path)
    writable(file.parent)

    def log(event: str, view: View) -> None:
        if event == "start" and file.is_file():
            rows = [json.loads(line) for line in file.read_text().splitlines()]
            kept = [row for row in rows if row["step"] <= view.step]
            file.write_text("".join(json.dumps(row) + "\n" for row in kept))
        if event == "row":
            with file.open("a") as opened:
                opened.write(json.dumps(view.row) + "\n")

    return log


def log_tensorboard(folder: str | os.PathLike[str]) -> Callback:
    """Callback that writes each row's numbers as scalars over the steps, for TensorBoard.

    Needs the `log` extra, tensorboardX.

    Raises:
        ImportError: tensorboardX is missing.
        OSError: the folder cannot be written.
    """
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise ImportError(
            "log_tensorboard needs tensorboardX, which is not installed; pip install 'laminax[log]'"
        ) from error
    writable(folder)
    writers: list[SummaryWriter] = []

    def log(event: str, view: View) -> None:
        if event == "start":  # what an earlier run wrote from here on is not to be shown
            writers.append(SummaryWriter(os.fspath(folder), purge_step=view.step + 1))
        if event == "row" and view.row is not None:
            for name in view.row.keys() - {"step"}:
                writers[-1].add_scalar(name, view.row[name], view.step)
            writers[-1].flush()
        if event == "end":
            writers.pop().close()

    return log


def log_profile(folder: str | os.PathLike[str]) -> Callback:
    """Callback that records what host and devices do from the first step to the first row.

    XProf (TensorBoard) shows the trace, and Perfetto the `perfetto_trace.json.gz` in it. What is
    compiled is so before. Traces are large: choose `every`, the steps of a row, for a few seconds.

    Raises:
        OSError: the folder cannot be written.

    >>> import tempfile, jax.numpy as jnp
    >>> from laminax import nn, optim, train
    >>> x = jnp.linspace(-1, 1, 8)[:, None]
    >>> objective = train.supervised(nn.dense(1), nn.losses.squared_error)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = train.fit(objective, optim.sgd(0.1), (x, x), epochs=2, batch_size=8, every=1,
    ...                   callbacks=[train.log_profile(folder)], progress=False)
    ...     len(list(Path(folder).rglob("perfetto_trace.json.gz")))
    1
    """
    writable(folder)
    traced: list[bool] = []

    def log(event: str, view: View) -> None:
        if event == "start" and not traced:
            jax.profiler.start_trace(os.fspath(folder), create_perfetto_trace=True)
            traced.append(True)
        elif traced == [True]:  # the first row, or the end of a run without one
            jax.profiler.stop_trace()
            traced.append(False)

    return log

"""The training loop: `fit` checks everything, finds out where to begin, and runs."""

import contextlib
import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

from ._arguments import check_arguments
from ._callback import Callback, View
from ._check import check_kind, checked_batch_size, checked_count, checked_data
from ._chunk import Program, chunk
from ._evaluate import trace_scores
from ._feed import Feed
from ._feed_of import feed_of
from ._interrupt import Interrupts
from ._layout import Layout
from ._objective import Batch, Objective
from ._processes import agreed, first, put
from ._progress import Progress
from ._record import Record
from ._result import Diverged, Result
from ._resume import about, restored
from ._rows import Rows
from ._run import Run
from ._state import TrainState, copied, data_key, init
from .checkpoint import Checkpoints, writable
from .checkpoint import checkpoints as written
from .checkpoint._runs import Lock, Writer, newest
from .checkpoint._tree import begin
from .data import Pass, Source, steps_until

_DEFAULT = Checkpoints()


def fit(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    data: Batch | Source,
    *,
    epochs: int = 10,
    batch_size: int = 128,
    seed: int = 0,
    weights: Any = None,
    microbatches: int = 1,
    validation: Batch | Pass | None = None,
    every: int | None = None,
    patience: int | None = None,
    callbacks: Sequence[Callback] = (),
    state: TrainState | None = None,
    layout: Layout | None = None,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    checkpoints: Checkpoints = _DEFAULT,
    progress: bool = True,
) -> Result:
    """Train: minimize the objective over the data, many steps a program.

    Every batch is full: batches are cut from an endless stream of permutations of the data, decided
    by the seed. Ctrl-C (or SIGTERM) ends the run after the current chunks, within about two
    seconds, and the last state is returned; a second one raises.

    With `out`, checkpoints are written while training goes on, and `resume=True` goes on from the
    newest one: the same machine and versions come to the same bits as without the interruption,
    wherever it fell.

    Args:
        objective: what to minimize.
        optimizer: one of `optim`, or any optax transform.
        data: a pytree of arrays with a common leading axis, `(x, y)` for `supervised`, which is put
            on the device, or read in the same order from the host where NumPy arrays would take
            more than half of its memory and nothing weighs them; or a stream of batches, a
            `data.Source`, of which each of several processes reads its own share, where it is
            `data.Divisible`.
        epochs: passes over the data to make.
        batch_size: examples a step; of a stream, its own.
        seed: decides parameters, data order and noise.
        weights: (examples,), what each example weighs in the loss.
        microbatches: parts of a batch that are computed one after another, to save memory.
        validation: data to evaluate for each row of the history; a `data.Pass` where they do not
            lie in memory whole.
        every: steps from one row to the next; by default a row is written after each epoch.
        patience: stop after so many rows without a lower validation loss.
        callbacks: called as callback(event, view) at the "start", after each "row", at the "end".
        state: go on from this training state (it is copied) instead of a new one.
        layout: how batches and parameters lie on the devices of a mesh, as `data_parallel(mesh)`.
        out: a folder for the history, checkpoints, and the last and the best variables.
        resume: go on from the newest checkpoint in `out`, or begin where there is none.
        checkpoints: how often to write one, and how many to keep.
        progress: whether to draw a bar.

    Raises:
        TypeError, ValueError: bad arguments or data, before anything is compiled.
        OSError: `out` cannot be written, or another run writes there, before anything is compiled.
        FileExistsError: `out` holds checkpoints, and `resume` was not asked for.
        Diverged: the loss is no longer finite.

    >>> import jax.numpy as jnp
    >>> from laminax import nn, optim, train
    >>> x = jnp.linspace(-1, 1, 64)[:, None]
    >>> objective = train.supervised(nn.dense(1), nn.losses.squared_error)
    >>> result = train.fit(objective, optim.sgd(0.1), (x, 2 * x + 1), epochs=40, batch_size=8,
    ...                    progress=False)
    >>> round(result.variables.params["b"].item(), 3)
    1.0
    """
    counts = {"epochs": epochs, "microbatches": microbatches, "every": every, "patience": patience}
    check_arguments(objective, counts, validation, callbacks, state, layout)
    folder = _folder(out, resume, checkpoints)
    agreed()  # nobody writes there before all have looked
    with contextlib.ExitStack() as stack:
        if folder is not None and first():
            stack.enter_context(contextlib.closing(Lock(folder)))
        found = newest(folder) if folder is not None and resume else None
        _check_cut(data, batch_size, microbatches, layout)
        order = functools.partial(data_key, seed, state)
        feed = feed_of(data, batch_size, weights, order, layout, found and found[1]["stream"])
        stack.enter_context(contextlib.closing(feed))
        objective.check(feed.sample)
        new = functools.partial(init, objective, optimizer, feed.spec, seed=seed, layout=layout)
        spec = jax.eval_shape(new if state is None else lambda: state)
        spec = spec if layout is None else layout.spec(spec)
        program = Program(objective, optimizer, feed.take_batch, microbatches, layout)
        _trace(program, spec, feed, validation)
        told = {} if folder is None else about(feed, seed, microbatches)
        if found is not None:
            state, best, record = restored(*found, spec, told)
        else:
            state = new() if state is None else _placed(copied(state), layout)
            best, record = None, Record(int(state.step))
        run = Run(
            program,
            feed,
            Rows(record.first, epochs, every, feed.batch_size, feed.examples),
            state,
            record,
            best,
            validation=validation,
            patience=patience,
            callbacks=[*callbacks, *_history_writer(folder)],
            writer=None if folder is None else Writer(folder, checkpoints, int(state.step)),
            metadata=told,
        )
        return _trained(run, folder, progress)


def steps_for(data: Batch, *, epochs: int, batch_size: int) -> int:
    """Return how many steps `fit` takes, for schedules: ceil(epochs · N / batch_size).

    >>> import numpy as np
    >>> from laminax import train
    >>> train.steps_for((np.zeros((100, 2)), np.zeros(100)), epochs=2, batch_size=32)
    7
    """
    examples = checked_data("steps_for", data)
    size = checked_batch_size("steps_for", batch_size, examples)
    return steps_until(checked_count("steps_for", "epochs", epochs) - 1, size, examples)


def _trained(run: Run, folder: Path | None, progress: bool) -> Result:
    """Run to the end; whatever ends it early, the last state is on the disk."""
    steps = run.rows.last - run.rows.first
    try:
        with Interrupts() as interrupts, Progress(steps, progress and first()) as bar:
            run.train(interrupts, bar)
    except Diverged:
        raise
    except Exception as error:
        if run.writer is not None and jax.process_count() == 1:
            run.finish()
            error.add_note(f"the run up to step {run.step} is in {folder}; resume=True goes on")
        raise
    result = run.result()
    if folder is not None:
        run.finish()
        begin(folder / "variables.safetensors", result.variables)()
        if result.best is not None:
            begin(folder / "best.safetensors", result.best.variables)()
    return result


def _folder(out: str | os.PathLike[str] | None, resume: bool, policy: Checkpoints) -> Path | None:
    check_kind("fit", "checkpoints", policy, Checkpoints, "as train.Checkpoints(minutes=5)")
    policy.check()
    if out is None:
        if resume:
            raise ValueError("fit: resume=True needs out=, the folder of the run to go on with")
        return None
    folder = writable(out)
    if written(folder) and not resume:
        raise FileExistsError(
            f"fit: {folder.absolute()} holds the checkpoints of a run; go on with it by "
            "resume=True, or choose another folder"
        )
    return folder


def _placed(state: TrainState, layout: Layout | None) -> TrainState:
    return state if layout is None else jax.tree.map(put, state, layout.state(state))


def _check_cut(
    data: Batch | Source, batch_size: int, microbatches: int, layout: Layout | None
) -> None:
    size = data.batch_size if isinstance(data, Source) else batch_size
    if layout is not None:
        layout.check_batch(checked_count("fit", "batch_size", size), microbatches)


def _history_writer(folder: Path | None) -> list[Callback]:
    if folder is None:
        return []

    def write(event: str, view: View) -> None:
        if event == "row" and first():
            view.history.to_csv(folder / "history.csv")

    return [write]


def _trace(program: Program, spec: TrainState, feed: Feed, validation: Batch | Pass | None) -> None:
    """Trace all of it before anything is compiled: what does not fit together raises now."""
    chunk.eval_shape(program, spec, feed.take(0)[0], np.int32(0))
    if validation is not None:
        trace_scores(program.objective, spec, validation, program.layout)

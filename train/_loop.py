"""The training loop: chunks of steps on the device, and everything else between them."""

import functools
import math
import os
import time
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import optax

from laminax import optim

from ._check import check_kind, checked_batch_size, checked_count, checked_data
from ._chunk import LONGEST, chunk
from ._evaluate import scores, trace_scores
from ._history import History, Totals
from ._interrupt import Interrupts
from ._objective import Batch, Objective, batch_size_of
from ._progress import Progress
from ._result import Best, Diverged, Result
from ._state import TrainState, copied, init
from .checkpoint import save, writable
from .data import steps_until

_SECONDS = 0.25  # a chunk's length: how long an interrupt may wait


def fit(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    data: Batch,
    *,
    epochs: int = 10,
    batch_size: int = 128,
    seed: int = 0,
    validation: Batch | None = None,
    patience: int | None = None,
    state: TrainState | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Result:
    """Train: minimize the objective over the data, many steps a program.

    Every batch is full: batches are cut from an endless stream of permutations of the data, decided
    by the seed. Ctrl-C (or SIGTERM) ends the run after the current chunk, within about a quarter of
    a second, and the last state is returned; a second one raises.

    Args:
        objective: what to minimize.
        optimizer: one of `optim`, or any optax transform.
        data: a pytree of arrays with a common leading axis, `(x, y)` for `supervised`.
        epochs: passes over the data to make.
        batch_size: examples a step.
        seed: decides parameters, data order and noise.
        validation: data to evaluate after each epoch.
        patience: stop after so many epochs without a lower validation loss.
        state: go on from this training state (it is copied) instead of a new one.
        out: a folder for `history.csv` and the last state, `checkpoint.safetensors`.
        progress: whether to draw a bar.

    Raises:
        TypeError, ValueError: bad arguments or data, before anything is compiled.
        OSError: `out` cannot be written, before anything is compiled.
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
    _check(objective, data, epochs, batch_size, validation, patience, state)
    folder = None if out is None else writable(out)
    new = functools.partial(init, objective, optimizer, data, seed=seed)
    _trace(objective, optimizer, batch_size, state or jax.eval_shape(new), data, validation)

    state = new() if state is None else copied(state)
    data, validation = jax.device_put((data, validation))
    run = _Run(objective, optimizer, data, validation, batch_size, state)
    first, end = run.epochs_from_here(epochs)
    with Interrupts() as interrupts, Progress(end - run.step, progress) as bar:
        run.compile()
        bar.start()
        for epoch in range(first, first + epochs):
            bar.epoch(epoch - first + 1, epochs)
            if not run.epoch(epoch, interrupts, bar):
                break
            if folder:
                run.history.to_csv(folder / "history.csv")
            if patience and run.best and epoch + 1 - run.best.epoch >= patience:
                break
    if folder:
        save(folder / "checkpoint.safetensors", run.state)
    return run.result()


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


@dataclass
class _Run:
    """A run between two chunks, on the host."""

    objective: Objective
    optimizer: optax.GradientTransformation
    data: Batch
    validation: Batch | None
    batch_size: int
    state: TrainState

    def __post_init__(self) -> None:
        self.examples = batch_size_of(self.data)
        self.step = int(self.state.step)
        self.history = History()
        self.best: Best | None = None
        self.interrupted = False
        self.totals = Totals()
        self.began = time.perf_counter()
        self.pace = 1  # steps that take about _SECONDS, as far as known

    def epochs_from_here(self, epochs: int) -> tuple[int, int]:
        """Return the first epoch, which may be begun already, and the step after the last."""
        first = self.step * self.batch_size // self.examples
        return first, steps_until(first + epochs - 1, self.batch_size, self.examples)

    def compile(self) -> None:
        """Compile the program of many steps by taking none."""
        self._advance(0)
        self.began = time.perf_counter()

    def epoch(self, epoch: int, interrupts: Interrupts, bar: Progress) -> bool:
        """Take the steps of an epoch and write its row; return whether it came to its end."""
        end = steps_until(epoch, self.batch_size, self.examples)
        while self.step < end and not interrupts.requested:
            n = min(end - self.step, self.pace)
            start = time.perf_counter()
            rows = self._advance(n)
            self.step += n
            self.pace = _next_pace(n, time.perf_counter() - start)
            self.totals.add(rows)
            self._check_finite(rows["loss"][0])
            bar.advance(n, self.totals)
        self.interrupted = self.step < end
        if not self.interrupted:
            self._end_epoch(epoch + 1)
        return not self.interrupted

    def result(self) -> Result:
        return Result(self.state, self.history, self.best, self.interrupted)

    def _end_epoch(self, epoch: int) -> None:
        row = {"epoch": epoch, "step": self.step, **self.totals.means()}
        if self.validation is not None:
            means = scores(self.objective, self.state.variables, self.validation)
            row |= {f"validation_{name}": mean for name, mean in means.items()}
            if self.best is None or means["loss"] < self.best.loss:
                self.best = Best(epoch, means["loss"], copied(self.state.variables))
        rate = optim.rate(self.state.opt_state)
        row |= {} if rate is None else {"rate": float(rate)}
        self.history.append({**row, "seconds": time.perf_counter() - self.began})
        self.totals, self.began = Totals(), time.perf_counter()

    def _advance(self, n: int) -> Any:
        self.state, sums = chunk(
            self.objective, self.optimizer, self.batch_size, self.state, self.data, np.int32(n)
        )
        return jax.tree.map(lambda rows: np.asarray(rows)[:n], sums)

    def _check_finite(self, losses: np.ndarray[Any, Any]) -> None:
        bad = np.flatnonzero(~np.isfinite(losses))
        if bad.size:
            step = self.step - len(losses) + int(bad[0])
            error = Diverged(
                f"fit: the loss is {losses[bad[0]]} at step {step} (epoch "
                f"{step * self.batch_size // self.examples + 1}); lower the learning rate or clip "
                "the gradient (optim.clip_by_norm). The run so far is this error's .result"
            )
            error.result = self.result()
            raise error


def _check(
    objective: Objective,
    data: Batch,
    epochs: int,
    batch_size: int,
    validation: Batch | None,
    patience: int | None,
    state: TrainState | None,
) -> None:
    check_kind("fit", "objective", objective, Objective, "use train.supervised(model, loss)")
    checked_batch_size("fit", batch_size, checked_data("fit", data))
    checked_count("fit", "epochs", epochs)
    objective.check(data)
    if validation is not None:
        checked_data("fit, validation", validation)
        objective.check(validation)
    if patience is not None:
        checked_count("fit", "patience", patience)
        if validation is None:
            raise ValueError(f"fit: {patience=} needs validation= data to be patient about")
    if state is not None:
        check_kind("fit", "state", state, TrainState, "use result.state, or train.init")


def _trace(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    batch_size: int,
    spec: TrainState,
    data: Batch,
    validation: Batch | None,
) -> None:
    """Trace all of it before anything is compiled: what does not fit together raises now."""
    chunk.eval_shape(objective, optimizer, batch_size, spec, data, np.int32(0))
    if validation is not None:
        trace_scores(objective, spec, validation)


def _next_pace(n: int, seconds: float) -> int:
    return max(1, min(LONGEST, math.floor(_SECONDS * n / max(seconds, 1e-6))))

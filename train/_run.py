"""A run between its chunks, on the host: launch, collect, write rows, checkpoint, stop.

While the steps of a row run, the next chunk is launched before the sums of the one before it are
read, so that reading, adding, drawing and logging cost the device no time. At the end of a row
everything stands still at one step: that is where validation, callbacks and patience act.
"""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from laminax import optim
from laminax.nn import Variables

from ._callback import Callback, View
from ._chunk import LONGEST, Program, chunk
from ._evaluate import scores
from ._feed import Feed, Resident
from ._history import Totals
from ._interrupt import Interrupts
from ._objective import Batch, batch_spec
from ._processes import agreed, put
from ._progress import Progress
from ._record import Record
from ._result import Best, Diverged, Result
from ._rows import Rows
from ._speed import Speed, peak, step_flops
from ._state import TrainState, copied
from .checkpoint._runs import Writer
from .data import Pass, index

# A chunk's length; an interrupt waits for two at most. Each begins with memory that the system has
# to clear: at an eighth of a second this took a fifth of a small convolutional network's time.
_SECONDS = 1.0


class Run:
    """The state of a run and what happens to it."""

    def __init__(
        self,
        program: Program,
        feed: Feed,
        rows: Rows,
        state: TrainState,
        record: Record,
        best: Variables | None,
        *,
        validation: Batch | Pass | None = None,
        patience: int | None = None,
        callbacks: Sequence[Callback] = (),
        writer: Writer | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self.program, self.feed, self.rows = program, feed, rows
        self.state, self.record, self.best = state, record, best
        where = None if program.layout is None else program.layout.everywhere
        self.validation = validation if isinstance(validation, Pass) else put(validation, where)
        self.patience, self.callbacks = patience, callbacks
        self.writer, self.metadata = writer, dict(metadata or {})
        self.step = self._read = int(state.step)  # taken; taken and read
        self.interrupted = self.stopped = False
        self._flying: tuple[int, Any] | None = None  # launched, not read
        self._pace = 1  # steps that take about _SECONDS, as far as known

    def train(self, interrupts: Interrupts, bar: Progress) -> None:
        """Compile, then take all steps unless something ends them early."""
        self._advance(0)
        bar.start(self.step - self.rows.first, self._speed())
        self._began = time.perf_counter()
        self._tell("start", None)
        while not self._over():
            end = self.rows.end(self.record.rows)
            bar.epoch(*self.rows.epoch_of(self.step))
            self._stretch(end, interrupts, bar)
            self.interrupted = self.step < end
            if not self.interrupted:
                self._write_row()
        self._tell("end", None)

    def _speed(self) -> Speed:
        """What the bar is to tell; FLOPs are counted where they can be compared with a peak."""
        layout, size = self.program.layout, self.feed.batch_size
        devices = 1 if layout is None else layout.mesh.size
        if peak(devices) is None:
            return Speed(size, None, devices)
        batch = batch_spec(self.feed.spec, size)
        objective, optimizer = self.program.objective, self.program.optimizer
        flops = step_flops(objective, optimizer, self.state, batch, self.program.microbatches)
        return Speed(size, flops, devices)

    def save(self) -> None:
        """Write a checkpoint of this very step."""
        assert self.writer is not None
        tree = {"state": self.state, "best": self.best}
        self.writer.write(self.step, tree, self._metadata)

    def finish(self) -> None:
        """Write the last checkpoint, where there is none of this step, and wait for the disk."""
        assert self.writer is not None
        if self.writer.latest != self.step:
            self.save()
        self.writer.wait()

    def result(self) -> Result:
        """What the run has come to."""
        best = None
        if self.best is not None and self.record.best_row is not None:
            epoch = self.record.history["epoch"][self.record.best_row]
            best = Best(epoch, self.record.best_loss, self.best)
        return Result(self.state, self.record.history, best, self.interrupted)

    def _over(self) -> bool:
        done = self.step >= self.rows.last and self.record.rows > 0
        done = done and self.record.history["step"][-1] == self.step
        tired = self.patience is not None and self.record.stale() >= self.patience
        return done or tired or self.stopped or self.interrupted

    def _stretch(self, end: int, interrupts: Interrupts, bar: Progress) -> None:
        """Take steps up to `end`; the sums of a chunk are read while the next one runs."""
        self._landed = time.perf_counter()
        try:
            while self.step < end:
                n, stop, due = self._plan(end - self.step, interrupts)
                if due:
                    self._land_last(bar)
                    self.save()
                if stop:
                    break
                before, self._flying = self._flying, self._advance(n)
                self._land(before, bar)
        finally:  # of what the device has done, nothing goes unread
            self._land_last(bar)

    def _plan(self, most: int, interrupts: Interrupts) -> tuple[int, bool, bool]:
        """How many steps to take now, whether to stop, and whether a checkpoint is due."""
        due = self.writer is not None and self.writer.due(self.step)
        until = self.writer.steps_until_due(self.step) if self.writer is not None else None
        n = min(most, self._pace, until or most)
        told = agreed(n, interrupts.requested, due)
        return told[0], bool(told[1]), bool(told[2])

    def _advance(self, most: int) -> tuple[int, Any]:
        data, n = self.feed.take(most)
        self.state, sums = chunk(self.program, self.state, data, np.int32(n))
        self.step += n
        return n, sums

    def _land_last(self, bar: Progress) -> None:
        last, self._flying = self._flying, None
        self._land(last, bar)

    def _land(self, flying: tuple[int, Any] | None, bar: Progress) -> None:
        """Read the sums of a chunk, which waits for its end."""
        if flying is None:
            return
        n, sums = flying
        rows = jax.tree.map(lambda a: np.asarray(a)[:n], sums)
        now = time.perf_counter()
        self._pace = _next_pace(n, now - self._landed)
        self._landed = now
        self.record.totals.add(rows)
        self._check_finite(rows["loss"][0])
        self._read += n
        bar.advance(n, self.record.totals)

    def _write_row(self) -> None:
        means = self.record.totals.means()
        row = {"epoch": self.rows.epoch(self.step), "step": self.step, **means}
        if self.validation is not None:
            means = scores(
                self.program.objective,
                self.state.variables,
                self.validation,
                layout=self.program.layout,
            )
            row |= {f"validation_{name}": mean for name, mean in means.items()}
            if self.best is None or means["loss"] < self.record.best_loss:
                self.record.best_row, self.record.best_loss = self.record.rows, means["loss"]
                self.best = copied(self.state.variables)
        row |= {name: float(rate) for name, rate in optim.rates(self.state.opt_state).items()}
        scale = optim.loss_scale(self.state.opt_state)
        row |= {} if scale is None else {"loss_scale": float(scale)}
        row["seconds"] = time.perf_counter() - self._began
        self.record.history.append(row)
        self.record.totals = Totals()
        self._began = time.perf_counter()
        self._tell("row", row)

    def _tell(self, event: str, row: Mapping[str, float] | None) -> None:
        for callback in self.callbacks:
            callback(event, View(self, row))
        self.stopped = bool(agreed(self.stopped)[0])

    def _metadata(self) -> dict[str, Any]:
        record = self.record.to_json()
        return {**self.metadata, "record": record, "stream": self.feed.state()}

    def _check_finite(self, losses: np.ndarray[Any, Any]) -> None:
        bad = np.flatnonzero(~np.isfinite(losses))
        if not bad.size:
            return
        self._flying = None  # what came after it is of no use
        step = self._read + int(bad[0])
        error = Diverged(
            f"fit: the loss is {losses[bad[0]]} at step {step} (epoch "
            f"{step * self.rows.batch_size // self.rows.examples + 1}); lower the learning rate or "
            "clip the gradient (optim.clip_by_norm). The run so far is this error's .result, the "
            "batch's rows are its .rows; train.replay to its .step tells what was not finite first"
        )
        error.result, error.step = self.result(), step
        if isinstance(self.feed, Resident):
            size, examples = self.rows.batch_size, self.rows.examples
            error.rows = np.asarray(index(self.state.data_key, step, size, examples))
        raise error


def _next_pace(n: int, seconds: float) -> int:
    return max(1, min(LONGEST, math.floor(_SECONDS * n / max(seconds, 1e-6))))

"""A sweep: settings × seeds × folds trained as one program."""

import functools
from collections.abc import Sequence
from typing import Any

from laminax.nn import Variables

from .._check import checked_count
from .._interrupt import Interrupts
from .._objective import Batch
from .._progress import Progress
from ._budget import blocks
from ._keeper import Keeper
from ._record import Choice, Record, checked_choice
from ._result import SweepResult
from ._settings import Build
from ._task import Task, checked_task


def sweep(
    build: Build,
    settings: Sequence[dict[str, Any]],
    data: Batch,
    *,
    epochs: int = 10,
    batch_size: int = 128,
    seeds: int | Sequence[int] = 1,
    validation: Batch | None = None,
    folds: int | None = None,
    choose: str = "lowest loss",
    at_once: int | None = None,
    progress: bool = True,
) -> SweepResult:
    """Train every setting with every seed on every fold, many at once in one program.

    Each member follows the batches and the noise of `fit` with its setting and seed, and reaches
    the same up to rounding. Hyperparameters that are real numbers and differ are traced: they may
    be anything in `build` that JAX can compute with. What must be known in Python (widths, names,
    switches, the numbers that a failed trace finds) decides the program: settings with equal such
    values share one, and programs run one after another; `programs` of the result and the
    logger "laminax" at level INFO say which. Members are split over this process's devices. One
    that diverges disturbs no other.

    Args:
        build: `build(**setting) -> (objective, optimizer)`, pure; it is called with traced numbers.
        settings: the hyperparameters by name, as `grid` and `sample` make them.
        data: a pytree of arrays with a common leading axis, `(x, y)` for `supervised`.
        epochs: passes over the data to make.
        batch_size: examples a step.
        seeds: how many, counted from 0, or which; each decides parameters, data order and noise.
        validation: data to evaluate on after each epoch, and to choose the best setting by.
        folds: instead, k for k-fold cross-validation on the data: a member for each fold, which is
            held out and evaluated on. Folds are random and the same in every sweep.
        choose: "lowest" or "highest" and a score on held-out data, after the last epoch.
        at_once: members to train at the same time; by default what fits into the memory, or into
            the cache of a CPU.
        progress: whether to draw a bar.

    Raises:
        TypeError, ValueError: bad arguments, settings or data, before anything is compiled.

    >>> import jax.numpy as jnp
    >>> from laminax import nn, optim, train
    >>> def build(rate):
    ...     return train.supervised(nn.dense(1), nn.losses.squared_error), optim.sgd(rate)
    >>> x = jnp.linspace(-1, 1, 64)[:, None]
    >>> data, held_out = train.data.split((x, 2 * x + 1), 0.75)
    >>> result = train.sweep(build, train.grid(rate=[0.001, 0.01, 0.1]), data, epochs=10,
    ...                      batch_size=8, validation=held_out, progress=False)
    >>> result.best.setting
    {'rate': 0.1}
    """
    checked_count("sweep", "epochs", epochs)
    if at_once is not None:
        checked_count("sweep", "at_once", at_once)
    task = checked_task(
        "sweep", build, settings, data,
        batch_size=batch_size, seeds=seeds, validation=validation, folds=folds,
    )  # fmt: skip
    choice = checked_choice("sweep", choose, task.scores)
    record = Record(len(task.settings), len(task.lanes.seed), epochs)
    keeper = Keeper(record, choice)
    steps = task.steps(epochs) * len(task.settings) * len(task.lanes.seed)
    with Interrupts() as interrupts, Progress(steps, progress) as bar:
        bar.start()
        for group in task.groups:
            for places, lanes in blocks(task, group, at_once):
                members = task.members(group, places, lanes)
                at = group.indices[places]
                tell = functools.partial(told, bar, len(at) * len(lanes), keeper)
                while members.epochs < epochs:
                    means = members.epoch(interrupts, tell)
                    if means is None:
                        break
                    record.add(at, lanes, members.epochs, means)
                keeper.offer(members, at, lanes)
    return swept(task, record, choice, interrupts.requested, keeper.variables)


def swept(
    task: Task, record: Record, choice: Choice, interrupted: bool, variables: Variables | None
) -> SweepResult:
    """Return the result of a search."""
    shape = len(task.settings), len(task.seeds), task.folds.k if task.folds else 1, -1
    curves = {name: curve.reshape(shape) for name, curve in record.curves.items()}
    return SweepResult(
        tuple(task.settings), task.seeds, curves, record.epochs, choice, task.programs(),
        interrupted, variables,
    )  # fmt: skip


def told(bar: Progress, members: int, keeper: Keeper, steps: int) -> None:
    """Move the bar on by the steps of so many members."""
    bar.advance(steps * members, keeper.told)

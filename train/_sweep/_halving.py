"""Successive halving: all settings for a few epochs, then the better ones for η times as many.

With R rungs, of n settings ⌊n / ηʳ⌋ go on at rung r, until ⌈epochs / ηᴿ⁻ʳ⌉ epochs are done.
"""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._check import checked_count
from .._interrupt import Interrupts
from .._objective import Batch
from .._progress import Progress
from ._budget import blocks
from ._keeper import Keeper
from ._members import Members
from ._record import Choice, Record, checked_choice, diverged, order
from ._result import SweepResult
from ._settings import Build
from ._sweep import swept, told
from ._task import check_held_out, checked_task


def halving(
    build: Build,
    settings: Sequence[dict[str, Any]],
    data: Batch,
    *,
    epochs: int = 27,
    eta: int = 3,
    batch_size: int = 128,
    seeds: int | Sequence[int] = 1,
    validation: Batch | None = None,
    folds: int | None = None,
    choose: str = "lowest loss",
    at_once: int | None = None,
    progress: bool = True,
) -> SweepResult:
    """Train many settings for a short time, and only the best η-th of them on, again and again.

    Those that go on do so from where they stand, nothing is trained twice: the best setting's
    curve is that of `fit` for all of the epochs. With n settings the cost is about that of
    n·(R + 1) / ηᴿ whole trainings, R = ⌊log_η min(n, epochs)⌋. Schedules should be made for all of
    the epochs. The states of all members are held in memory.

    Args:
        build: as in `sweep`.
        settings: as in `sweep`; the more the better, `sample` makes them.
        data: as in `sweep`.
        epochs: that the last ones are trained for.
        eta: η, of how many one goes on.
        batch_size: examples a step.
        seeds: as in `sweep`.
        validation: as in `sweep`.
        folds: as in `sweep`.
        choose: as in `sweep`, after the epochs of each rung.
        at_once: members to train at the same time, as in `sweep`.
        progress: whether to draw a bar.

    Raises:
        TypeError, ValueError: bad arguments, settings or data, neither validation nor folds, before
            anything is compiled.

    >>> import jax.numpy as jnp
    >>> from laminax import nn, optim, train
    >>> def build(rate):
    ...     return train.supervised(nn.dense(1), nn.losses.squared_error), optim.sgd(rate)
    >>> x = jnp.linspace(-1, 1, 64)[:, None]
    >>> data, held_out = train.data.split((x, 2 * x + 1), 0.75)
    >>> rates = train.sample(9, rate=train.log_uniform(1e-4, 0.1))
    >>> result = train.halving(build, rates, data, epochs=9, batch_size=8, validation=held_out,
    ...                        progress=False)
    >>> [row.epochs for row in result.rows]
    [9, 3, 3, 1, 1, 1, 1, 1, 1]
    >>> result.best.setting == max(rates, key=lambda setting: setting["rate"])
    True

    Source: Jamieson and Talwalkar, Non-stochastic best arm identification and hyperparameter
    optimization, 2016.
    """
    checked_count("halving", "epochs", epochs)
    if checked_count("halving", "eta", eta) < 2:
        raise ValueError(f"halving: eta is {eta}; expected 2 or more, such as 3")
    if at_once is not None:
        checked_count("halving", "at_once", at_once)
    check_held_out("halving", validation, folds)
    task = checked_task(
        "halving", build, settings, data,
        batch_size=batch_size, seeds=seeds, validation=validation, folds=folds,
    )  # fmt: skip
    choice = checked_choice("halving", choose, task.scores)
    record = Record(len(task.settings), len(task.lanes.seed), epochs)
    keeper = Keeper(record, choice)
    lanes = np.arange(len(task.lanes.seed))
    alive = [
        (task.members(group, places, lanes), group.indices[places])
        for group in task.groups
        for places, _ in blocks(task, group, at_once, whole=True)
    ]
    steps, done = 0, 0
    plan = rungs(len(task.settings), epochs, eta)
    for going_on, until in plan:
        steps, done = steps + (task.steps(until) - done) * going_on * len(lanes), task.steps(until)
    with Interrupts() as interrupts, Progress(steps, progress) as bar:
        bar.start()
        for going_on, until in plan:
            alive = _survivors(alive, record, choice, going_on)
            for members, at in alive:
                tell = functools.partial(told, bar, len(at) * len(lanes), keeper)
                while members.epochs < until:
                    means = members.epoch(interrupts, tell)
                    if means is None:
                        break
                    record.add(at, lanes, members.epochs, means)
            if interrupts.requested:
                break
        for members, at in alive:
            keeper.offer(members, at, lanes)
    return swept(task, record, choice, interrupts.requested, keeper.variables)


def rungs(settings: int, epochs: int, eta: int) -> list[tuple[int, int]]:
    """Return for each rung how many settings go on, and until which epoch.

    >>> rungs(10, 9, 3)
    [(10, 1), (3, 3), (1, 9)]
    """
    last = 0
    while eta ** (last + 1) <= min(settings, epochs):
        last += 1
    return [(settings // eta**r, -(-epochs // eta ** (last - r))) for r in range(last + 1)]


def _survivors(
    alive: list[tuple[Members, NDArray[np.intp]]], record: Record, choice: Choice, n: int
) -> list[tuple[Members, NDArray[np.intp]]]:
    """Return the best n settings that have not diverged, in the blocks in which they stand."""
    if not record.curves:
        return alive
    best = order(record.curves, record.epochs, choice)
    assert best is not None
    bad = np.flatnonzero(diverged(record.curves, record.epochs).any(-1))
    chosen = np.setdiff1d(best[:n], bad)
    kept = []
    for members, at in alive:
        places = np.flatnonzero(np.isin(at, chosen))
        if places.size == at.size:
            kept.append((members, at))
        elif places.size:
            kept.append((members.take(places), at[places]))
    return kept

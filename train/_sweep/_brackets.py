"""Rungs and brackets: settings that are begun together, of which fewer and fewer are trained on.

Of n settings ⌊n / ηʳ⌋ go on at rung r = 0, ..., R, until ⌈epochs / ηᴿ⁻ʳ⌉ epochs are done. A bracket
is such a ladder with settings of its own; a search is one or several, one after another.
"""

import functools
from collections.abc import Callable, Sequence
from typing import TypeAlias

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
from ._settings import Group
from ._sweep import swept, told
from ._task import Task, check_held_out

Bracket: TypeAlias = list[tuple[int, int]]
"""For each rung how many settings go on, and until which epoch."""

Standing: TypeAlias = list[tuple[Members, NDArray[np.intp]]]
"""Blocks of members still in training, and which settings they are of."""


def check_ladder(
    where: str,
    epochs: int,
    eta: int,
    at_once: int | None,
    validation: Batch | None,
    folds: int | None,
) -> None:
    """Raise a ValueError for what no bracket can be made of."""
    checked_count(where, "epochs", epochs)
    if checked_count(where, "eta", eta) < 2:
        raise ValueError(f"{where}: eta is {eta}; expected 2 or more, such as 3")
    if at_once is not None:
        checked_count(where, "at_once", at_once)
    check_held_out(where, validation, folds)


def rungs(settings: int, epochs: int, eta: int, last: int) -> Bracket:
    """Return the bracket of so many settings whose last rung is number `last`.

    >>> rungs(10, 9, 3, 2)
    [(10, 1), (3, 3), (1, 9)]
    """
    return [(settings // eta**r, -(-epochs // eta ** (last - r))) for r in range(last + 1)]


def floor_log(n: int, eta: int) -> int:
    """Return ⌊log_η n⌋, exactly.

    >>> floor_log(242, 3), floor_log(243, 3)
    (4, 5)
    """
    power = 0
    while eta ** (power + 1) <= n:
        power += 1
    return power


def climbed(
    where: str,
    task: Task,
    brackets: Sequence[Bracket],
    choose: str,
    at_once: int | None,
    progress: bool,
) -> SweepResult:
    """Run the brackets: each begins with the next settings of the list."""
    choice = checked_choice(where, choose, task.scores)
    lanes = np.arange(len(task.lanes.seed))
    epochs = max(bracket[-1][1] for bracket in brackets)
    record = Record(len(task.settings), len(lanes), epochs)
    keeper = Keeper(record, choice)
    steps = sum(_steps(task, bracket) for bracket in brackets) * len(lanes)
    ends = np.cumsum([bracket[0][0] for bracket in brackets])
    with Interrupts() as interrupts, Progress(steps, progress) as bar:
        bar.start()
        for bracket, end in zip(brackets, ends, strict=True):
            standing = _begun(task, np.arange(end - bracket[0][0], end), at_once)
            for rung, (going_on, until) in enumerate(bracket):
                if rung:
                    standing = _survivors(standing, record, choice, going_on)
                for members, at in standing:
                    tell = functools.partial(told, bar, len(at) * len(lanes), keeper)
                    _train(members, at, lanes, until, record, interrupts, tell)
                if interrupts.requested:
                    break
            for members, at in standing:
                keeper.offer(members, at, lanes)
            if interrupts.requested:
                break
    return swept(task, record, choice, interrupts.requested, keeper.variables)


def _steps(task: Task, bracket: Bracket) -> int:
    """Return how many steps a bracket takes a lane: nothing is trained twice."""
    steps, done = 0, 0
    for going_on, until in bracket:
        steps, done = steps + (task.steps(until) - done) * going_on, task.steps(until)
    return steps


def _begun(task: Task, settings: NDArray[np.intp], at_once: int | None) -> Standing:
    """Return blocks of these settings, each with all its lanes, before the first step."""
    lanes = np.arange(len(task.lanes.seed))
    return [
        (task.members(group, places, lanes), group.indices[places])
        for group in (_part(group, settings) for group in task.groups)
        if len(group.indices)
        for places, _ in blocks(task, group, at_once, whole=True)
    ]


def _train(
    members: Members,
    at: NDArray[np.intp],
    lanes: NDArray[np.intp],
    until: int,
    record: Record,
    interrupts: Interrupts,
    tell: Callable[[int], None],
) -> None:
    """Train a block until an epoch, or an interrupt, and write down what it reaches."""
    while members.epochs < until:
        means = members.epoch(interrupts, tell)
        if means is None:
            return
        record.add(at, lanes, members.epochs, means)


def _part(group: Group, settings: NDArray[np.intp]) -> Group:
    """Return a group with these settings alone."""
    chosen = np.isin(group.indices, settings)
    traced = {name: values[chosen] for name, values in group.traced.items()}
    return group._replace(indices=group.indices[chosen], traced=traced)


def _survivors(standing: Standing, record: Record, choice: Choice, n: int) -> Standing:
    """Return the best n settings that have not diverged, in the blocks in which they stand."""
    if not standing:
        return standing
    ranked = order(record.curves, record.epochs, choice)
    assert ranked is not None
    best = ranked[np.isin(ranked, np.concatenate([at for _, at in standing]))][:n]
    bad = np.flatnonzero(diverged(record.curves, record.epochs).any(-1))
    chosen = np.setdiff1d(best, bad)
    kept = []
    for members, at in standing:
        places = np.flatnonzero(np.isin(at, chosen))
        if places.size == at.size:
            kept.append((members, at))
        elif places.size:
            kept.append((members.take(places), at[places]))
    return kept

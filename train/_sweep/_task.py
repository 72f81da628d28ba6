"""What all searches have in common: what to train and to choose by, looked through beforehand."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._check import checked_batch_size, checked_count, checked_data
from .._objective import Batch
from ..data import steps_until
from ._folds import Folds
from ._members import Members, evaluation_slots, traced_values
from ._program import Lanes, Plan, advance, score, start
from ._result import counted
from ._settings import Build, Group, checked_settings, grouped, shown, varied
from ._space import Setting


@dataclass(frozen=True)
class Task:
    """A search, checked: `groups` hold the settings by the program they share."""

    build: Build
    settings: list[Setting]
    data: Batch
    validation: Batch | None
    batch_size: int
    seeds: tuple[int, ...]
    folds: Folds | None
    groups: tuple[Group, ...]
    scores: tuple[str, ...]  # the names that an evaluation gives

    @property
    def lanes(self) -> Lanes:
        """Every pair of seed and fold, the fold running fastest."""
        seeds, folds = np.meshgrid(
            np.asarray(self.seeds, np.uint32),
            np.arange(self.folds.k if self.folds else 1, dtype=np.int32),
            indexing="ij",
        )
        return Lanes(seeds.ravel(), folds.ravel())

    def steps(self, epochs: int) -> int:
        """Return how many steps a member takes."""
        return steps_until(
            epochs - 1, self.batch_size, self.plan(self.groups[0]).examples(self.data)
        )

    def plan(self, group: Group) -> Plan:
        """Return what decides a group's programs."""
        return Plan(self.build, group.static, group.key, self.batch_size, self.folds)

    def members(self, group: Group, places: NDArray[np.intp], lanes: NDArray[np.intp]) -> Members:
        """Return these settings of a group × these lanes, not yet begun."""
        values = {name: value[places] for name, value in group.traced.items()}
        chosen = Lanes(*(part[lanes] for part in self.lanes))
        host = self.data, self.validation
        return Members(self.plan(group), values, len(places), chosen, *host)

    def programs(self) -> tuple[str, ...]:
        """Return a line a group: what its settings have in common, and how many they are."""
        names = [name for name in varied(self.settings) if name in self.groups[0].static]
        lines = []
        for group in self.groups:
            common = {name: group.static[name] for name in names}
            what = f"{shown(common)}: " if common else ""
            lines.append(f"{what}{counted(len(group.indices), 'setting')}")
        return tuple(lines)


def checked_task(
    where: str,
    build: Build,
    settings: Any,
    data: Batch,
    *,
    batch_size: int,
    seeds: int | Sequence[int],
    validation: Batch | None,
    folds: int | None,
) -> Task:
    """Look through all of it, trace every program, and log how the settings are grouped."""
    examples = checked_data(where, data)
    fold = _checked_folds(where, folds, examples, validation)
    checked_batch_size(where, batch_size, fold.training if fold else examples)
    chosen = _checked_seeds(where, seeds)
    if validation is not None:
        checked_data(f"{where}, validation", validation)
    settings = checked_settings(where, build, settings)
    groups = tuple(grouped(settings))
    task = Task(build, settings, data, validation, int(batch_size), chosen, fold, groups, ())
    for group in groups:
        objective, _ = build(**settings[group.indices[0]])
        objective.check(data)
        if validation is not None:
            objective.check(validation)
    task = _traced(task)
    members = len(settings) * len(task.lanes.seed)
    logging.getLogger("laminax").info(
        "%s: %s × %s = %s in %s: %s", where, counted(len(settings), "setting"),
        counted(len(task.lanes.seed), "lane"), counted(members, "member"),
        counted(len(task.groups), "program"), "; ".join(task.programs()),
    )  # fmt: skip
    return task


def check_held_out(where: str, validation: Batch | None, folds: int | None) -> None:
    """Raise a ValueError where there is nothing to choose by."""
    if validation is None and folds is None:
        raise ValueError(
            f"{where}: chooses by a score on held-out data, as the training loss would choose what "
            "overfits; give validation= or folds="
        )


def _traced(task: Task) -> Task:
    """Trace every group; a number that must be known in Python decides the program, too."""
    static: frozenset[str] = frozenset()
    while True:
        found: frozenset[str] = frozenset()
        scores: tuple[str, ...] = ()
        for group in task.groups:
            try:
                scores = _trace(task, group, frozenset(group.traced))
            except Exception:
                _trace(task, group, frozenset())  # if this fails, too, tracing is not to blame
                found |= frozenset(name for name in group.traced if _fails(task, group, name))
                if not found:
                    raise
        if not found:
            return replace(task, scores=scores)
        static |= found
        task = replace(task, groups=tuple(grouped(task.settings, static)))
        logging.getLogger("laminax").info(
            "sweep: build needs %s as plain numbers: each value is a program of its own",
            ", ".join(sorted(found)),
        )


def _fails(task: Task, group: Group, name: str) -> bool:
    try:
        _trace(task, group, frozenset([name]))
    except Exception:
        return True
    return False


def _trace(task: Task, group: Group, names: frozenset[str]) -> tuple[str, ...]:
    """Trace the programs of a group's first setting, these names traced; return its scores."""
    first = {name: float(value[0]) for name, value in group.traced.items()}
    known = {name: value for name, value in first.items() if name not in names}
    key = (group.key, tuple(known.items()))
    plan = Plan(task.build, {**group.static, **known}, key, task.batch_size, task.folds)
    values = {name: np.asarray([first[name]]) for name in first if name in names}
    traced = traced_values(values, np.zeros(1, int))
    lanes = Lanes(*(part[:1] for part in task.lanes))
    state = start.eval_shape(plan, traced, lanes, task.data)
    advance.eval_shape(plan, state, traced, lanes, task.data, np.int32(0))
    data = task.data if task.folds else task.validation
    if data is None:
        return ()
    slots = evaluation_slots(plan, data)
    scores: Mapping[str, Any] = score.eval_shape(plan, state, traced, lanes, data, *slots)
    return tuple(sorted(scores, key=lambda name: name != "loss"))


def _checked_folds(
    where: str, folds: int | None, examples: int, validation: Batch | None
) -> Folds | None:
    if folds is None:
        return None
    if validation is not None:
        raise ValueError(
            f"{where}: got {folds=} and validation=; folds hold out part of the data themselves: "
            "give one of the two"
        )
    if checked_count(where, "folds", folds) < 2 or folds > examples:
        raise ValueError(
            f"{where}: folds is {folds}; expected 2 or more, and at most the {examples} examples"
        )
    return Folds(examples, int(folds))


def _checked_seeds(where: str, seeds: int | Sequence[int]) -> tuple[int, ...]:
    if not isinstance(seeds, Sequence):
        return tuple(range(checked_count(where, "seeds", seeds)))
    good = all(isinstance(s, int) and not isinstance(s, bool) and 0 <= s < 2**32 for s in seeds)
    if not good or not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(
            f"{where}: seeds must be how many, or different integers in [0, 2³²), got {seeds!r}"
        )
    return tuple(seeds)

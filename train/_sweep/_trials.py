"""Settings that a sampler of Optuna proposes, many at a time in one program."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._check import check_kind, checked_count
from .._objective import Batch
from ._record import diverged, last
from ._result import SweepResult
from ._settings import Build
from ._space import Setting
from ._sweep import sweep
from ._task import check_held_out

if TYPE_CHECKING:
    import optuna


def trials(
    study: "optuna.Study",
    suggest: Callable[["optuna.Trial"], Setting],
    build: Build,
    data: Batch,
    *,
    rounds: int = 4,
    each: int = 16,
    epochs: int = 10,
    batch_size: int = 128,
    seeds: int | Sequence[int] = 1,
    validation: Batch | None = None,
    folds: int | None = None,
    choose: str = "lowest loss",
    at_once: int | None = None,
    progress: bool = True,
) -> list[SweepResult]:
    """Ask an Optuna study for settings, sweep them together and tell it what came out, in rounds.

    A trial's value is the mean over seeds and folds; one that diverged is told as failed. What
    `study.best_trial` finds is among the results, one a round. Of the larger rounds more is done in
    one program, of more rounds more is learned. Needs the extra `sweep`.

    Args:
        study: made by `optuna.create_study`, its direction that of `choose`.
        suggest: `suggest(trial) -> setting`, by `trial.suggest_float` and so on.
        build: as in `sweep`.
        data: as in `sweep`.
        rounds: how often to ask.
        each: trials to ask for in a round.
        epochs: as in `sweep`.
        batch_size: as in `sweep`.
        seeds: as in `sweep`.
        validation: as in `sweep`.
        folds: as in `sweep`.
        choose: as in `sweep`.
        at_once: as in `sweep`.
        progress: as in `sweep`.

    Raises:
        ImportError: Optuna is missing.
        TypeError, ValueError: what `sweep` raises; neither validation nor folds; a study of another
            direction.
    """
    try:
        from optuna.study import StudyDirection
        from optuna.trial import TrialState
    except ImportError as error:
        raise ImportError(
            "trials need Optuna, which is not installed; pip install 'laminax[sweep]'"
        ) from error
    check_kind("trials", "suggest", suggest, Callable, "write def suggest(trial): return {...}")
    checked_count("trials", "rounds", rounds)
    checked_count("trials", "each", each)
    check_held_out("trials", validation, folds)
    direction = StudyDirection.MINIMIZE if "lowest" in choose else StudyDirection.MAXIMIZE
    if study.directions != [direction]:
        raise ValueError(
            f"trials: the study's directions are {[d.name for d in study.directions]}, but choose "
            f"is {choose!r}; make it by optuna.create_study(direction={direction.name.lower()!r})"
        )
    options: dict[str, Any] = {
        "epochs": epochs, "batch_size": batch_size, "seeds": seeds, "validation": validation,
        "folds": folds, "choose": choose, "at_once": at_once, "progress": progress,
    }  # fmt: skip
    results: list[SweepResult] = []
    for _ in range(rounds):
        asked = [study.ask() for _ in range(each)]
        result = sweep(build, [suggest(trial) for trial in asked], data, **options)
        results.append(result)
        bad = np.asarray(diverged(result.curves, result.epochs).any((1, 2)))
        means = last(result.curves[result.choice.column], result.epochs).mean((1, 2))
        for trial, value, failed, trained in zip(asked, means, bad, result.epochs, strict=True):
            if failed or trained < epochs:
                study.tell(trial, state=TrialState.FAIL)
            else:
                study.tell(trial, float(value))
        if result.interrupted:
            break
    return results

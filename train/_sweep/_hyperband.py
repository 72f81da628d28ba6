"""Hyperband: successive halving with few and with many rungs, where nobody knows how many are best.

With S = ⌊log_η epochs⌋ + 1 brackets, bracket s = S - 1, ..., 0 has s + 1 rungs and begins with

    n_s = ⌈S / (s + 1) · η^s⌉ settings, for epochs / η^s epochs each,

so that each costs about as much as the last, which trains S settings to the end.
"""

from collections.abc import Mapping, Sequence

from .._check import check_kind
from .._objective import Batch
from ._brackets import Bracket, check_ladder, climbed, floor_log, rungs
from ._result import SweepResult
from ._settings import Build
from ._space import Distribution, check_space, sample
from ._task import checked_task


def hyperband(
    build: Build,
    space: Mapping[str, Distribution],
    data: Batch,
    *,
    epochs: int = 27,
    eta: int = 3,
    seed: int = 0,
    batch_size: int = 128,
    seeds: int | Sequence[int] = 1,
    validation: Batch | None = None,
    folds: int | None = None,
    choose: str = "lowest loss",
    at_once: int | None = None,
    progress: bool = True,
) -> SweepResult:
    """Draw settings and halve them, in brackets from the most daring to plain random search.

    `halving` stops all but the best after few epochs, which is wrong where good settings begin
    slowly. Here the first bracket does so, each later one begins with fewer settings and gives them
    η times as long before it chooses, and the last trains all of its settings to the end. How many
    are drawn follows from epochs and η. With S = ⌊log_η epochs⌋ + 1 brackets, and epochs a power of
    η, the cost is at most that of S² whole trainings: of 81 epochs and η = 3, 143 settings cost as
    many epochs as 19.5 trainings. Nothing is trained twice: the best setting's curve is that of
    `fit` for all of the epochs. Schedules should be made for all of the epochs. The states of the
    members of a bracket are held in memory.

    Args:
        build: as in `sweep`.
        space: distributions by name, which the settings are drawn from as by `sample`, those of the
            first bracket first.
        data: as in `sweep`.
        epochs: that the last ones of each bracket are trained for.
        eta: η, of how many one goes on.
        seed: of the draws.
        batch_size: examples a step.
        seeds: of the members, as in `sweep`.
        validation: as in `sweep`.
        folds: as in `sweep`.
        choose: as in `sweep`, after the epochs of each rung.
        at_once: members to train at the same time, as in `sweep`.
        progress: whether to draw a bar.

    Raises:
        TypeError, ValueError: bad arguments, space or data, neither validation nor folds, before
            anything is compiled.

    >>> import jax.numpy as jnp
    >>> from laminax import nn, optim, train
    >>> def build(rate):
    ...     return train.supervised(nn.dense(1), nn.losses.squared_error), optim.sgd(rate)
    >>> x = jnp.linspace(-1, 1, 64)[:, None]
    >>> data, held_out = train.data.split((x, 2 * x + 1), 0.75)
    >>> result = train.hyperband(build, {"rate": train.log_uniform(1e-4, 0.1)}, data, epochs=4,
    ...                          eta=2, batch_size=8, validation=held_out, progress=False)
    >>> result.epochs.tolist()                  # brackets of 4, 3 and 3 settings
    [1, 4, 2, 1, 2, 4, 2, 4, 4, 4]

    Source: Li et al., Hyperband: a novel bandit-based approach to hyperparameter optimization,
    2018.
    """
    check_ladder("hyperband", epochs, eta, at_once, validation, folds)
    check_kind("hyperband", "space", space, Mapping, "as {'rate': train.log_uniform(1e-4, 0.1)}")
    check_space("hyperband", space)
    plan = brackets(epochs, eta)
    settings = sample(sum(bracket[0][0] for bracket in plan), seed, **space)
    task = checked_task(
        "hyperband", build, settings, data,
        batch_size=batch_size, seeds=seeds, validation=validation, folds=folds,
    )  # fmt: skip
    return climbed("hyperband", task, plan, choose, at_once, progress)


def brackets(epochs: int, eta: int) -> list[Bracket]:
    """Return the rungs of every bracket, from the one with the most settings on.

    >>> brackets(9, 3)
    [[(9, 1), (3, 3), (1, 9)], [(5, 3), (1, 9)], [(3, 9)]]
    """
    last = floor_log(epochs, eta)
    return [rungs(-(-(last + 1) * eta**s // (s + 1)), epochs, eta, s) for s in range(last, -1, -1)]

"""Population-based training: hyperparameters that change during one training of a population.

After every so many epochs each of the worst members takes over the whole state of one of the best
(exploit) and changes its hyperparameters a little (explore): h ← h·0.8 or h·1.2, as is drawn.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._check import checked_count
from .._interrupt import Interrupts
from .._objective import Batch
from .._progress import Progress
from ._keeper import Keeper
from ._record import Choice, Record, checked_choice, winner
from ._result import SweepResult
from ._settings import Build
from ._space import Distribution, check_space, sample
from ._sweep import swept, told
from ._task import Task, check_held_out, checked_task

_FACTORS = 0.8, 1.2  # of a hyperparameter, in a change

Values = dict[str, NDArray[np.float64]]


@dataclass(frozen=True, repr=False)
class PopulationResult(SweepResult):
    """What `population` returns.

    Of each member `settings` holds the last hyperparameters; `curves` and `schedules` tell how its
    state has come about, those of the members it was taken over from included.

    Attributes:
        schedules: the hyperparameters in each epoch by name (members, epochs).
    """

    schedules: Mapping[str, NDArray[np.float64]]

    @property
    def best_schedule(self) -> dict[str, list[float]]:
        """The hyperparameters in each epoch that led to the best member.

        Raises:
            ValueError: every member diverged.
        """
        self._check_chosen()
        i = winner(self.curves, self.epochs, self.choice)
        return {name: values[i].tolist() for name, values in self.schedules.items()}


def population(
    build: Build,
    space: Mapping[str, Distribution],
    data: Batch,
    *,
    members: int = 16,
    epochs: int = 20,
    every: int = 2,
    quantile: float = 0.25,
    batch_size: int = 128,
    seed: int = 0,
    validation: Batch | None = None,
    choose: str = "lowest loss",
    progress: bool = True,
) -> PopulationResult:
    """Train a population whose worst members take over from the best and change what those had.

    Where rates or strengths should change during a training, it finds a schedule of them in the
    time of one training of the population. All members start from the same parameters and see the
    same batches: they differ in their hyperparameters alone. A changed value stays within its
    distribution's bounds; one of `choice` is drawn anew. A member that diverged is replaced.

    Args:
        build: as in `sweep`; of real numbers alone.
        space: distributions by name, which the first hyperparameters are drawn from.
        data: as in `sweep`.
        members: how many, 2 or more.
        epochs: passes over the data to make.
        every: epochs between takeovers.
        quantile: the share of members that is replaced, and that is taken over, in (0, 0.5].
        batch_size: examples a step.
        seed: decides parameters, data order, noise, and all draws.
        validation: as in `sweep`.
        choose: as in `sweep`, at each takeover too.
        progress: whether to draw a bar.

    Raises:
        TypeError, ValueError: bad arguments, space or data, no validation, hyperparameters that
            cannot be traced, before anything is compiled.

    >>> import jax.numpy as jnp
    >>> from laminax import nn, optim, train
    >>> def build(rate):
    ...     return train.supervised(nn.dense(1), nn.losses.squared_error), optim.sgd(rate)
    >>> x = jnp.linspace(-1, 1, 64)[:, None]
    >>> data, held_out = train.data.split((x, 2 * x + 1), 0.75)
    >>> result = train.population(build, {"rate": train.log_uniform(1e-3, 0.1)}, data, members=8,
    ...                           epochs=4, batch_size=8, validation=held_out, progress=False)
    >>> len(result.best_schedule["rate"])
    4

    Source: Jaderberg et al., Population based training of neural networks, 2017.
    """
    checked_count("population", "epochs", epochs)
    checked_count("population", "every", every)
    check_held_out("population", validation, None)
    if checked_count("population", "members", members) < 2:
        raise ValueError(f"population: members is {members}; expected 2 or more")
    if not 0 < quantile <= 0.5:
        raise ValueError(f"population: quantile is {quantile}; expected a share in (0, 0.5]")
    check_space("population", space)
    task = checked_task(
        "population", build, sample(members, seed, **space), data,
        batch_size=batch_size, seeds=[seed], validation=validation, folds=None,
    )  # fmt: skip
    _check_traced(task, space)
    choice = checked_choice("population", choose, task.scores)
    record, every_one, lane = Record(members, 1, epochs), np.arange(members), np.arange(1)
    keeper = Keeper(record, choice)
    generator = np.random.default_rng(seed)
    schedules = {name: np.full((members, epochs), np.nan) for name in space}
    block = task.members(task.groups[0], every_one, lane)
    with Interrupts() as interrupts, Progress(task.steps(epochs) * members, progress) as bar:
        bar.start()
        while means := block.epoch(interrupts, functools.partial(told, bar, members, keeper)):
            record.add(every_one, lane, block.epochs, means)
            for name, value in block.values.items():
                schedules[name][:, block.epochs - 1] = value
            if block.epochs == epochs:
                break
            if block.epochs % every == 0:
                parents = _parents(record, choice, block.epochs, quantile, generator)
                values = _explored(block.values, parents, space, generator)
                block = block.take(parents, values)
                for history in (*record.curves.values(), *schedules.values()):
                    history[:] = history[parents]
        keeper.offer(block, every_one, lane)
    last = [{name: float(block.values[name][i]) for name in space} for i in range(members)]
    result = swept(task, record, choice, interrupts.requested, keeper.variables)
    fields = vars(result) | {"settings": tuple(last)}
    return PopulationResult(**fields, schedules=schedules)


def _check_traced(task: Task, space: Mapping[str, Distribution]) -> None:
    fixed = [name for name in space if name not in task.groups[0].traced]
    if fixed:
        raise ValueError(
            f"population: {', '.join(fixed)} cannot change during a training: each must be a real "
            "number that JAX can trace and that differs between members; search over it by sweep"
        )


def _parents(
    record: Record, choice: Choice, epochs: int, quantile: float, generator: np.random.Generator
) -> NDArray[np.intp]:
    """Return for each member whose state it goes on with."""
    values = choice.sign * record.curves[choice.column][:, 0, epochs - 1]
    loss = record.curves["loss"][:, 0, epochs - 1]
    bad = ~np.isfinite(loss) | ~np.isfinite(values)
    ranked = np.lexsort((np.where(bad, 0, values), bad))
    n = max(1, int(quantile * len(values)))
    parents = np.arange(len(values))
    parents[ranked[-n:]] = generator.choice(ranked[:n], n)
    # Those that diverged beyond that share are replaced, too.
    parents[bad] = generator.choice(ranked[:n], int(bad.sum()))
    return parents


def _explored(
    values: Mapping[str, NDArray[np.float64]],
    parents: NDArray[np.intp],
    space: Mapping[str, Distribution],
    generator: np.random.Generator,
) -> Values:
    """Return the values of the parents, changed where a member has another for one."""
    changed = {name: value[parents] for name, value in values.items()}
    for i in np.flatnonzero(parents != np.arange(len(parents))):
        for name, distribution in space.items():
            if distribution.bound is None:
                changed[name][i] = distribution.draw(generator)
            else:
                factor = float(generator.choice(_FACTORS))
                changed[name][i] = distribution.bound(factor * changed[name][i])
    return changed

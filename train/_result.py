"""What a run returns."""

from dataclasses import dataclass
from typing import NamedTuple

from laminax.nn import Variables

from ._history import History
from ._state import TrainState


class Best(NamedTuple):
    """The epoch with the lowest validation loss, and the variables it ended with."""

    epoch: int
    loss: float
    variables: Variables


@dataclass(frozen=True)
class Result:
    """What `fit` returns.

    Attributes:
        state: the last training state; `fit(..., state=result.state)` goes on from it.
        history: the record, a row an epoch.
        best: the best epoch by validation loss, None without validation.
        interrupted: whether SIGINT or SIGTERM ended the run early.
    """

    state: TrainState
    history: History
    best: Best | None
    interrupted: bool

    @property
    def variables(self) -> Variables:
        """What to evaluate and predict with: the last variables, averaged where so optimized."""
        return self.state.variables


class Diverged(FloatingPointError):
    """The training loss is no longer finite. `result` is the run up to there."""

    result: Result

"""What a run returns."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from laminax.nn import Variables

from ._history import History
from ._state import TrainState


class Best(NamedTuple):
    """The epoch with the lowest validation loss, and the variables it ended with."""

    epoch: float
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
    """The training loss is no longer finite.

    Attributes:
        result: the run up to there.
        step: the step whose loss is not finite, counted from 0.
        rows: the rows of the data in its batch; None where the data were a stream.
    """

    result: Result
    step: int
    rows: NDArray[np.int32] | None = None

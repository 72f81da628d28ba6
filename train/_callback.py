"""What a function called between the steps of a run sees of it, and may do."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from laminax.nn import Variables

from ._state import TrainState, copied

if TYPE_CHECKING:
    from ._run import Run


class View:
    """What a callback sees of a run.

    Attributes:
        step: steps taken.
        row: the row just written, None at the start and the end.
        history: all rows.
    """

    def __init__(self, run: "Run", row: Mapping[str, float] | None) -> None:
        self._run = run
        self.step, self.row, self.history = run.step, row, run.record.history

    @property
    def state(self) -> TrainState:
        """A copy of the training state."""
        state: TrainState = copied(self._run.state)
        return state

    @property
    def variables(self) -> Variables:
        """A copy of what to evaluate with."""
        variables: Variables = copied(self._run.state.variables)
        return variables

    def stop(self) -> None:
        """End the run here."""
        self._run.stopped = True


Callback: TypeAlias = Callable[[str, View], Any]
"""Called as callback(event, view), the event one of "start", "row" and "end"."""

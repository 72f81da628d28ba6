"""What a run knows on the host beside its training state, and that as JSON and back."""

import copy
from dataclasses import dataclass, field
from typing import Any

from ._history import History, Totals


@dataclass
class Record:
    """The host's part of a run; with the training state it is all that a resume needs.

    Attributes:
        first: the step at which the run began, not 0 where it went on from a state.
        history: the rows written so far.
        totals: the sums of the row begun, in float64.
        best_row: the number of the row with the lowest validation loss, from 0.
        best_loss: that loss.
    """

    first: int = 0
    history: History = field(default_factory=History)
    totals: Totals = field(default_factory=Totals)
    best_row: int | None = None
    best_loss: float = float("inf")

    @property
    def rows(self) -> int:
        """How many rows are written."""
        return len(self.history.get("step", ()))

    def stale(self) -> int:
        """How many rows have been written since the best one."""
        return 0 if self.best_row is None else self.rows - 1 - self.best_row

    def to_json(self) -> dict[str, Any]:
        """Return plain lists and numbers, copies; JSON keeps every bit of a float."""
        return copy.deepcopy(
            {
                "first": self.first,
                "history": dict(self.history),
                "totals": self.totals.sums,
                "best_row": self.best_row,
                "best_loss": self.best_loss,
            }
        )

    @classmethod
    def from_json(cls, json: dict[str, Any]) -> "Record":
        """Return the record that `to_json` told of."""
        json = copy.deepcopy(json)
        return cls(
            json["first"],
            History(json["history"]),
            Totals(json["totals"]),
            json["best_row"],
            json["best_loss"],
        )

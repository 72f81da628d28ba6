"""One copy of variables: those of the best member of the best setting so far."""

import numpy as np
from numpy.typing import NDArray

from laminax.nn import Variables

from .._history import Totals
from ._members import Members
from ._record import Choice, Record, winner


class Keeper:
    """Looks at each block of members when it is done.

    Attributes:
        variables: of the best so far, None before there is one.
        told: the best member's score, for the progress bar.
    """

    def __init__(self, record: Record, choice: Choice) -> None:
        self.variables: Variables | None = None
        self.told = Totals()
        self._record, self._choice = record, choice
        self._candidate: tuple[float, Variables] | None = None

    def offer(self, members: Members, settings: NDArray[np.intp], lanes: NDArray[np.intp]) -> None:
        """Keep the best of these members if their setting is the best so far.

        A setting's lanes may come in several blocks, one after another; of these each holds it
        alone.
        """
        curve = self._record.curves.get(self._choice.column)
        if curve is None or not members.epochs:
            return
        best = winner(self._record.curves, self._record.epochs, self._choice)
        whole = len(lanes) == curve.shape[1]
        setting = best if whole else settings[0]
        if setting is None or setting not in settings:
            return
        if lanes[0] == 0:
            self._candidate = None
        values = self._choice.sign * curve[setting, lanes, members.epochs - 1]
        lane = int(np.argmin(np.where(np.isnan(values), np.inf, values)))
        if self._candidate is None or values[lane] < self._candidate[0]:
            place = int(np.flatnonzero(settings == setting)[0])
            self._candidate = values[lane], members.state_of(place, lane).variables
        if lanes[-1] == curve.shape[1] - 1 and setting == best:
            value, self.variables = self._candidate
            self._tell(self._choice.sign * float(value))

    def _tell(self, value: float) -> None:
        self.told = Totals()
        self.told.add({f"best {self._choice.column}": (np.array([value]), np.ones(1))})

"""At which steps a run writes the rows of its history."""

from dataclasses import dataclass

from .data import steps_until


@dataclass(frozen=True)
class Rows:
    """At which steps rows are written: at the end of each epoch, or every so many steps."""

    first: int
    epochs: int
    every: int | None
    batch_size: int
    examples: int

    @property
    def last(self) -> int:
        """The step at which the run ends."""
        return self._epoch_end(self.epochs - 1)

    def end(self, row: int) -> int:
        """The step at which row number `row` is written, or at which the run ends."""
        if self.every is None:
            return self._epoch_end(row)
        return min(self.first + self.every * (row + 1), self.last)

    def epoch(self, step: int) -> float:
        """The epochs made after so many steps: a whole number at the end of an epoch."""
        if self.every is None:
            return step * self.batch_size // self.examples
        return step * self.batch_size / self.examples

    def epoch_of(self, step: int) -> tuple[int, int]:
        """The number, from 1, of the epoch that the next step is in, and how many there are."""
        begun = self.first * self.batch_size // self.examples
        return step * self.batch_size // self.examples - begun + 1, self.epochs

    def _epoch_end(self, epoch: int) -> int:
        begun = self.first * self.batch_size // self.examples
        return steps_until(begun + epoch, self.batch_size, self.examples)

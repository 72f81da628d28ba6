"""A progress bar for terminal and notebook, redrawn by time."""

import sys
from types import TracebackType
from typing import Any, Self

from ._history import Totals
from ._speed import Speed


class Progress:
    """A bar over the steps of a run with the epoch's means so far beside it."""

    def __init__(self, steps: int, shown: bool) -> None:
        self._bar: Any = None
        self._speed: Speed | None = None
        if shown:
            from tqdm.auto import tqdm

            # Where nothing is redrawn, in a file, every drawing stays.
            live = sys.stderr.isatty() or "ipykernel" in sys.modules
            self._bar = tqdm(
                total=steps,
                unit="step",
                mininterval=0.25 if live else 30,
                dynamic_ncols=True,
                desc="compiling",
            )

    def start(self, taken: int = 0, speed: Speed | None = None) -> None:
        """Say that what came before was compilation, which no rate or remaining time counts.

        `taken` are the steps that a resumed run had behind it.
        """
        self._speed = speed
        if self._bar is not None:
            self._bar.reset()
            self._bar.initial = self._bar.n = taken

    def epoch(self, number: int, of: int) -> None:
        """Say which epoch runs."""
        if self._bar is not None:
            self._bar.set_description(f"epoch {number}/{of}", refresh=False)

    def advance(self, steps: int, totals: Totals) -> None:
        """Move on by `steps`."""
        if self._bar is not None:
            words = [f"{name} {mean:.4g}" for name, mean in totals.means().items()]
            if self._speed is not None:
                words.append(self._speed.told(self._rate(steps)))
            self._bar.set_postfix_str(", ".join(words), refresh=False)
            self._bar.update(steps)

    def _rate(self, steps: int) -> float:
        """Steps a second: tqdm's mean over the latest, before it has one that over all."""
        facts = self._bar.format_dict
        taken = facts["n"] + steps - facts["initial"]
        return float(facts["rate"] or taken / max(facts["elapsed"], 1e-9))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

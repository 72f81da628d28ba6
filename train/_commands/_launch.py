"""`laminax launch`: one run in several local processes."""

import sys
from dataclasses import dataclass
from typing import Annotated

import tyro

from ..launch import launch


@dataclass(frozen=True)
class Launch:
    """Run a script in several local processes, whose devices make up one mesh."""

    script: tyro.conf.Positional[str]
    """A Python file that calls train.fit with a layout."""
    arguments: tyro.conf.Positional[tuple[str, ...]] = ()
    """The script's own arguments; put -- before those that begin with a dash."""
    processes: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 2
    """How many processes."""
    device_each: bool = False
    """Give each process one accelerator, its own."""

    def run(self) -> None:
        """End with the status of the first process that fails."""
        status = launch(
            self.script, self.arguments, processes=self.processes, device_each=self.device_each
        )
        if status:
            sys.exit(status)

"""`laminax resume` and `laminax verify`: go on with a run, and see whether its files are whole."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import tyro

from ..checkpoint import verify
from ..checkpoint._tree import is_orbax
from ._folder import read
from ._train import trained


@dataclass(frozen=True)
class Resume:
    """Go on with a run that was broken off, from its newest checkpoint."""

    folder: tyro.conf.Positional[Path]
    """The folder that was --out of laminax train."""

    def run(self) -> None:
        """Run the recipe that the folder tells of."""
        recipe, config = read("resume", self.folder)
        trained(recipe, replace(config, resume=True))


@dataclass(frozen=True)
class Verify:
    """Read every checkpoint of a run folder and tell whether it is whole."""

    folder: tyro.conf.Positional[Path]
    """The run folder, or what train.save wrote."""

    def run(self) -> None:
        """Print a line a file; status 1 where one is damaged.

        Raises:
            FileNotFoundError: there is nothing to verify.
        """
        files = [self.folder]
        if self.folder.is_dir() and not is_orbax(self.folder):
            kinds = ("*.safetensors", "*.orbax")
            files = sorted(path for kind in kinds for path in self.folder.rglob(kind))
        if not files:
            raise FileNotFoundError(f"verify: {self.folder} holds no checkpoint")
        damaged = False
        for path in files:
            try:
                print(f"{path}: whole, {len(verify(path))} leaves")
            except ValueError as error:
                print(f"{path}: {error}")
                damaged = True
        if damaged:
            sys.exit(1)

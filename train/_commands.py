"""The commands that work on run folders and scripts: resume, verify, launch."""

import json
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import tyro

from .checkpoint import verify
from .launch import launch


@dataclass(frozen=True)
class Verify:
    """Read every checkpoint of a run folder and tell whether it is whole."""

    folder: tyro.conf.Positional[Path]
    """The run folder, or a file that train.save wrote."""

    def run(self) -> None:
        """Print a line a file; status 1 where one is damaged.

        Raises:
            FileNotFoundError: there is nothing to verify.
        """
        files = (
            [self.folder] if self.folder.is_file() else sorted(self.folder.rglob("*.safetensors"))
        )
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


@dataclass(frozen=True)
class Resume:
    """Go on with a run that was broken off, from its newest checkpoint."""

    folder: tyro.conf.Positional[Path]
    """The folder that was --out of laminax train."""

    def config(self, recipes: dict[str, ModuleType]) -> Any:
        """Return the recipe's configuration that the folder tells of.

        Raises:
            FileNotFoundError: no config.json there.
            ValueError: one of no known recipe, or of another version of it.
        """
        path = self.folder / "config.json"
        if not path.is_file():
            raise FileNotFoundError(f"resume: {path} is missing; give the --out of laminax train")
        told = json.loads(path.read_text())
        name = told.pop("recipe", None)
        if name not in recipes:
            raise ValueError(
                f"resume: {path} is of {name!r}, which is no recipe of {', '.join(recipes)}; call "
                "fit(..., resume=True) in the script that began the run"
            )
        Config = recipes[name].Config
        if set(told) != {field.name for field in fields(Config)}:
            raise ValueError(
                f"resume: {path} has the settings {', '.join(told)}, but {name} now takes others; "
                "go on with the version of laminax that began the run"
            )
        return Config(**{**told, "out": self.folder, "resume": True})

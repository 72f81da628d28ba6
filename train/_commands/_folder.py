"""What a run folder tells: its recipe, its settings, its trained variables."""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import jax
import tyro

from laminax.nn import Layer, Variables

from ..checkpoint import restore
from ..recipes import RECIPES


class Run(NamedTuple):
    """A run of a recipe."""

    recipe: ModuleType
    config: Any


@dataclass(frozen=True)
class Trained:
    """A run folder of a trained model."""

    folder: tyro.conf.Positional[Path]
    """The folder that was --out of laminax train; of membrane one of its folds."""
    best: bool = False
    """Take the variables of the lowest validation loss, not the last ones."""

    def model(self, where: str) -> tuple[Run, Layer, Variables]:
        """Return the run, its model and its variables.

        Raises:
            FileNotFoundError: no configuration or no variables there.
            ValueError: no known recipe, or variables that are not the model's.
        """
        around = self.folder.resolve().parent  # of a fold
        run = read(where, around if (around / "config.json").is_file() else self.folder)
        path = self.folder / f"{'best' if self.best else 'variables'}.safetensors"
        if not path.is_file():
            raise FileNotFoundError(f"{where}: {path} is missing; the run has not ended")
        model = run.recipe.build(run.config)
        inputs = run.recipe.inputs(run.config)
        return run, model, restore(path, jax.eval_shape(model.init, jax.random.key(0), inputs))


def read(where: str, folder: Path) -> Run:
    """Return the recipe and the configuration that a folder tells of.

    Raises:
        FileNotFoundError: no config.json there.
        ValueError: one of no known recipe, or of another version of it.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise FileNotFoundError(f"{where}: {path} is missing; give the --out of laminax train")
    told = json.loads(path.read_text())
    name = told.pop("recipe", None)
    if name not in RECIPES:
        raise ValueError(
            f"{where}: {path} is of {name!r}, which is no recipe of {', '.join(RECIPES)}; call the "
            "library in the script that began the run"
        )
    Config = RECIPES[name].Config
    if set(told) != {field.name for field in fields(Config)}:
        raise ValueError(
            f"{where}: {path} has the settings {', '.join(told)}, but {name} now takes others; use "
            "the version of laminax that began the run"
        )
    return Run(RECIPES[name], Config(**{**told, "out": folder}))

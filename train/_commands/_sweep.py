"""`laminax sweep`: a recipe with every combination of some settings."""

import dataclasses
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any

import optax
import tyro

from .._loop import steps_for
from .._objective import Objective
from .._sweep import grid, plot_sweep, sweep
from ..checkpoint import writable
from ._train import Recipe, recipe_of

_FIXED = {
    "epochs": "is the same for all",
    "steps": "is the same for all",
    "batch_size": "is the same for all",
    "seed": "is varied by --seeds",
    "out": "is the folder for all",
    "resume": "is not for searches",
}


@dataclass(frozen=True)
class Sweep:
    """Train a recipe with every combination of some settings, many at once, and compare them."""

    recipe: Recipe
    vary: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE,VALUE")]
    """Settings and what to try for each: rate=1e-3,3e-3 model=mlp,cnn."""
    seeds: int = 1
    """How many seeds for each combination."""

    def run(self) -> None:
        """Print a table, the best first; write it and a picture where the recipe has --out.

        Raises:
            ValueError: settings that the recipe has not, or that cannot be varied.
        """
        recipe, config = recipe_of(self.recipe), self.recipe
        settings = grid(**dict(_varied(config, text) for text in self.vary))
        training, validation = recipe.examples(config)
        epochs = getattr(config, "epochs", 1)
        steps = steps_for(training, epochs=epochs, batch_size=config.batch_size)

        def build(**setting: Any) -> tuple[Objective, optax.GradientTransformation]:
            tried = dataclasses.replace(config, **setting)
            return recipe.objective(tried), recipe.optimizer(tried, steps)

        out = None if config.out is None else writable(config.out)
        result = sweep(
            build,
            settings,
            training,
            epochs=epochs,
            batch_size=config.batch_size,
            seeds=self.seeds,
            validation=validation,
        )
        print(result)
        if out is not None:
            told = {"vary": self.vary, "seeds": self.seeds, **dataclasses.asdict(config)}
            (out / "sweep.json").write_text(json.dumps(told, indent=2, default=str) + "\n")
            result.to_csv(out / "sweep.csv")
            with suppress(ImportError):
                if len(settings) > 1:
                    plot_sweep(result).savefig(out / "sweep.png")
            print(f"written to {out}")
        if result.interrupted:
            raise KeyboardInterrupt


def _varied(config: Any, text: str) -> tuple[str, list[Any]]:
    """Read "rate=1e-3,3e-3" as the name and the values of a setting."""
    name, equals, values = text.partition("=")
    offered = {field.name for field in dataclasses.fields(config)} - set(_FIXED)
    if name in _FIXED:
        raise ValueError(f"sweep: {name} {_FIXED[name]}; vary some of {', '.join(sorted(offered))}")
    if not equals or not values or name not in offered:
        raise ValueError(
            f"sweep: --vary {text} is no setting and its values; write NAME=VALUE,VALUE, the name "
            f"one of {', '.join(sorted(offered))}"
        )
    kind = type(getattr(config, name))
    try:
        return name, [kind(value) for value in values.split(",")]
    except ValueError as error:
        raise ValueError(f"sweep: --vary {text}: {error}; expected {kind.__name__}") from error

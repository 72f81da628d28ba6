"""`laminax train`: run a recipe."""

import sys
from dataclasses import dataclass, replace
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, Union

import tyro

from ..recipes import RECIPES

if TYPE_CHECKING:
    Recipe: TypeAlias = Any
else:
    Recipe = Union[
        *(
            Annotated[recipe.Config, tyro.conf.subcommand(name, default=recipe.Config())]
            for name, recipe in RECIPES.items()
        )
    ]
"""The settings of one of the recipes."""


@dataclass(frozen=True)
class Train:
    """Train a model by a recipe and print its test scores."""

    recipe: Recipe
    smoke: bool = False
    """Try the recipe in half a minute, with fewer examples or epochs or a smaller model."""

    def run(self) -> None:
        """Run the recipe."""
        recipe = recipe_of(self.recipe)
        trained(recipe, replace(self.recipe, **recipe.SMOKE) if self.smoke else self.recipe)


def recipe_of(config: Any) -> ModuleType:
    """Return the recipe whose settings these are."""
    return next(r for r in RECIPES.values() if isinstance(config, r.Config))


def trained(recipe: ModuleType, config: Any) -> None:
    """Run a recipe; raise KeyboardInterrupt where that was interrupted."""
    result = recipe.main(config)
    if getattr(result, "interrupted", False):
        further = f"; go on by laminax resume {config.out}" if config.out else ""
        print(f"interrupted after {int(result.state.step)} steps{further}", file=sys.stderr)
        raise KeyboardInterrupt

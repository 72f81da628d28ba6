"""The `laminax` command: `laminax train mnist --model lenet`, `laminax summary digits`."""

import sys
from dataclasses import dataclass
from typing import Annotated, Literal, get_args, get_type_hints

import jax
import tyro

from laminax import nn

from ._result import Diverged
from .recipes import digits, mnist

_SHAPES = {"digits": (1, 8, 8, 1), "mnist": (1, 28, 28, 1)}
_RECIPES = {"digits": digits, "mnist": mnist}

Recipe = (
    Annotated[digits.Config, tyro.conf.subcommand("digits", default=digits.Config())]
    | Annotated[mnist.Config, tyro.conf.subcommand("mnist", default=mnist.Config())]
)


@dataclass(frozen=True)
class Train:
    """Train a model by a recipe and print its test accuracy."""

    recipe: Recipe

    def run(self) -> None:
        """Run the recipe."""
        recipe = digits if isinstance(self.recipe, digits.Config) else mnist
        recipe.main(self.recipe)


@dataclass(frozen=True)
class Summary:
    """Print a model's layers, shapes, parameters and FLOPs."""

    data: tyro.conf.Positional[Literal["digits", "mnist"]]
    """Whose inputs."""
    model: Literal["mlp", "cnn", "lenet"] = "mlp"
    """Which model."""

    def run(self) -> None:
        """Print the table."""
        recipe = _RECIPES[self.data]
        offered = get_args(get_type_hints(recipe.Config)["model"])
        if self.model not in offered:
            raise ValueError(
                f"{self.data} has no model {self.model!r}; choose from {', '.join(offered)}"
            )
        print(
            nn.summary(recipe.build(self.model), jax.ShapeDtypeStruct(_SHAPES[self.data], "uint8"))
        )


Command = (
    Annotated[Train, tyro.conf.subcommand("train")]
    | Annotated[Summary, tyro.conf.subcommand("summary")]
)


def main(args: list[str] | None = None) -> None:
    """Read the command line and run it; a bad setting or file ends in one line and status 1."""
    config = (tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes)
    command = tyro.cli(Command, prog="laminax", args=args, config=config)
    try:
        command.run()
    except (ValueError, OSError, Diverged) as error:
        sys.exit(f"laminax: {error}")

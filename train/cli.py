"""The `laminax` command: `laminax train mnist --model lenet`, `laminax summary imagenet`."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal, get_args, get_type_hints

import jax
import tyro

from laminax import nn

from ._result import Diverged
from .recipes import addition, autoencoder, digits, membrane, mnist, shakespeare, vae

_SHAPES = {"digits": (1, 8, 8, 1), "mnist": (1, 28, 28, 1), "imagenet": (1, 224, 224, 3)}
_RECIPES = {
    "addition": addition,
    "autoencoder": autoencoder,
    "digits": digits,
    "membrane": membrane,
    "mnist": mnist,
    "shakespeare": shakespeare,
    "vae": vae,
}
_IMAGENET: dict[str, Callable[[], nn.Layer]] = {
    "alexnet": nn.alexnet,
    **{f"vgg{depth}": partial(nn.vgg, depth) for depth in (11, 13, 16, 19)},
    **{f"plain{depth}": partial(nn.plain, depth) for depth in (18, 34)},
    **{f"resnet{depth}": partial(nn.resnet, depth) for depth in (18, 34, 50, 101, 152)},
}

Recipe = (
    Annotated[addition.Config, tyro.conf.subcommand("addition", default=addition.Config())]
    | Annotated[
        autoencoder.Config, tyro.conf.subcommand("autoencoder", default=autoencoder.Config())
    ]
    | Annotated[digits.Config, tyro.conf.subcommand("digits", default=digits.Config())]
    | Annotated[membrane.Config, tyro.conf.subcommand("membrane", default=membrane.Config())]
    | Annotated[mnist.Config, tyro.conf.subcommand("mnist", default=mnist.Config())]
    | Annotated[
        shakespeare.Config, tyro.conf.subcommand("shakespeare", default=shakespeare.Config())
    ]
    | Annotated[vae.Config, tyro.conf.subcommand("vae", default=vae.Config())]
)


@dataclass(frozen=True)
class Train:
    """Train a model by a recipe and print its test scores."""

    recipe: Recipe

    def run(self) -> None:
        """Run the recipe."""
        (recipe,) = (r for r in _RECIPES.values() if isinstance(self.recipe, r.Config))
        recipe.main(self.recipe)


@dataclass(frozen=True)
class Summary:
    """Print a model's layers, shapes, parameters and FLOPs."""

    data: tyro.conf.Positional[Literal["digits", "mnist", "imagenet"]]
    """Whose inputs; imagenet stands for 224×224 color images."""
    model: str | None = None
    """Which model: mlp, cnn and others for digits, vgg19, resnet34 and others for imagenet."""

    def run(self) -> None:
        """Print the table, and the multiply-adds that papers count."""
        table = nn.summary(self.build(), jax.ShapeDtypeStruct(_SHAPES[self.data], self.dtype))
        print(f"{table}\n{table.total.flops // 2:,} multiply-adds")

    @property
    def dtype(self) -> str:
        """What the images hold: the recipes scale bytes themselves."""
        return "float32" if self.data == "imagenet" else "uint8"

    def build(self) -> nn.Layer:
        """Make the model.

        Raises:
            ValueError: there is no such model for these data.
        """
        recipe: Any = {"digits": digits, "mnist": mnist}.get(self.data)
        offered = get_args(get_type_hints(recipe.Config)["model"]) if recipe else tuple(_IMAGENET)
        model = self.model or offered[0]
        if model not in offered:
            raise ValueError(
                f"{self.data} has no model {model!r}; choose from {', '.join(offered)}"
            )
        made: nn.Layer = recipe.build(model) if recipe else _IMAGENET[model]()
        return made


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

"""The `laminax` command: `laminax train mnist --model lenet`, `laminax summary imagenet`."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    TypeAlias,
    Union,
    get_args,
    get_type_hints,
)

import jax
import tyro

from laminax import nn

from . import _commands as commands
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

_DESCRIPTION = """Train a model, or look at one.

Exit status: 0 done; 1 a bad setting or file, or a loss that diverged; 2 a command line that is not
understood; 130 interrupted, which leaves the run so far."""

if TYPE_CHECKING:
    Recipe: TypeAlias = Any
else:
    Recipe = Union[
        *(
            Annotated[recipe.Config, tyro.conf.subcommand(name, default=recipe.Config())]
            for name, recipe in _RECIPES.items()
        )
    ]


@dataclass(frozen=True)
class Train:
    """Train a model by a recipe and print its test scores."""

    recipe: Recipe

    def run(self) -> None:
        """Run the recipe."""
        (recipe,) = (r for r in _RECIPES.values() if isinstance(self.recipe, r.Config))
        if getattr(recipe.main(self.recipe), "interrupted", False):
            raise KeyboardInterrupt


@dataclass(frozen=True)
class Resume(commands.Resume):
    """Go on with a run that was broken off, from its newest checkpoint."""

    def run(self) -> None:
        """Run the recipe that the folder tells of."""
        Train(self.config(_RECIPES)).run()


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
    | Annotated[Resume, tyro.conf.subcommand("resume")]
    | Annotated[commands.Verify, tyro.conf.subcommand("verify")]
    | Annotated[commands.Launch, tyro.conf.subcommand("launch")]
    | Annotated[Summary, tyro.conf.subcommand("summary")]
)


def main(args: list[str] | None = None) -> None:
    """Read the command line and run it.

    It ends with status 0; 1 and one line where a setting or a file is bad, or the loss diverges; 2
    where the command line is; 130 after SIGINT or SIGTERM, with the run so far reported.
    """
    config = (tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes)
    command = tyro.cli(Command, prog="laminax", description=_DESCRIPTION, args=args, config=config)
    try:
        command.run()
    except (ValueError, OSError, Diverged) as error:
        sys.exit(f"laminax: {error}")
    except KeyboardInterrupt:
        sys.exit(130)

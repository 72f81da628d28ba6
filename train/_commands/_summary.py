"""`laminax summary`: a model's layers."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import jax
import tyro

from laminax import nn

from ._train import Recipe, recipe_of

_IMAGENET: dict[str, Callable[[], nn.Layer]] = {
    "alexnet": nn.alexnet,
    **{f"vgg{depth}": partial(nn.vgg, depth) for depth in (11, 13, 16, 19)},
    **{f"plain{depth}": partial(nn.plain, depth) for depth in (18, 34)},
    **{f"resnet{depth}": partial(nn.resnet, depth) for depth in (18, 34, 50, 101, 152)},
}


@dataclass(frozen=True)
class ImageNet:
    """Print a published model of 224×224 color images."""

    model: Literal[tuple(_IMAGENET)] = "resnet34"  # type: ignore[valid-type]
    """Which model."""


if TYPE_CHECKING:
    Model: TypeAlias = Any
else:
    Model = Recipe | Annotated[ImageNet, tyro.conf.subcommand("imagenet")]


@dataclass(frozen=True)
class Summary:
    """Print a model's layers, shapes, parameters and FLOPs."""

    model: Model

    def run(self) -> None:
        """Print the table, and the multiply-adds that papers count."""
        if isinstance(self.model, ImageNet):
            spec = jax.ShapeDtypeStruct((1, 224, 224, 3), "float32")
            table = nn.summary(_IMAGENET[self.model.model](), spec)
        else:
            recipe = recipe_of(self.model)
            table = nn.summary(recipe.build(self.model), recipe.inputs(self.model))
        print(f"{table}\n{table.total.flops // 2:,} multiply-adds")

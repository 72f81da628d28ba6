"""The recipes by name."""

from collections.abc import Mapping
from types import ModuleType

from . import (
    addition,
    autoencoder,
    cifar10,
    digits,
    membrane,
    mnist,
    multi30k,
    shakespeare,
    vae,
)

RECIPES: Mapping[str, ModuleType] = {
    "addition": addition,
    "autoencoder": autoencoder,
    "cifar10": cifar10,
    "digits": digits,
    "membrane": membrane,
    "mnist": mnist,
    "multi30k": multi30k,
    "shakespeare": shakespeare,
    "vae": vae,
}

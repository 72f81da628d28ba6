"""Every recipe's training step is a program for GPU and TPU too, as far as can be told without."""

import itertools
import typing

import jax
import numpy as np
import pytest

from laminax import nn, optim, train
from laminax.train.recipes import RECIPES

PLATFORMS = ("cpu", "cuda", "tpu")
TINY = {
    "addition": {"units": 8, "examples": 40},
    "multi30k": {"vocabulary": 260, "layers": 1, "heads": 2, "features": 8, "length": 24},
    "membrane": {"folds": 2, "depth": 1, "width": 2, "tile": 8},
    "shakespeare": {"layers": 2, "heads": 2, "features": 8, "units": 8, "context": 8, "steps": 200},
}


def images(side, channels=1):
    """Twenty images in the shape of the real ones."""
    part = np.zeros((20, side, side, channels), np.uint8), np.arange(20, dtype=np.int32) % 10
    return train.data.DataSet("images", part, part, tuple("0123456789"))


def membrane():
    x = np.zeros((4, 16, 16, 1), np.uint8)
    return train.data.Segmentation("membrane", x, x[..., 0].astype(np.int32), ("no", "yes"))


def sentences():
    part = ["ein Hund"] * 20, ["a dog"] * 20
    return train.data.Translations("sentences", part, part, part, ("de", "en"))


def text():
    characters = train.data.Characters("abc")
    series = characters.encode("abc" * 200)
    return train.data.Text("text", series, series, characters)


def cases():
    """Each recipe with each combination of its choices."""
    for name, recipe in RECIPES.items():
        choices = {
            field: typing.get_args(hint)
            for field, hint in typing.get_type_hints(recipe.Config).items()
            if typing.get_origin(hint) is typing.Literal
        }
        for values in itertools.product(*choices.values()):
            chosen = dict(zip(choices, values, strict=True))
            yield pytest.param(name, chosen, id="-".join((name, *values)))


class Caught(Exception):
    """What a recipe was about to train."""


@pytest.fixture
def caught(monkeypatch):
    """A function from a recipe and its choices to what the recipe gives to `fit`."""
    data = {"digits": images(8), "mnist": images(28)}
    monkeypatch.setattr(train.data, "digits", lambda: data["digits"])
    monkeypatch.setattr(train.data, "mnist", lambda: data["mnist"])
    monkeypatch.setattr(train.data, "cifar10", lambda: images(32, 3))
    monkeypatch.setattr(train.data, "membrane", membrane)
    monkeypatch.setattr(train.data, "multi30k", sentences)
    monkeypatch.setattr(train.data, "tiny_shakespeare", text)

    def fit(objective, optimizer, data, *, batch_size, **options):
        raise Caught(objective, optimizer, data, batch_size)

    def run(name, choices):
        recipe = RECIPES[name]
        if name == "multi30k":
            pytest.importorskip("tokenizers")
        with pytest.raises(Caught) as error:
            recipe.main(recipe.Config(**choices, **TINY.get(name, {}), batch_size=4))
        return error.value.args

    monkeypatch.setattr(train, "fit", fit)
    return run


def lowered(objective, optimizer, data, batch_size, examples=100):
    """The step and the choice of its batch, lowered from specs alone for every platform."""
    step = train.step(objective, optimizer)
    state = jax.eval_shape(lambda: train.init(objective, optimizer, data))
    data = jax.tree.map(lambda a: jax.ShapeDtypeStruct((examples, *a.shape[1:]), a.dtype), data)

    def advance(state, data):
        rows = train.data.index(state.data_key, state.step, batch_size, examples)
        return step(state, train.data.gather(data, rows))

    return jax.jit(advance).trace(state, data).lower(lowering_platforms=PLATFORMS)


@pytest.mark.parametrize(("name", "choices"), [*cases()])
def test_a_recipes_step_lowers_for_every_platform(name, choices, caught, compiles):
    program = lowered(*caught(name, choices))
    state, metrics = program.out_info
    assert state.step.dtype == np.int32
    assert metrics["loss"].shape == ()
    assert not any("advance" in name for name in compiles)


def test_a_step_that_one_platform_lacks_is_found():
    def forward(x):
        return jax.lax.platform_dependent(x, cpu=lambda x: 2 * x, cuda=lambda x: 2 * x)

    objective = train.supervised(nn.serial(nn.dense(1), forward), nn.losses.squared_error)
    data = np.zeros((4, 2), np.float32), np.zeros((4, 1), np.float32)
    with pytest.raises(NotImplementedError, match="tpu"):
        lowered(objective, optim.sgd(0.1), data, 2)

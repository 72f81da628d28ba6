"""The recipes: what a user copies."""

import dataclasses
import inspect
import typing

import jax
import numpy as np
import pytest

from laminax import train
from laminax.train.recipes import digits, mnist

RECIPES = {"digits": (digits, (4, 8, 8, 1)), "mnist": (mnist, (4, 28, 28, 1))}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_one_screen_with_a_frozen_configuration(name):
    recipe, _ = RECIPES[name]
    assert len(inspect.getsource(recipe).splitlines()) <= 115
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.Config().epochs = 3


@pytest.mark.parametrize("name", RECIPES)
def test_every_model_offered_is_built_and_takes_the_images(name):
    recipe, shape = RECIPES[name]
    for model in typing.get_args(typing.get_type_hints(recipe.Config)["model"]):
        x = jax.ShapeDtypeStruct(shape, "uint8")
        layer = recipe.build(recipe.Config(model=model))
        y = jax.eval_shape(lambda x, m=layer: m(m.init(jax.random.key(0), x), x), x)
        assert y.shape == (4, 10)


def test_mnist_trains_on_what_the_data_set_gives(monkeypatch, tmp_path):
    labels = (np.arange(200) % 10).astype(np.int32)
    images = np.zeros((200, 28, 28, 1), np.uint8)
    images[np.arange(200), labels, :, 0] = 255  # the row tells the class
    tiny = train.data.DataSet(
        "mnist", (images[:160], labels[:160]), (images[160:], labels[160:]), tuple("0123456789")
    )
    monkeypatch.setattr(train.data, "mnist", lambda: tiny)
    config = mnist.Config(model="mlp", epochs=4, batch_size=16, out=tmp_path)
    result = mnist.main(config)
    assert isinstance(result, train.Result)
    assert result.history["loss"][-1] < 0.5 * result.history["loss"][0]
    assert (tmp_path / "result.json").exists()

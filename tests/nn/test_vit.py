"""ViT: its sizes, its patches, its class token."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn


@pytest.mark.parametrize(
    ("layers", "features", "heads", "parameters"),
    [
        (12, 192, 3, 5_717_416),
        (12, 384, 6, 22_050_664),
        (12, 768, 12, 86_567_656),
        (24, 1024, 16, 304_326_632),
    ],
)
def test_published_sizes(layers, features, heads, parameters):
    model = nn.vit(layers=layers, features=features, heads=heads)
    x = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    made = jax.eval_shape(model.init, jax.random.key(0), x)
    assert sum(leaf.size for leaf in jax.tree.leaves(made)) == parameters


def test_patches_are_told_apart_by_their_positions_alone():
    model = nn.vit(3, image=4, patch=2, layers=1, heads=2, features=8)
    x = np.random.default_rng(0).normal(size=(1, 4, 4, 1)).astype(np.float32)
    swapped = np.concatenate([x[:, 2:], x[:, :2]], 1)  # the rows of patches change places
    params = model.init(jax.random.key(0), x).params
    assert jnp.abs(model((params, {}), x) - model((params, {}), swapped)).max() > 1e-5
    params["positions"] = jax.tree.map(jnp.zeros_like, params["positions"])
    np.testing.assert_allclose(model((params, {}), x), model((params, {}), swapped), atol=1e-6)


def test_the_answer_is_read_from_the_class_token():
    model = nn.vit(3, image=4, patch=2, layers=1, heads=2, features=8)
    x = jnp.ones((1, 4, 4, 1))
    variables = model.init(jax.random.key(0), x)
    to_token = jax.grad(lambda p: model((p, {}), x).sum())(variables.params)["token"]
    assert jnp.abs(to_token).max() > 1e-3


def test_other_sizes_raise():
    with pytest.raises(ValueError, match="patch must divide image, got image 6 and patch 4"):
        nn.vit(3, image=6, patch=4)
    with pytest.raises(ValueError, match=r"images must be 4 × 4, got x of shape \(1, 5, 4, 1\)"):
        nn.vit(3, image=4, patch=2, heads=1).init(jax.random.key(0), jnp.ones((1, 5, 4, 1)))

"""Trainable subsampling against NumPy sums."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn


def test_gain_times_the_sum_plus_offset():
    rng = np.random.default_rng(0)
    x, w, b = (rng.normal(size=s).astype(np.float32) for s in ((2, 7, 6, 3), (3,), (3,)))
    y = nn.subsample((2, 3))(nn.Variables({"w": w, "b": b}, {}), x)
    total = x[:, :6].reshape(2, 3, 2, 2, 3, 3).sum((2, 4))
    np.testing.assert_allclose(y, total * w + b, rtol=1e-5, atol=1e-5)


def test_starts_as_the_mean():
    x = jax.random.normal(jax.random.key(0), (2, 4, 6, 3))
    layer = nn.subsample((2, 3))
    variables = layer.init(jax.random.key(0), x)
    assert sum(leaf.size for leaf in jax.tree.leaves(variables)) == 6
    np.testing.assert_allclose(
        layer(variables, x), nn.avg_pool((2, 3))(nn.Variables({}, {}), x), rtol=1e-5, atol=1e-6
    )


def test_the_twelve_parameters_of_the_second_layer_of_lenet_5():
    made = jax.eval_shape(nn.subsample(2).init, jax.random.key(0), jnp.zeros((1, 28, 28, 6)))
    assert sum(leaf.size for leaf in jax.tree.leaves(made)) == 12


@pytest.mark.parametrize(
    ("window", "shape", "message"),
    [
        (0, (1, 4, 4, 2), "window must be an integer"),
        ((2,), (1, 4, 4, 2), r"\(batch, length, channels\)"),
        (5, (1, 4, 4, 2), "a window of 5 entries does not fit in 4"),
        (2, (1, 4, 4, 3), "x has 3 features on its last axis"),
    ],
)
def test_bad_arguments_say_what_is_wrong(window, shape, message):
    params = {"w": jnp.ones(2), "b": jnp.ones(2)}
    with pytest.raises(ValueError, match=f"subsample: .*{message}"):
        nn.subsample(window)(nn.Variables(params, {}), jnp.zeros(shape))

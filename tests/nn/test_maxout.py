"""Maxout against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("lead", [(), (4,), (2, 5), (0,)])
def test_largest_of_its_affine_maps(lead):
    x, w, b = normal(*lead, 3), normal(3, 4, 2, seed=1), normal(4, 2, seed=2)
    y = nn.maxout(2, 4)(nn.Variables({"w": w, "b": b}, {}), x)
    expected = np.max([x @ w[:, k] + b[k] for k in range(4)], 0)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


def test_the_gradient_goes_to_the_largest_piece():
    x, w, b = normal(5, 3), normal(3, 4, 2, seed=1), normal(4, 2, seed=2)
    gradient = jax.grad(lambda p: nn.maxout(2, 4)(nn.Variables(p, {}), x).sum())({"w": w, "b": b})
    largest = np.argmax([x @ w[:, k] + b[k] for k in range(4)], 0)
    won = largest[None] == np.arange(4)[:, None, None]
    np.testing.assert_allclose(gradient["b"], won.sum(1), rtol=1e-6)
    np.testing.assert_allclose(gradient["w"], np.einsum("ni,knf->ikf", x, won), rtol=1e-5)


def test_each_piece_starts_with_variance_one_over_inputs():
    params = nn.maxout(40, 3).init(jax.random.key(0), jnp.zeros((1, 300))).params
    assert params["w"].shape == (300, 3, 40) and not params["b"].any()
    np.testing.assert_allclose(params["w"].var((0, 2)) * 300, np.ones(3), rtol=0.05)


def test_bad_arguments_say_what_is_wrong():
    with pytest.raises(ValueError, match="maxout: features must be an integer"):
        nn.maxout(0)
    with pytest.raises(ValueError, match="maxout: pieces must be an integer"):
        nn.maxout(2, 0)
    variables = nn.maxout(2, 3).init(jax.random.key(0), jnp.zeros((1, 4)))
    with pytest.raises(ValueError, match="maxout: x has 3 features"):
        nn.maxout(2, 3)(variables, jnp.zeros((1, 3)))
    with pytest.raises(ValueError, match=r"maxout: w must be \(4, 2, 3\), got \(4, 3, 2\)"):
        nn.maxout(3, 2)(variables, jnp.zeros((1, 4)))

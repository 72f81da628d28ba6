"""Clipping against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import optim


def gradients(dtype=jnp.float32, scale=1.0):
    random = np.random.default_rng(1)
    leaves = {"w": scale * random.normal(size=(3, 4)), "b": scale * random.normal(size=4)}
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), leaves)


def flat(tree):
    return np.concatenate([np.ravel(leaf).astype(float) for leaf in jax.tree.leaves(tree)])


def clipped(transform, tree):
    return transform.update(tree, transform.init(tree))[0]


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_norm_is_that_of_all_leaves_together(scale):
    tree = gradients(scale=scale)
    g = flat(tree)
    expected = g * min(1.0, 2.0 / np.linalg.norm(g))
    np.testing.assert_allclose(flat(clipped(optim.clip_by_norm(2.0), tree)), expected, rtol=1e-5)


def test_a_zero_gradient_stays_zero():
    zeros = jax.tree.map(jnp.zeros_like, gradients())
    np.testing.assert_array_equal(flat(clipped(optim.clip_by_norm(1.0), zeros)), np.zeros(16))


def test_value_is_held_element_by_element():
    tree = gradients()
    expected = np.clip(flat(tree), -0.5, 0.5)
    assert (np.abs(flat(tree)) > 0.5).any()
    np.testing.assert_allclose(flat(clipped(optim.clip_by_value(0.5), tree)), expected, rtol=1e-7)


def test_leaves_of_several_dtypes_have_one_norm_and_keep_their_dtypes():
    tree = gradients()
    mixed = {"w": tree["w"].astype(jnp.bfloat16), "b": tree["b"]}
    out = clipped(optim.clip_by_norm(1.0), mixed)
    assert (out["w"].dtype, out["b"].dtype) == (jnp.bfloat16, jnp.float32)
    g = flat(mixed)
    np.testing.assert_allclose(flat(out), g / np.linalg.norm(g), rtol=5e-3)


def test_a_bfloat16_norm_is_summed_in_float32():
    """In bfloat16 a running sum of 4,096 ones stops at 256."""
    out = clipped(optim.clip_by_norm(1.0), jnp.ones(4096, jnp.bfloat16))
    np.testing.assert_array_equal(out.astype(float), np.full(4096, 1 / 64))


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), float("inf")])
def test_unusable_limits_are_refused(limit):
    with pytest.raises(ValueError, match="clip_by_norm: max_norm is"):
        optim.clip_by_norm(limit)
    with pytest.raises(ValueError, match="clip_by_value: limit is"):
        optim.clip_by_value(limit)

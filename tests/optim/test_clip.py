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


@pytest.mark.parametrize("patterns", ["w", ("w", "dense/*")])
def test_leaves_that_no_pattern_matches_neither_count_nor_change(patterns):
    tree = {**gradients(), "dense": {"w": jnp.full(3, 4.0)}}
    huge = {**tree, "b": jnp.array([jnp.nan, 1e30, -jnp.inf, 3.0])}
    names = ("w",) if patterns == "w" else ("w", "dense")
    norm = np.linalg.norm(flat([tree[name] for name in names]))
    for given in (tree, huge):
        out = clipped(optim.clip_by_norm(2.0, patterns), given)
        for name, leaf in given.items():
            if name in names:
                leaf = jax.tree.map(lambda g: np.asarray(g) * 2.0 / norm, leaf)
                np.testing.assert_allclose(flat(out[name]), flat(leaf), rtol=1e-5)
            else:
                np.testing.assert_array_equal(flat(out[name]), flat(leaf))


def test_frozen_parameters_never_count_be_their_gradients_what_they_may():
    """Named by patterns before `select`, or by `select` itself."""
    params = {"encoder": jnp.ones(4), "head": jnp.ones(4)}
    gradient = {"encoder": jnp.array([jnp.nan, 1e30, jnp.inf, 1.0]), "head": jnp.arange(4.0)}
    head = optim.select({"head": optim.sgd(1.0), "*": optim.freeze()})
    clipped_head = optim.chain(optim.clip_by_norm(1.0), optim.sgd(1.0))
    for optimizer in (
        optim.chain(optim.clip_by_norm(1.0, "head"), head),
        optim.select({"head": clipped_head, "*": optim.freeze()}),
    ):
        updates, _ = optimizer.update(gradient, optimizer.init(params), params)
        np.testing.assert_allclose(updates["head"], -np.arange(4) / np.sqrt(14), rtol=1e-6)
        np.testing.assert_array_equal(optim.apply_updates(params, updates)["encoder"], np.ones(4))


def test_a_pattern_that_matches_nothing_is_refused():
    with pytest.raises(ValueError, match=r"clip_by_norm: pattern 'head/\*' matches nothing.*b, w"):
        optim.clip_by_norm(1.0, "head/*").init(gradients())


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
    with pytest.raises(ValueError, match="clip_by_norm: limit is"):
        optim.clip_by_norm(limit)
    with pytest.raises(ValueError, match="clip_by_value: limit is"):
        optim.clip_by_value(limit)

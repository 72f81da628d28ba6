"""Contrastive losses against NumPy and optax, at distance zero and of zero vectors."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from laminax.nn import losses

A, B, C = (np.random.default_rng(i).normal(size=(5, 3)).astype(np.float32) for i in range(3))


def cosines(a, b):
    unit = lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)  # noqa: E731
    return unit(a.astype(np.float64)) @ unit(b.astype(np.float64)).T


def test_contrastive():
    same = np.array([1, 0, 1, 0, 0])
    d = np.linalg.norm(A - B, axis=1)
    expected = np.where(same, d**2, np.maximum(2.0 - d, 0) ** 2) / 2
    assert (d[same == 0] > 2).any() and (d[same == 0] < 2).any()
    loss = losses.contrastive((jnp.asarray(A), jnp.asarray(B)), same, margin=2.0)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_triplet():
    d = lambda x: np.linalg.norm(A - x, axis=1)  # noqa: E731
    expected = np.maximum(d(B) - d(C) + 0.5, 0)
    assert (expected > 0).any() and (expected == 0).any()
    np.testing.assert_allclose(losses.triplet(A, B, C, margin=0.5), expected, rtol=1e-5, atol=1e-6)


def test_info_nce():
    similar = cosines(A, B) / 0.3
    expected = np.log(np.exp(similar).sum(1)) - np.diag(similar)
    np.testing.assert_allclose(losses.info_nce(A, B, temperature=0.3), expected, rtol=1e-5)


def test_nt_xent():
    views = np.concatenate([A, B])
    similar = cosines(views, views) / 0.4
    others = np.exp(similar) * ~np.eye(10, dtype=bool)
    each = [np.log(others[i].sum()) - similar[i, (i + 5) % 10] for i in range(10)]
    loss = losses.nt_xent(A, B, temperature=0.4)
    np.testing.assert_allclose(loss, np.add(each[:5], each[5:]) / 2, rtol=1e-5)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        theirs = optax.ntxent(jnp.asarray(views), jnp.tile(jnp.arange(5), 2), 0.4)
    np.testing.assert_allclose(loss.mean(), theirs, rtol=1e-4)


@pytest.mark.parametrize("loss", [losses.info_nce, losses.nt_xent])
def test_length_is_no_matter(loss):
    np.testing.assert_allclose(loss(100 * A, B), loss(A, B), rtol=1e-4)


def test_gradients_at_distance_zero_and_of_zero_vectors_are_finite():
    zero = jnp.zeros((3, 2))
    for loss in (
        lambda x: losses.contrastive((x, x), jnp.array([0, 1, 0])),
        lambda x: losses.triplet(x, x, x),
        lambda x: losses.info_nce(x, x),
        lambda x: losses.nt_xent(x, x),
    ):
        assert jnp.isfinite(jax.grad(lambda x, loss=loss: loss(x).sum())(zero)).all()


def test_what_they_refuse():
    with pytest.raises(TypeError, match="pair must be two embeddings"):
        losses.contrastive(A, np.ones(5))
    with pytest.raises(ValueError, match=r"same|labels"):
        losses.contrastive((A, B), np.ones(4))
    with pytest.raises(ValueError, match=r"of one shape, got"):
        losses.triplet(A, B, C[:, :2])
    with pytest.raises(ValueError, match="temperature must be above 0, got 0"):
        losses.info_nce(A, B, temperature=0)
    with pytest.raises(ValueError, match="margin must be above 0, got -1"):
        losses.triplet(A, B, C, margin=-1)
    with pytest.raises(TypeError, match="must be floating"):
        losses.nt_xent(A.astype(int), B.astype(int))

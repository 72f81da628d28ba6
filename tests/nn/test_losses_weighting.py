"""Combinators of losses against loops over positions; what is not real is not read."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax.nn import losses

LENGTHS = np.array([4, 1, 0])
MASK = np.arange(4) < LENGTHS[:, None]
Z = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
LABELS = np.where(MASK, np.random.default_rng(1).integers(0, 5, (3, 4)), -100)


def at_positions(loss, prediction, target, weight):
    """Return Σ w ℓ of each example, one position at a time."""
    totals = np.zeros(len(weight))
    for where in zip(*np.nonzero(weight), strict=True):
        each = [jnp.asarray(a[where])[None] for a in (prediction, target)]
        totals[where[0]] += weight[where] * float(loss(*each)[0])
    return totals


def test_masked_cross_entropy():
    total, count = losses.masked(losses.cross_entropy)(Z, (LABELS, MASK))
    np.testing.assert_allclose(
        total, at_positions(losses.cross_entropy, Z, LABELS, MASK), rtol=1e-5
    )
    np.testing.assert_array_equal(count, LENGTHS)


@pytest.mark.parametrize("loss", [losses.squared_error, losses.absolute_error, losses.huber])
def test_masked_is_of_each_position_for_any_loss(loss):
    target = np.random.default_rng(2).normal(size=Z.shape).astype(np.float32)
    total, count = losses.masked(loss)(Z, (target, MASK))
    np.testing.assert_allclose(total, at_positions(loss, Z, target, MASK), rtol=1e-5)
    np.testing.assert_array_equal(count, LENGTHS)


def test_masked_pixels_and_masked_examples():
    z, labels = Z.reshape(1, 3, 4, 5), LABELS.reshape(1, 3, 4)
    total, count = losses.masked(losses.cross_entropy)(z, (labels, labels >= 0))
    expected = at_positions(losses.cross_entropy, z, labels, labels >= 0)
    np.testing.assert_allclose(total, expected, rtol=1e-5)
    assert count.item() == LENGTHS.sum()
    real = np.array([True, False, True])
    total, count = losses.masked(losses.cross_entropy)(Z[:, 0], (np.array([1, -1, 2]), real))
    assert total[1] == 0 and (total[::2] > 0).all()
    np.testing.assert_array_equal(count, [1, 0, 1])


def test_masked_examples_of_a_sequence_keep_its_count():
    labels = np.abs(LABELS) % 5
    total, count = losses.masked(losses.cross_entropy)(Z, (labels, np.array([True, False, True])))
    whole, _ = losses.cross_entropy(jnp.asarray(Z), labels)
    np.testing.assert_allclose(total, np.where([1, 0, 1], whole, 0), rtol=1e-6)
    np.testing.assert_array_equal(count, [4, 0, 4])


def test_a_target_that_is_not_real_reaches_neither_value_nor_gradient():
    target = np.where(MASK[..., None], 1.0, np.nan).astype(np.float32).repeat(5, -1)

    def loss(z):
        total, count = losses.masked(losses.squared_error)(z, (target, MASK))
        return total.sum() / count.sum()

    value, gradient = jax.jit(jax.value_and_grad(loss))(Z)
    assert jnp.isfinite(value)
    np.testing.assert_array_equal(gradient != 0, np.broadcast_to(MASK[..., None], Z.shape))


def test_weighted():
    weight = np.array([[0.5, 0.0, 2.0, 1.0], [0.0, 0.0, 0.0, 3.0], [1.0, 1.0, 1.0, 1.0]])
    labels = np.where(weight > 0, 2, -1)
    total, count = losses.weighted(losses.cross_entropy)(Z, (labels, weight.astype(np.float32)))
    expected = at_positions(losses.cross_entropy, Z, labels, weight)
    np.testing.assert_allclose(total, expected, rtol=1e-5)
    np.testing.assert_allclose(count, weight.sum(1), rtol=1e-6)


def test_a_mask_is_a_weight_of_zero_and_one():
    masked = losses.masked(losses.cross_entropy)(Z, (LABELS, MASK))
    weighted = losses.weighted(losses.cross_entropy)(Z, (LABELS, MASK.astype(np.float32)))
    for a, b in zip(masked, weighted, strict=True):
        np.testing.assert_array_equal(a, b)


def test_class_weights():
    weights = np.array([1.0, 0.0, 2.0, 0.5, 3.0])
    labels = np.arange(12).reshape(3, 4) % 5
    total, count = losses.class_weighted(losses.cross_entropy, weights)(Z, labels)
    expected = at_positions(losses.cross_entropy, Z, labels, weights[labels])
    np.testing.assert_allclose(total, expected, rtol=1e-5)
    np.testing.assert_allclose(count, weights[labels].sum(1), rtol=1e-6)


def test_smoothed():
    z, y = Z[:, 0], np.array([1, 0, 4])
    p = 0.8 * np.eye(5)[y] + 0.2 / 5
    expected = losses.cross_entropy(jnp.asarray(z), p.astype(np.float32))
    smoothed = losses.smoothed(losses.cross_entropy, 0.2)
    np.testing.assert_allclose(smoothed(z, y), expected, rtol=1e-6)
    hot = np.eye(5, dtype=np.float32)[y]
    np.testing.assert_allclose(smoothed(z, hot), expected, rtol=1e-6)
    np.testing.assert_array_equal(
        losses.smoothed(losses.cross_entropy, 0)(z, y), losses.cross_entropy(jnp.asarray(z), hot)
    )


def test_combinators_combine():
    weights = [1.0, 0.0, 2.0, 0.5, 3.0]
    loss = losses.masked(losses.class_weighted(losses.smoothed(losses.cross_entropy, 0.1), weights))
    total, count = loss(Z, (LABELS, MASK))
    of_each = np.where(MASK, np.array(weights)[LABELS.clip(0)], 0)
    smoothed = losses.smoothed(losses.cross_entropy, 0.1)
    expected = at_positions(smoothed, Z, LABELS, of_each)
    np.testing.assert_allclose(total, expected, rtol=1e-5)
    np.testing.assert_allclose(count, of_each.sum(1), rtol=1e-6)


def test_a_label_that_is_no_class_is_seen_under_jit():
    labels = jnp.array([0, 5, -1])
    for loss in (
        losses.smoothed(losses.cross_entropy, 0.1),
        lambda z, y: losses.class_weighted(losses.cross_entropy, [1.0] * 5)(z, y)[0],
        lambda z, y: losses.masked(losses.cross_entropy)(z, (y, jnp.ones(3, bool)))[0],
    ):
        np.testing.assert_array_equal(np.isnan(jax.jit(loss)(Z[:, 0], labels)), [False, True, True])


def test_what_they_refuse():
    masked, weighted = losses.masked(losses.cross_entropy), losses.weighted(losses.squared_error)
    with pytest.raises(TypeError, match=r"the pair \(target, mask\), got .*let the data be"):
        masked(Z, LABELS)
    with pytest.raises(TypeError, match="mask must be boolean, True where real"):
        masked(Z, (LABELS, MASK.astype(int)))
    with pytest.raises(ValueError, match=r"share all their axes with the first ones of"):
        masked(Z, (LABELS, MASK[:, :3]))
    with pytest.raises(ValueError, match="weight must be at least 0, got -1"):
        weighted(Z, (Z, np.array([1.0, -1.0, 0.0], np.float32)))
    with pytest.raises(ValueError, match="got 2 weights for 5 classes"):
        losses.class_weighted(losses.cross_entropy, [1.0, 2.0])(Z[:, 0], np.zeros(3, int))
    for wrong in ([-1.0, 1.0], [[1.0]], [np.nan]):
        with pytest.raises(ValueError, match="one number of at least 0 a class"):
            losses.class_weighted(losses.cross_entropy, wrong)
    with pytest.raises(TypeError, match="labels must be integers"):
        losses.class_weighted(losses.cross_entropy, [1.0] * 5)(Z[:, 0], Z[:, 0])
    with pytest.raises(ValueError, match=r"smoothed: rate must be a number in \[0, 1\)"):
        losses.smoothed(losses.cross_entropy, 1.0)

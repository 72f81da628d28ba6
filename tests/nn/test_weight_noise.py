"""Disturbed weights: what is drawn, for whom, and what evaluation sees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

TRAIN = nn.Context(jax.random.key(0), train=True)
N = 200
W = 1 + np.random.default_rng(0).uniform(size=(N, N)).astype(np.float32)


def disturbed(layer, x=None, ctx=TRAIN):
    """The weight in use, as the answer to the unit vectors."""
    return np.asarray(layer.apply({"w": W}, {}, jnp.eye(N) if x is None else x, ctx)[0])


def dense():
    return nn.dense(N, bias=False)


def test_drop_connect_drops_weights_and_scales_the_rest():
    w = disturbed(nn.drop_connect(dense(), "w", 0.3))
    kept = w != 0
    assert abs(kept.mean() - 0.7) < 4 * np.sqrt(0.21) / N
    np.testing.assert_allclose(w[kept], W[kept] / 0.7, rtol=1e-6)
    for axis in (0, 1):
        assert 0 < kept.mean(axis).std() < 2 * np.sqrt(0.21 / N)


def test_the_weights_are_those_of_all_examples():
    layer = nn.drop_connect(dense(), "w", 0.5)
    same = disturbed(layer, jnp.ones((5, N)))
    np.testing.assert_allclose(same, np.broadcast_to(same[:1], same.shape), rtol=1e-5)


def test_weight_noise_is_added():
    noise = disturbed(nn.weight_noise(dense(), "w", 0.2)) - W
    assert abs(noise.mean()) < 4 * 0.2 / N
    assert abs(noise.std() - 0.2) < 4 * 0.2 / N
    assert abs(np.corrcoef(noise.ravel(), W.ravel())[0, 1]) < 4 / N


def test_random_freezing_stops_some_gradients_and_changes_no_output():
    layer = nn.freeze_random(dense(), "w", 0.3)
    np.testing.assert_allclose(disturbed(layer), W, rtol=1e-6)
    x = jnp.asarray(np.random.default_rng(1).normal(size=(4, N)), jnp.float32)
    loss = lambda layer: lambda w: (layer.apply({"w": w}, {}, x, TRAIN)[0] ** 2).sum()  # noqa: E731
    mine, plain = jax.grad(loss(layer))(W), jax.grad(loss(dense()))(W)
    frozen = np.asarray(mine) == 0
    assert abs(frozen.mean() - 0.3) < 4 * np.sqrt(0.21) / N
    np.testing.assert_allclose(mine[~frozen], plain[~frozen], rtol=1e-4)


@pytest.mark.parametrize("make", [nn.drop_connect, nn.weight_noise, nn.freeze_random])
def test_evaluation_and_nothing_asked_for_change_nothing(make):
    plain = disturbed(dense())
    np.testing.assert_array_equal(disturbed(make(dense(), "w", 0.5), ctx=nn.Context()), plain)
    np.testing.assert_array_equal(
        disturbed(make(dense(), "w", 0), ctx=nn.Context(train=True)), plain
    )


@pytest.mark.parametrize("make", [nn.drop_connect, nn.weight_noise])
def test_each_weight_draws_its_own(make):
    model = make(nn.parallel(dense(), dense()), "*/w", 0.5)
    params = {"dense_0": {"w": W}, "dense_1": {"w": W}}
    (first, second), _ = model.apply(params, {}, jnp.eye(N), TRAIN)
    assert (first != second).any()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.drop_connect(dense(), "w", 1.0), r"drop_connect: rate must be a number in"),
        (lambda: nn.freeze_random(dense(), "w", -1), r"freeze_random: rate must be a number in"),
        (lambda: nn.weight_noise(dense(), "w", -1), r"weight_noise: std must be a finite number"),
    ],
)
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize("make", [nn.drop_connect, nn.weight_noise, nn.freeze_random])
def test_training_without_a_key_is_refused(make):
    with pytest.raises(ValueError, match=f"{make.__name__}: needs a random key in training"):
        disturbed(make(dense(), "w", 0.5), ctx=nn.Context(train=True))

"""Normalization against NumPy: statistics, running ones, precision, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

TRAIN = nn.Context(train=True)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def variables(n, seed=1):
    params = {"scale": normal(n, seed=seed), "bias": normal(n, seed=seed + 1)}
    return params, {"mean": normal(n, seed=seed + 2), "var": normal(n, seed=seed + 3) ** 2}


def normalized(x, mean, var, params, epsilon=1e-5):
    return params["scale"] * (x - mean) / np.sqrt(var + epsilon) + params["bias"]


@pytest.mark.parametrize("shape", [(9, 3), (4, 5, 3), (2, 3, 4, 3)])
def test_batch_norm_in_training_and_evaluation(shape):
    with jax.enable_x64(True):
        x, axes = 2 + 3 * normal(*shape), tuple(range(len(shape) - 1))
        params, state = variables(3)
        layer = nn.batch_norm(momentum=0.8)
        y, kept = layer.apply(params, state, x, TRAIN)
        np.testing.assert_allclose(y, normalized(x, x.mean(axes), x.var(axes), params), rtol=1e-10)
        np.testing.assert_allclose(kept["mean"], 0.8 * state["mean"] + 0.2 * x.mean(axes))
        np.testing.assert_allclose(kept["var"], 0.8 * state["var"] + 0.2 * x.var(axes, ddof=1))
        y, same = layer.apply(params, state, x, nn.Context())
        np.testing.assert_allclose(y, normalized(x, **state, params=params), rtol=1e-10)
        assert same is state


def test_batch_norm_starts_as_the_identity_in_evaluation():
    x = normal(4, 3).astype(np.float32)
    made = nn.batch_norm(epsilon=1e-12).init(jax.random.key(0), x)
    np.testing.assert_allclose(nn.batch_norm(epsilon=1e-12)(made, x), x, rtol=1e-6)


def test_the_gradient_of_batch_norm_knows_that_the_statistics_move():
    """The outputs of a feature sum to a constant, so a sum's gradient in x is zero."""
    with jax.enable_x64(True):
        params, state = variables(3)
        loss = lambda x: nn.batch_norm().apply(params, state, x, TRAIN)[0].sum()  # noqa: E731
        np.testing.assert_allclose(jax.grad(loss)(normal(6, 3)), 0, atol=1e-12)


def test_no_gradient_passes_through_the_running_statistics():
    params, state = jax.tree.map(jnp.float32, variables(3))
    kept = lambda x: nn.batch_norm().apply(params, state, x, TRAIN)[1]["mean"].sum()  # noqa: E731
    assert not jax.grad(kept)(normal(6, 3).astype(np.float32)).any()


def test_layer_norm_over_the_last_axis():
    with jax.enable_x64(True):
        x, (params, _) = 2 + 3 * normal(4, 5, 3), variables(3)
        expected = normalized(x, x.mean(-1, keepdims=True), x.var(-1, keepdims=True), params)
        np.testing.assert_allclose(
            nn.layer_norm()(nn.Variables(params, {}), x), expected, rtol=1e-10
        )


def test_epsilon_is_added_to_the_variance():
    with jax.enable_x64(True):
        x, (params, _) = normal(4, 3), variables(3)
        expected = normalized(x, x.mean(0), x.var(0), params, epsilon=0.5)
        y, _ = nn.batch_norm(epsilon=0.5).apply(params, variables(3)[1], x, TRAIN)
        np.testing.assert_allclose(y, expected, rtol=1e-10)
        expected = normalized(
            x, x.mean(1, keepdims=True), x.var(1, keepdims=True), params, epsilon=0.5
        )
        y = nn.layer_norm(epsilon=0.5)(nn.Variables(params, {}), x)
        np.testing.assert_allclose(y, expected, rtol=1e-10)


@pytest.mark.parametrize("make", [nn.batch_norm, nn.layer_norm])
def test_a_large_mean_does_not_cancel_the_variance(make):
    x = (1e4 + normal(64, 64)).astype(np.float32)
    params, state = make().init(jax.random.key(0), x)
    y, _ = make().apply(params, state, x, TRAIN)
    np.testing.assert_allclose(np.asarray(y, float).std(), 1, rtol=5e-3)


@pytest.mark.parametrize("make", [nn.batch_norm, nn.layer_norm])
def test_half_precision_statistics_are_float32(make):
    """In float16 the squares of these would overflow, and 2048 + 1 be 2048."""
    x = jnp.asarray(300 + 40 * normal(4096, 8), jnp.float16)
    params, state = make().init(jax.random.key(0), x)
    half = jax.tree.map(lambda p: p.astype(jnp.float16), params)
    y, kept = make().apply(half, state, x, TRAIN)
    assert y.dtype == jnp.float16
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(kept))
    wide, _ = make().apply(params, state, x.astype(jnp.float32), TRAIN)
    np.testing.assert_allclose(np.asarray(y, np.float32), wide, atol=4e-3)


@pytest.mark.parametrize("make", [nn.batch_norm, nn.layer_norm])
def test_a_size_that_would_broadcast_is_refused(make):
    made = make().init(jax.random.key(0), jnp.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"x has 1 features .* were made for 3"):
        make()(made, jnp.zeros((2, 1)))


def test_batch_norm_refuses():
    with pytest.raises(ValueError, match=r"batch_norm: momentum must be a number in \[0, 1\)"):
        nn.batch_norm(momentum=1.0)
    with pytest.raises(ValueError, match=r"batch_norm: x must have at least 2 axes"):
        nn.batch_norm().init(jax.random.key(0), jnp.zeros(3))
    made = nn.batch_norm().init(jax.random.key(0), jnp.zeros((2, 3)))
    with pytest.raises(ValueError, match="more than one value a feature"):
        nn.batch_norm().apply(*made, jnp.zeros((1, 3)), TRAIN)
    with pytest.raises(ValueError, match="state must hold mean, var, got none"):
        nn.batch_norm()(nn.Variables(made.params, {}), jnp.zeros((2, 3)))


def test_batch_norm_is_initialized_from_one_example():
    model = nn.serial(nn.dense(3), nn.batch_norm())
    one, many = (model.init(jax.random.key(0), jnp.zeros((n, 2))) for n in (1, 8))
    assert jax.tree.all(jax.tree.map(jnp.array_equal, one, many))


def by_group(x, groups, params, epsilon=1e-5):
    """The equation, one example and one group at a time."""
    y, size = np.zeros_like(x), x.shape[-1] // groups
    for n in range(len(x)):
        for channels in np.split(np.arange(x.shape[-1]), groups):
            part = x[n][..., channels]
            mine = {name: p[channels] for name, p in params.items()}
            y[n][..., channels] = normalized(part, part.mean(), part.var(), mine, epsilon)
    assert size * groups == x.shape[-1]
    return y


@pytest.mark.parametrize("shape", [(4, 6), (4, 5, 6), (2, 3, 4, 6), (2, 3, 2, 2, 6)])
@pytest.mark.parametrize("groups", [1, 3, 6])
def test_group_norm(shape, groups):
    if len(shape) == 2 and groups == 6:
        return
    with jax.enable_x64(True):
        x, (params, _) = 2 + 3 * normal(*shape), variables(6)
        y = nn.group_norm(groups)(nn.Variables(params, {}), x)
        np.testing.assert_allclose(y, by_group(x, groups, params), rtol=1e-10)
        if groups == 6:
            same = nn.instance_norm()(nn.Variables(params, {}), x)
            np.testing.assert_allclose(same, y, rtol=1e-12)


def test_rms_norm_does_not_center():
    with jax.enable_x64(True):
        x, scale = 2 + 3 * normal(4, 5, 3), normal(3, seed=1)
        y = nn.rms_norm(epsilon=0.5)(nn.Variables({"scale": scale}, {}), x)
        expected = scale * x / np.sqrt((x**2).mean(-1, keepdims=True) + 0.5)
        np.testing.assert_allclose(y, expected, rtol=1e-10)


@pytest.mark.parametrize("size", [1, 4, 5])
def test_local_response_norm(size):
    """The paper's equation, channel by channel; where a window is even it reaches further back."""
    with jax.enable_x64(True):
        x, y = normal(2, 3, 6), np.zeros((2, 3, 6))
        for i in range(6):
            near = x[..., max(0, i - size // 2) : i + (size - 1) // 2 + 1]
            y[..., i] = x[..., i] / (2.0 + 0.3 * (near**2).sum(-1)) ** 0.75
        layer = nn.local_response_norm(size, alpha=0.3)
        np.testing.assert_allclose(layer(nn.Variables({}, {}), x), y, rtol=1e-12)


@pytest.mark.parametrize("make", [lambda: nn.group_norm(2), nn.instance_norm, nn.rms_norm])
def test_half_precision_moments_of_an_example_are_float32(make):
    x = jnp.asarray(300 + 40 * normal(2, 2048, 8), jnp.float16)
    params, _ = make().init(jax.random.key(0), x)
    half = jax.tree.map(lambda p: p.astype(jnp.float16), params)
    y = make()(nn.Variables(half, {}), x)
    assert y.dtype == jnp.float16
    wide = make()(nn.Variables(params, {}), x.astype(jnp.float32))
    np.testing.assert_allclose(np.asarray(y, np.float32), wide, atol=4e-3)


def test_local_response_norm_sums_half_precision_in_float32():
    x = jnp.full((1, 8), 300.0, jnp.float16)  # its square overflows
    y = nn.local_response_norm(1, alpha=1.0, beta=0.5)(nn.Variables({}, {}), x)
    np.testing.assert_allclose(np.asarray(y, np.float32), 1, rtol=1e-3)


def test_norms_of_examples_refuse():
    key, x = jax.random.key(0), jnp.zeros((2, 3, 6))
    with pytest.raises(ValueError, match=r"groups must divide .* got groups=4 and 6 channels"):
        nn.group_norm(4).init(key, x)
    with pytest.raises(ValueError, match="group_norm: groups must be an integer of at least 1"):
        nn.group_norm(0)
    with pytest.raises(ValueError, match="group_norm: x must have at least 2 axes"):
        nn.group_norm(2).init(key, x[0, 0])
    with pytest.raises(ValueError, match="instance_norm: x must have at least 3 axes"):
        nn.instance_norm().init(key, x[0])
    made = nn.instance_norm().init(key, x)
    with pytest.raises(ValueError, match="instance_norm: a channel needs more than one position"):
        nn.instance_norm()(made, x[:, :1])
    with pytest.raises(ValueError, match="local_response_norm: size must be an integer"):
        nn.local_response_norm(2.5)
    with pytest.raises(ValueError, match=r"local_response_norm: k must be above 0, got 0"):
        nn.local_response_norm(k=0)

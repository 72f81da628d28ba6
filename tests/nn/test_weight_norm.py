"""Weight and spectral normalization against NumPy: norms, singular values, gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn


def key():
    return jax.random.key(0)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 4, 5)])
def test_weight_norm_is_by_output_unit(shape):
    layer = nn.dense(3, bias=False) if len(shape) == 2 else nn.conv(5, (2, 3), bias=False)
    with jax.enable_x64(True):
        v, g, x = normal(*shape), normal(shape[-1], seed=1), normal(2, 6, 6, 4, seed=2)
        w = np.zeros_like(v)
        for unit in range(shape[-1]):
            w[..., unit] = g[unit] * v[..., unit] / np.sqrt((v[..., unit] ** 2).sum())
        y = nn.weight_norm(layer, "w")(nn.Variables({"w": {"g": g, "v": v}}, {}), x)
        np.testing.assert_allclose(y, layer(nn.Variables({"w": w}, {}), x), rtol=1e-10, atol=1e-12)


def test_weight_norm_splits_a_weight_into_norm_and_direction():
    layer = nn.weight_norm(nn.dense(3), "w")
    params, state = layer.init(key(), jnp.zeros((1, 4)))
    np.testing.assert_allclose(params["w"]["g"], np.linalg.norm(params["w"]["v"], axis=0), 1e-6)
    np.testing.assert_array_equal(
        params["w"]["v"], nn.dense(3).init(key(), jnp.zeros((1, 4)))[0]["w"]
    )
    assert state == {}


def test_the_gradient_of_v_is_across_it():
    layer, x = nn.weight_norm(nn.dense(3), "w"), jnp.asarray(normal(5, 4), jnp.float32)
    params, _ = layer.init(key(), x)
    gradient = jax.grad(lambda p: (layer((p, {}), x) ** 2).sum())(params)["w"]["v"]
    np.testing.assert_allclose((gradient * params["w"]["v"]).sum(0), 0, atol=1e-4)
    assert jnp.abs(gradient).max() > 0.1


@pytest.mark.parametrize("make", [nn.weight_norm, nn.spectral_norm])
def test_weights_of_zero_are_finite(make):
    layer, x = make(nn.dense(3), "w"), jnp.ones((2, 4))
    params, state = layer.init(key(), x)
    zero = jax.tree.map(jnp.zeros_like, params)
    loss = lambda p: layer.apply(p, state, x, nn.Context(train=True))[0].sum()  # noqa: E731
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(jax.grad(loss)(zero)))


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 4, 5)])
def test_the_spectral_norm_becomes_one(shape):
    layer = nn.dense(3, bias=False) if len(shape) == 2 else nn.conv(5, (2, 3), bias=False)
    with jax.enable_x64(True):
        w, x = normal(*shape), normal(2, 6, 6, 4, seed=2)
        sigma = np.linalg.svd(w.reshape(-1, shape[-1]), compute_uv=False)[0]
        model = nn.spectral_norm(layer, "w")
        state = model.init(key(), x).state
        step = jax.jit(lambda state: model.apply({"w": w}, state, x, nn.Context(train=True))[1])
        for _ in range(150):
            state = step(state)
        y = model(nn.Variables({"w": w}, state), x)
        expected = layer(nn.Variables({"w": w / sigma}, {}), x)
        np.testing.assert_allclose(y, expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_a_step_of_the_power_iteration(scale):
    with jax.enable_x64(True):
        w, u = scale * normal(4, 3), normal(3, seed=1)
        layer = nn.spectral_norm(nn.dense(3, bias=False), "w")
        y, state = layer.apply({"w": w}, {"w": {"u": u}}, np.eye(4), nn.Context(train=True))
        v = w @ u / np.linalg.norm(w @ u)
        u_next = v @ w / np.linalg.norm(v @ w)
        np.testing.assert_allclose(state["w"]["u"], u_next, rtol=1e-12)
        np.testing.assert_allclose(y, w / np.linalg.norm(w @ u_next), rtol=1e-12)
        y, same = layer.apply({"w": w}, {"w": {"u": u_next}}, np.eye(4), nn.Context())
        np.testing.assert_allclose(y, w / np.linalg.norm(w @ u_next), rtol=1e-12)
        np.testing.assert_array_equal(same["w"]["u"], u_next)


def test_the_gradient_takes_the_singular_vectors_as_constant():
    """∂(w / σ) = (∂w - w uᵀ ∂w v / σ) / σ, with u and v those after the step."""
    with jax.enable_x64(True):
        w, u, weights = normal(4, 3), normal(3, seed=1), normal(4, 3, seed=2)
        layer = nn.spectral_norm(nn.dense(3, bias=False), "w")

        def loss(w):
            y, _ = layer.apply({"w": w}, {"w": {"u": u}}, np.eye(4), nn.Context(train=True))
            return (weights * y).sum()

        u_next = w.T @ w @ u / np.linalg.norm(w.T @ w @ u)
        sigma = np.linalg.norm(w @ u_next)
        v_next = w @ u_next / sigma
        outer = np.outer(v_next, u_next)
        expected = (weights - (weights * w).sum() / sigma * outer) / sigma
        np.testing.assert_allclose(jax.grad(loss)(jnp.asarray(w)), expected, rtol=1e-9)


def test_a_fresh_spectral_norm_is_nearly_right():
    """As many steps as are taken at first bring a random matrix's norm to a few percent."""
    layer, x = nn.spectral_norm(nn.dense(32, bias=False), "w"), jnp.eye(64)
    y = layer(layer.init(key(), x), x)
    assert 0.99 < np.linalg.svd(y, compute_uv=False)[0] < 1.1


def test_half_precision_norms_are_float32():
    v = 300.0 + jnp.asarray(normal(4096, 2), jnp.float16)  # the sum of squares overflows
    layer = nn.weight_norm(nn.dense(2, bias=False), "w")
    params = {"w": {"g": jnp.ones(2, jnp.float16), "v": v}}
    y = layer((params, {}), jnp.ones((1, 4096), jnp.float16))
    assert y.dtype == jnp.float16
    np.testing.assert_allclose(np.asarray(y, np.float32), 64, rtol=2e-2)

"""Dense and the bare parameter against NumPy; what they refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 5, 3), (0, 3)])
def test_dense_is_affine_on_the_last_axis(shape):
    x, w, b = normal(*shape), normal(3, 7, seed=1), normal(7, seed=2)
    y = nn.dense(7)(nn.Variables({"w": w, "b": b}, {}), x)
    np.testing.assert_allclose(y, x @ w + b, rtol=1e-5, atol=1e-6)


def test_dense_gradients_in_float64():
    """dL/dx = g Wᵀ, dL/dW = xᵀ g, dL/db = Σ g."""
    with jax.enable_x64(True):
        x, w, b, g = (normal(*s).astype(float) for s in ((4, 3), (3, 7), (7,), (4, 7)))

        def loss(params, x):
            return (nn.dense(7)(nn.Variables(params, {}), x) * g).sum()

        params, dx = jax.grad(loss, argnums=(0, 1))({"w": w, "b": b}, x)
        np.testing.assert_allclose(dx, g @ w.T, rtol=1e-12)
        np.testing.assert_allclose(params["w"], x.T @ g, rtol=1e-12)
        np.testing.assert_allclose(params["b"], g.sum(0), rtol=1e-12)


def test_dense_starts_with_variance_one_over_inputs_and_no_bias():
    params = nn.dense(400).init(jax.random.key(0), jnp.zeros((1, 300))).params
    np.testing.assert_allclose(params["w"].var() * 300, 1, rtol=0.02)
    assert abs(params["w"].mean()) < 1e-3 and not params["b"].any()


def test_dense_takes_an_initializer():
    layer = nn.dense(3, bias=False, init=nn.initializers.ones)
    params = layer.init(jax.random.key(0), jnp.zeros((1, 2))).params
    assert list(params) == ["w"]
    np.testing.assert_array_equal(params["w"], np.ones((2, 3)))


def test_integers_are_taken_as_numbers():
    y = nn.dense(1)(
        nn.Variables({"w": jnp.ones((2, 1)), "b": jnp.zeros(1)}, {}), np.array([[1, 2]])
    )
    np.testing.assert_array_equal(y, [[3.0]])
    assert y.dtype == jnp.float32


@pytest.mark.parametrize("features", [0, -1, 2.0, True, "3"])
def test_dense_refuses_features(features):
    with pytest.raises(ValueError, match="dense: features must be an integer of at least 1, got"):
        nn.dense(features)


def test_dense_refuses_an_input_of_another_size():
    layer = nn.dense(2)
    variables = layer.init(jax.random.key(0), jnp.zeros((1, 3)))
    with pytest.raises(ValueError, match=r"dense: x has 4 .* float32\[1, 4\], .* were made for 3"):
        layer(variables, jnp.zeros((1, 4)))
    with pytest.raises(ValueError, match=r"dense: x must have at least 1 axes .* got float32\[\]"):
        layer(variables, jnp.zeros(()))
    with pytest.raises(TypeError, match=r"dense: x must be one array, got \(float32\[3\],\)"):
        layer(variables, (jnp.zeros(3),))


def test_dense_refuses_parameters_of_another_layer():
    with pytest.raises(ValueError, match=r"dense: params must hold w, b, got bias, scale"):
        nn.dense(2)(nn.Variables({"scale": jnp.ones(2), "bias": jnp.ones(2)}, {}), jnp.ones((1, 2)))


def test_parameter_is_its_array_whatever_x():
    layer = nn.parameter((2, 3), nn.initializers.ones)
    variables = layer.init(jax.random.key(0), None)
    np.testing.assert_array_equal(variables.params, np.ones((2, 3)))
    np.testing.assert_array_equal(layer(variables, None), np.ones((2, 3)))
    np.testing.assert_array_equal(
        jax.grad(lambda p: layer(nn.Variables(p, {}), None).sum())(variables.params),
        np.ones((2, 3)),
    )


def test_parameter_refuses_another_shape():
    with pytest.raises(ValueError, match=r"parameter: must have shape \(2,\), got \(3,\)"):
        nn.parameter((2,))(nn.Variables(jnp.zeros(3), {}), None)


@pytest.mark.parametrize("lead", [(), (4,), (2, 5), (0,)])
def test_bilinear_is_a_form_in_both(lead):
    x1, x2, w, b = normal(*lead, 3), normal(*lead, 4, seed=1), normal(3, 4, 5, seed=2), normal(5)
    y = nn.bilinear(5)(nn.Variables({"w": w, "b": b}, {}), (x1, x2))
    expected = np.einsum("...i,ijk,...j->...k", x1, w, x2) + b
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


def test_bilinear_starts_with_unit_variance():
    x = tuple(jax.random.normal(jax.random.key(i), (200, 30)) for i in (1, 2))
    layer = nn.bilinear(20)
    variables = layer.init(jax.random.key(0), x)
    assert not variables.params["b"].any()
    np.testing.assert_allclose(layer(variables, x).var(), 1, rtol=0.1)


def test_bilinear_runs_a_stretch_at_a_time():
    layer, x = nn.bilinear(2), (normal(1, 6, 3), normal(1, 6, 4, seed=1))
    variables = layer.init(jax.random.key(0), x)
    carry = layer.start(variables, x, nn.Context())
    _, y = layer.step(variables, carry, jax.tree.map(lambda a: a[:, 2:4], x), nn.Context())
    np.testing.assert_allclose(y, layer(variables, x)[:, 2:4], rtol=1e-5, atol=1e-6)


def test_bilinear_refuses_what_is_no_fitting_pair():
    layer, x = nn.bilinear(2), (jnp.zeros((1, 3)), jnp.zeros((1, 4)))
    variables = layer.init(jax.random.key(0), x)
    with pytest.raises(ValueError, match="bilinear: features must be an integer"):
        nn.bilinear(0)
    with pytest.raises(TypeError, match=r"bilinear: x must be a pair .* got float32\[2, 3\]"):
        layer(variables, jnp.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"same leading axes, got float32\[1, 3\] and"):
        layer(variables, (x[0], jnp.zeros((2, 4))))
    with pytest.raises(ValueError, match=r"bilinear: x has 3 features .* made for 4"):
        layer(variables, (x[0], x[0]))

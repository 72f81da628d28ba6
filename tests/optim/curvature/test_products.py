"""Products with the Hessian and the Gauss-Newton matrix against the matrices themselves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax.optim import curvature


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def problem():
    random = np.random.default_rng(0)
    x = {"w": random.normal(size=(3, 2)), "b": random.normal(size=2)}
    v = {"w": random.normal(size=(3, 2)), "b": random.normal(size=2)}
    inputs, labels = jnp.asarray(random.normal(size=(7, 3))), random.integers(0, 2, 7)

    def model(x):
        return jnp.tanh(inputs @ x["w"]) + jnp.sin(x["b"])[None]

    def loss(z):
        picked = jnp.take_along_axis(z, jnp.asarray(labels)[:, None], axis=1)[:, 0]
        return jnp.mean(jax.nn.logsumexp(z, axis=1) - picked)

    return model, loss, jax.tree.map(jnp.asarray, x), jax.tree.map(jnp.asarray, v)


def flat(tree):
    return jax.flatten_util.ravel_pytree(tree)


def test_hvp_is_the_hessian_times_the_vector():
    model, loss, x, v = problem()
    vector, unravel = flat(x)
    hessian = jax.jit(jax.hessian(lambda x: loss(model(unravel(x)))))(vector)
    product = curvature.hvp(lambda x: loss(model(x)), x, v)
    np.testing.assert_allclose(flat(product)[0], hessian @ flat(v)[0], rtol=1e-10, atol=1e-14)


def test_hvp_of_a_function_known_by_hand():
    product = curvature.hvp(
        lambda x: x[0] ** 3 * x[1], jnp.array([2.0, 5.0]), jnp.array([1.0, 10.0])
    )
    np.testing.assert_allclose(product, [6 * 2 * 5 + 10 * 3 * 4, 3 * 4], rtol=1e-12)


def test_gnvp_is_the_gauss_newton_matrix_times_the_vector():
    model, loss, x, v = problem()
    vector, unravel = flat(x)
    outputs = model(x)
    jacobian = jax.jit(jax.jacobian(lambda x: model(unravel(x)).ravel()))(vector)
    inner = jax.jit(jax.hessian(lambda z: loss(z.reshape(outputs.shape))))(outputs.ravel())
    product = flat(curvature.gnvp(model, loss, x, v))[0]
    expected = jacobian.T @ inner @ jacobian @ flat(v)[0]
    np.testing.assert_allclose(product, expected, rtol=1e-10, atol=1e-14)
    whole = flat(curvature.hvp(lambda x: loss(model(x)), x, v))[0]
    assert np.abs(product - whole).max() > 1e-3, "the model's own curvature is left out"


def test_gnvp_of_a_linear_model_is_the_hvp():
    _, loss, x, v = problem()
    model = lambda x: jnp.ones((7, 3)) @ x["w"] + x["b"][None]  # noqa: E731
    ours = curvature.gnvp(model, loss, x, v)
    whole = curvature.hvp(lambda x: loss(model(x)), x, v)
    np.testing.assert_allclose(flat(ours)[0], flat(whole)[0], rtol=1e-10, atol=1e-14)


def test_products_run_under_jit_and_vmap():
    model, loss, x, v = problem()
    vectors = jax.tree.map(lambda leaf: jnp.stack([leaf, 2.0 * leaf]), v)
    for product in (
        lambda v: curvature.hvp(lambda x: loss(model(x)), x, v),
        lambda v: curvature.gnvp(model, loss, x, v),
    ):
        together = jax.jit(jax.vmap(product))(vectors)
        alone = flat(product(v))[0]
        rows = np.concatenate([together["b"], together["w"].reshape(2, -1)], 1)
        np.testing.assert_allclose(rows, [alone, 2 * alone], rtol=1e-10)

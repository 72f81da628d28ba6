"""Laws of the minimizers: pure, wide, many starts equal to a loop, unusable starts refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from .running import assert_close, spec
from .table import MINIMIZERS

minimizers = pytest.mark.parametrize("row", MINIMIZERS, ids=str)
STARTS = {
    "w": np.array([[2.0, -1.0], [0.5, 3.0], [-2.0, -2.0], [np.nan, 0.0]]),
    "b": np.array([1.0, 0.0, -3.0, 0.0]),
}


def f(x):
    """Convex, neither quadratic nor separable, with a minimum away from 0."""
    return jnp.sum(jnp.cosh(x["w"] - 0.5)) + (x["w"][0] + x["b"] - 1.0) ** 2


def start(i, dtype=float):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf[i], dtype), STARTS)


@minimizers
def test_many_starts_at_once_under_jit_are_a_loop(row, float64):
    minimize = jax.jit(lambda x: row.make()(f, x, tolerance=1e-8))
    together = jax.jit(jax.vmap(minimize))(jax.tree.map(jnp.asarray, STARTS))
    assert not together.converged[3] and together.iterations[3] == 0, "of a start not finite"
    for i in range(3):
        alone = minimize(start(i))
        assert_close(jax.tree.map(lambda leaf, i=i: leaf[i], together), alone, rtol=1e-6, atol=1e-7)
        assert alone.converged


@minimizers
@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_the_result_is_float32_or_wider(row, dtype):
    with jax.enable_x64(dtype == "float64"):
        x = start(0, dtype)
        minimum = jax.eval_shape(lambda x: row.make()(f, x), x)
        wide = jnp.dtype("float64" if dtype == "float64" else "float32")
        assert spec(minimum.x) == spec(jax.tree.map(lambda leaf: leaf.astype(wide), x))
        assert {minimum.value.dtype, minimum.gradient_norm.dtype} == {wide}
        assert minimum.iterations.dtype == jnp.int32 and minimum.converged.dtype == bool


@minimizers
def test_eager_it_reaches_the_default_tolerance_in_float32(row):
    minimum = row.make()(f, start(0, jnp.float32))
    assert minimum.converged and minimum.gradient_norm <= 1e-5
    np.testing.assert_allclose(jax.grad(f)(minimum.x)["w"], 0.0, atol=1e-5)


@minimizers
def test_a_start_that_is_not_finite_is_refused(row):
    with pytest.raises(ValueError, match=f"{row.name}: at the start f is nan"):
        row.make()(f, start(3))

"""Laws of optimizers and schedules: pure, one compile, dtypes kept, sweeps equal to loops."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from .running import assert_close, spec
from .table import OPTIMIZERS, SCHEDULES

optimizers = pytest.mark.parametrize("row", OPTIMIZERS, ids=str)
schedules = pytest.mark.parametrize("row", SCHEDULES, ids=str)


def parameters(dtype=jnp.float32):
    random = np.random.default_rng(0)
    return {"layer": {name: jnp.asarray(random.normal(size=n), dtype) for name, n in SIZES.items()}}


SIZES = {"w": 6, "b": 3}


def steps(optimizer, params, n=3, state=None):
    """Gradient steps on ½ |θ|², whose gradient is θ."""
    state = optimizer.init(params) if state is None else state
    for _ in range(n):
        updates, state = optimizer.update(params, state, params)
        params = optax.apply_updates(params, updates)
    return params, state


@optimizers
def test_jit_equals_eager(row):
    optimizer, params = row.make(), parameters()
    assert_close(jax.jit(lambda p: steps(optimizer, p))(params), steps(optimizer, params))


@optimizers
def test_the_second_step_compiles_nothing_and_keeps_the_state_s_structure(row, compiles):
    optimizer, params = row.make(), parameters()
    state = optimizer.init(params)

    @jax.jit
    def step(params, state):
        return steps(optimizer, params, 1, state)

    before = spec(state)
    for _ in range(2):
        params, state = step(params, state)
        assert spec(state) == before
    assert compiles.count("jit(step)") == 1


@optimizers
@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_updates_have_the_parameters_dtype(row, dtype):
    with jax.enable_x64(dtype == "float64"):
        optimizer, params = row.make(), parameters(dtype)
        updates, state = jax.eval_shape(lambda p: optimizer.update(p, optimizer.init(p), p), params)
        assert spec(updates) == spec(params)
        kept = {leaf.dtype for leaf in jax.tree.leaves(state)}
        assert jnp.dtype(jnp.bfloat16) not in kept, "state is float32 or wider"


@optimizers
def test_the_loss_falls(row):
    optimizer, params = row.make(), parameters()
    after, _ = steps(optimizer, params, 5)
    size = lambda tree: sum(float(jnp.square(leaf).sum()) for leaf in jax.tree.leaves(tree))  # noqa: E731
    assert size(after) < 0.95 * size(params)


@optimizers
def test_a_sweep_over_rates_is_a_loop(row):
    rates, params = jnp.array([0.01, 0.1]), parameters()
    together = jax.vmap(lambda rate: steps(row.make(rate), params)[0])(rates)
    for i, rate in enumerate([0.01, 0.1]):
        alone, _ = steps(row.make(rate), params)
        assert_close(jax.tree.map(lambda leaf, i=i: leaf[i], together), alone)


@optimizers
def test_the_caller_s_arrays_are_left_alone(row):
    optimizer, params = row.make(), parameters()
    before = jax.tree.map(np.array, params)
    steps(optimizer, params)
    assert_close(params, before, rtol=0, atol=0)


@schedules
def test_a_schedule_of_many_steps_is_a_loop_positive_and_finite(row):
    schedule, at = row.make(), jnp.arange(30)
    one_by_one = [float(schedule(int(t))) for t in at]
    np.testing.assert_allclose(schedule(at), one_by_one, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(jax.jit(schedule)(at), one_by_one, rtol=1e-6, atol=1e-8)
    assert np.isfinite(one_by_one).all() and min(one_by_one) >= 0 and max(one_by_one) <= 0.1 + 1e-7


@schedules
def test_a_schedule_takes_a_traced_rate(row):
    rates = jnp.array([0.05, 0.1])
    together = jax.jit(jax.vmap(lambda rate: row.make(rate)(3)))(rates)
    np.testing.assert_allclose(together, [row.make(rate)(3) for rate in (0.05, 0.1)], rtol=1e-6)

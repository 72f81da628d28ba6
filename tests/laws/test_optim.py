"""Laws of optimizers and schedules: pure, one compile, dtypes kept, sweeps equal to loops."""

from inspect import signature

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from .running import assert_close, differ, part, spec
from .table import OPTIMIZERS, SCHEDULES

optimizers = pytest.mark.parametrize("row", OPTIMIZERS, ids=str)
schedules = pytest.mark.parametrize("row", SCHEDULES, ids=str)


def parameters(dtype=jnp.float32):
    random = np.random.default_rng(0)
    return {"layer": {name: jnp.asarray(random.normal(size=n), dtype) for name, n in SIZES.items()}}


SIZES = {"w": (3, 2), "b": 3}
KEEPS_LOSSES = {"reduce_on_plateau"}  # in the default float, whatever the parameters are


def loss(params):
    return 0.5 * optax.tree.norm(params, squared=True)


def steps(optimizer, params, n=3, state=None):
    """Gradient steps on ½ |θ|², whose gradient is θ."""
    state = optimizer.init(params) if state is None else state
    for _ in range(n):
        updates, state = optimizer.update(params, state, params, value=loss(params), value_fn=loss)
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
@pytest.mark.parametrize(
    ("dtype", "x64"),
    [
        ("bfloat16", False),
        ("bfloat16", True),
        ("float32", False),
        ("float32", True),
        ("float64", True),
    ],
)
def test_updates_have_the_parameters_dtype_and_state_is_at_least_float32(row, dtype, x64):
    with jax.enable_x64(x64):
        optimizer, params = row.make(), parameters(dtype)
        state = jax.eval_shape(optimizer.init, params)
        updates, after = jax.eval_shape(
            lambda p, s: optimizer.update(p, s, p, value=1.0, value_fn=loss), params, state
        )
        assert spec(updates) == spec(params)
        assert spec(after) == spec(state)
        kept = {leaf.dtype for leaf in jax.tree.leaves(state)}
        assert kept & {jnp.dtype(jnp.bfloat16), jnp.dtype("int64")} == set()
        if row.name not in KEEPS_LOSSES:
            assert dtype == "float64" or jnp.dtype("float64") not in kept


@optimizers
def test_the_loss_falls(row):
    optimizer, params = row.make(), parameters()
    after, _ = steps(optimizer, params, 5)
    size = lambda tree: sum(float(jnp.square(leaf).sum()) for leaf in jax.tree.leaves(tree))  # noqa: E731
    assert size(after) < 0.95 * size(params)


@optimizers
def test_a_sweep_over_every_number_is_a_loop(row):
    """Lane 0 has the row's own numbers, lane i another i-th number: each has an effect."""
    defaults = {name: p.default for name, p in signature(row.make).parameters.items()}
    lanes = [defaults, *({**defaults, name: 0.7 * n} for name, n in defaults.items())]
    params = parameters()
    final = lambda numbers: steps(row.make(**numbers), params, row.steps)[0]  # noqa: E731
    together = jax.jit(jax.vmap(final))(jax.tree.map(lambda *n: jnp.array(n), *lanes))
    for i, numbers in enumerate(lanes):
        alone = final(numbers)
        assert_close(part(together, i), alone, rtol=2e-5)
        if i > 0:
            assert differ(part(together, 0), part(together, i)), list(defaults)[i - 1]


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

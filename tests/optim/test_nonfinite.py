"""Gradients that are not finite: what is left as it is, and what is gone back to."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from laminax import optim


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_gradient_that_is_not_finite_changes_neither_parameters_nor_state(bad):
    optimizer, w = optim.skip_nonfinite(optim.adam(0.1)), jnp.ones(3)
    update = jax.jit(optimizer.update)
    _, state = update(jnp.ones(3), optimizer.init(w), w)
    before = jax.tree.map(np.asarray, state.inner_state)
    for _ in range(50):
        updates, state = update(jnp.array([1.0, bad, 1.0]), state, w)
        np.testing.assert_array_equal(updates, np.zeros(3))
    jax.tree.map(np.testing.assert_array_equal, state.inner_state, before)
    assert int(state.total_notfinite) == int(state.notfinite_count) == 50
    updates, state = update(jnp.ones(3), state, w)
    assert (np.asarray(updates) < -0.05).all()
    assert (int(state.total_notfinite), int(state.notfinite_count)) == (50, 0)


def test_no_number_of_errors_in_a_row_lets_one_through():
    optimizer, w = optim.skip_nonfinite(optim.sgd(0.1)), jnp.ones(1)
    most = jnp.full((), np.iinfo(np.int32).max, jnp.int32)
    state = optimizer.init(w)._replace(notfinite_count=most, total_notfinite=most)
    for _ in range(2):
        updates, state = optimizer.update(jnp.full(1, np.nan), state, w)
        np.testing.assert_array_equal(updates, np.zeros(1))


def bits(tree):
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)]


def run(optimizer, gradients, params):
    """The (parameters, state) before the first update and after each."""

    @jax.jit
    def step(params, state, g):
        updates, state = optimizer.update(g, state, params)
        return optim.apply_updates(params, updates), state

    rows = [(params, optimizer.init(params))]
    for g in gradients:
        rows.append(step(*rows[-1], g))
    return rows


def noise(steps, dtype=jnp.float32):
    """Small gradients: within a few updates no weight of `START` doubles or halves."""
    random = np.random.default_rng(3)
    return [{"w": jnp.asarray(random.normal(size=50), dtype)} for _ in range(steps)]


START = {"w": jnp.linspace(-3.0, 4.0, 50)}
BAD = {"w": jnp.full(50, 1.0).at[7].set(jnp.nan)}


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_it_goes_back_to_every_bit_of_parameters_and_state(dtype):
    """Copies stand before updates 0, 4 and 8; the failure is in update 10."""
    params = jax.tree.map(lambda w: w.astype(dtype), START)
    bad = jax.tree.map(lambda g: g.astype(dtype), BAD)
    gradients = noise(10, dtype)
    optimizer = optim.rewind_nonfinite(optim.adam(1e-3), 4)
    rows = run(optimizer, [*gradients, bad], params)
    params, state = rows[-1]
    assert bits(params) == bits(rows[8][0])
    assert bits(state.optimizer) == bits(rows[8][1].optimizer)
    assert bits(params) != bits(rows[10][0])
    assert (int(state.total_notfinite), int(state.count)) == (1, 0)
    plain = run(optim.adam(1e-3), gradients, rows[0][0])
    assert all(
        bits(one) == bits(other) for (one, _), (other, _) in zip(rows[:11], plain, strict=True)
    )


def test_from_there_it_goes_on_as_it_did_the_first_time():
    gradients = noise(10)
    rows = run(
        optim.rewind_nonfinite(optim.adam(1e-3), 4), [*gradients, BAD, *gradients[8:]], START
    )
    assert bits(rows[-1][0]) == bits(rows[10][0])
    assert bits(rows[-1][1].optimizer) == bits(rows[10][1].optimizer)


def test_every_failure_is_counted_and_leads_to_the_same_copy_however_many_there_are():
    gradients = noise(6)
    rows = run(optim.rewind_nonfinite(optim.adam(1e-3), 4), [*gradients, *[BAD] * 20], START)
    for count, (params, state) in enumerate(rows[7:], 1):
        assert bits(params) == bits(rows[4][0])
        assert int(state.total_notfinite) == count


def distance(tree, other):
    return np.abs(np.asarray(tree["w"], float) - np.asarray(other["w"], float))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e8, 1e30])
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_from_however_far_two_updates_lead_back_exactly(scale, dtype):
    """The sum of a large parameter and a step rounds to the large one's last digits."""
    random = np.random.default_rng(4)
    goal = {"w": jnp.asarray(random.normal(size=1000), dtype)}
    far = {"w": jnp.asarray(scale * random.normal(size=1000), dtype)}
    bad = {"w": jnp.full(1000, jnp.inf, dtype)}
    optimizer = optim.rewind_nonfinite(optim.sgd(1.0), 100)
    updates, state = optimizer.update(bad, optimizer.init(goal), far)
    near = optim.apply_updates(far, updates)
    away = distance(near, goal)
    assert (away <= float(jnp.finfo(dtype).eps) * distance(far, goal)).all()
    assert (away > 0.1).any() == (scale > 1)
    ones = {"w": jnp.ones(1000, dtype)}
    if bits(near) != bits(goal):
        updates, state = optimizer.update(ones, state, near)
        near = optim.apply_updates(near, updates)
    assert bits(near) == bits(goal)
    assert int(state.total_notfinite) == 1
    trained, _ = optimizer.update(ones, state, near)
    np.testing.assert_array_equal(trained["w"], -np.ones(1000))


def test_a_step_that_overflows_is_not_taken():
    optimizer, params = optim.rewind_nonfinite(optim.sgd(1e10)), jnp.full(2, 2.0)
    state = optimizer.init(params)
    updates, state = optimizer.update(jnp.array([1e30, 0.0]), state, params)
    np.testing.assert_array_equal(optim.apply_updates(params, updates), params)
    assert int(state.total_notfinite) == 1


def test_no_copy_is_taken_before_a_gradient_that_is_not_finite():
    gradients = noise(4)
    rows = run(optim.rewind_nonfinite(optim.sgd(0.01), 4), [*gradients, BAD, BAD], START)
    for params, _ in rows[5:]:
        assert bits(params) == bits(START)


def test_frozen_weights_keep_every_bit_on_the_way_back():
    params = {"frozen": jnp.array([-0.0, 0.0, -1.5]), "w": jnp.ones(3)}
    inner = optim.select({"frozen": optim.freeze(), "*": optim.sgd(0.1)})
    optimizer = optim.rewind_nonfinite(inner)
    rows = run(
        optimizer,
        [jax.tree.map(jnp.ones_like, params), {"frozen": params["w"], "w": params["w"] * jnp.nan}],
        params,
    )
    assert bits(rows[-1][0]) == bits(params)


def test_the_copy_is_not_read_in_place_of_the_state():
    """Neither the rate, nor the average, nor the scale of a plateau is that of the copy."""
    schedule = optim.exponential(0.1, 1, 0.5)
    inner = optim.chain(optim.sgd(schedule), optim.average(), optim.reduce_on_plateau(0.5, 1))
    optimizer, params = optim.rewind_nonfinite(inner, 100), jnp.ones(2)
    state, path = optimizer.init(params), []
    for loss in (1.0, 2.0, 3.0):
        updates, state = optimizer.update(jnp.ones(2), state, params, value=loss)
        params = optim.apply_updates(params, updates)
        path.append(np.asarray(params))
    np.testing.assert_allclose(optim.rate(state), 0.1 * 0.5**2 * 0.5**2, rtol=1e-6)
    assert state.optimizer[-1].scale == 0.25
    assert not np.array_equal(optim.evaluated(state, params), params)


def test_every_may_be_traced():
    def final(every):
        optimizer, params = optim.rewind_nonfinite(optim.sgd(0.1), every), jnp.zeros(1)
        state = optimizer.init(params)
        for g in (1.0, 1.0, 1.0, 1.0, 1.0, jnp.nan):
            updates, state = optimizer.update(jnp.full(1, g), state, params)
            params = optim.apply_updates(params, updates)
        return params

    together = jax.jit(jax.vmap(final))(jnp.array([1, 2, 3, 9]))
    np.testing.assert_allclose(together[:, 0], [-0.4, -0.4, -0.3, 0.0], rtol=1e-6)


def test_extra_arguments_reach_the_optimizer_and_states_share_no_buffer():
    def update(updates, state, params=None, *, value, **extra):
        return jax.tree.map(lambda u: u * value, updates), state

    scaled = optax.GradientTransformationExtraArgs(lambda params: (), update)
    optimizer = optim.rewind_nonfinite(optim.chain(scaled, optim.adam(0.1)))
    w = jnp.arange(1.0, 4.0)
    _, state = optimizer.update(w, optimizer.init(w), w, value=jnp.float32(-2.0))
    assert (np.asarray(state.optimizer[1][0].mu) < 0).all()
    for init in (optimizer.init, jax.jit(optimizer.init)):
        leaves = [w, *jax.tree.leaves(init(w))]
        assert len({leaf.unsafe_buffer_pointer() for leaf in leaves}) == len(leaves)


@pytest.mark.parametrize(("every", "error"), [(0, ValueError), (2.5, TypeError)])
def test_unusable_arguments_are_refused(every, error):
    with pytest.raises(error, match=f"rewind_nonfinite: every is {every}"):
        optim.rewind_nonfinite(optim.sgd(0.1), every)


def test_without_parameters_the_error_says_so():
    optimizer = optim.rewind_nonfinite(optim.sgd(0.1))
    with pytest.raises(ValueError, match="rewind_nonfinite: params is None"):
        optimizer.update(jnp.ones(2), optimizer.init(jnp.ones(2)))

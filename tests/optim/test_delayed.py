"""An optimizer that begins later is nothing before, and itself from then on."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from laminax import nn, optim, train


def run(optimizer, gradients, params, update=None):
    """The (parameters, state) before the first update and after each."""
    update = update or jax.jit(optimizer.update)
    rows = [(params, optimizer.init(params))]
    for g in gradients:
        params, state = rows[-1]
        updates, state = update(g, state, params)
        rows.append((optim.apply_updates(params, updates), state))
    return rows


def noise(steps):
    random = np.random.default_rng(6)
    return [jnp.asarray(random.normal(size=5), jnp.float32) for _ in range(steps)]


START = jnp.array([-0.0, 0.0, 1.0, -2.0, 3.0])


@pytest.mark.parametrize("steps", [0, 1, 6])
def test_it_is_the_optimizer_from_its_own_first_step(steps):
    """With bias corrections, a rising rate and an average: all begin at the start."""
    inner = optim.chain(optim.adamw(optim.warmup(0.1, 3)), optim.average(start=1))
    gradients = noise(12)
    rows = run(optim.delayed(inner, steps), gradients, START)
    alone = run(inner, gradients[steps:], START)
    for params, state in rows[: steps + 1]:
        np.testing.assert_array_equal(params.view(np.uint32), START.view(np.uint32))
        jax.tree.map(np.testing.assert_array_equal, state.optimizer, alone[0][1])
    for (params, state), (expected, kept) in zip(rows[steps:], alone, strict=True):
        np.testing.assert_array_equal(params, expected)
        jax.tree.map(np.testing.assert_array_equal, state.optimizer, kept)
    assert int(rows[-1][1].count) == 12


def test_gradients_that_are_not_finite_do_not_matter_before_the_start():
    rows = run(optim.delayed(optim.adam(0.1), 2), [jnp.full(5, jnp.nan)] * 2 + noise(3), START)
    alone = run(optim.adam(0.1), noise(3), START)
    np.testing.assert_array_equal(rows[-1][0], alone[-1][0])


def test_a_frozen_encoder_keeps_every_bit_until_it_is_unfrozen():
    model = nn.serial(encoder=nn.serial(nn.dense(4), nn.tanh), head=nn.dense(2))
    objective = train.supervised(model, nn.losses.cross_entropy)
    random = np.random.default_rng(7)
    data = jnp.asarray(random.normal(size=(8, 3)), jnp.float32), jnp.arange(8) % 2
    optimizer = optim.select(
        {"head/*": optim.adam(0.1), "encoder/*": optim.delayed(optim.adam(0.1), 5)}
    )
    state = train.init(objective, optimizer, data)
    step, start = jax.jit(train.step(objective, optimizer)), state.params
    for t in range(8):
        before = state.params
        state, _ = step(state, data)
        same = lambda a, b: (np.asarray(a).view(np.uint32) == np.asarray(b).view(np.uint32)).all()  # noqa: E731
        kept = jax.tree.map(same, state.params["encoder"], start["encoder"])
        assert jax.tree.leaves(kept) == [t < 5] * 2
        assert not np.array_equal(state.params["head"]["w"], before["head"]["w"])


def test_steps_may_be_traced():
    final = lambda steps: run(optim.delayed(optim.sgd(0.1), steps), [jnp.ones(5)] * 5, START)[-1][0]  # noqa: E731
    together = jax.jit(jax.vmap(final))(jnp.array([0, 2, 9]))
    expected = START[None] - jnp.array([[0.5], [0.3], [0.0]])
    np.testing.assert_allclose(together, expected, rtol=1e-5)


def test_extra_arguments_reach_the_optimizer():
    def update(updates, state, params=None, *, value, **extra):
        return jax.tree.map(lambda u: u * value, updates), state

    scaled = optax.GradientTransformationExtraArgs(lambda params: (), update)
    optimizer = optim.delayed(scaled, 0)
    updates, _ = optimizer.update(START, optimizer.init(START), START, value=jnp.float32(2.0))
    np.testing.assert_array_equal(updates, 2 * START)


@pytest.mark.parametrize(("steps", "error"), [(-1, ValueError), (2.5, TypeError)])
def test_unusable_steps_are_refused(steps, error):
    with pytest.raises(error, match=f"delayed: steps is {steps}"):
        optim.delayed(optim.sgd(0.1), steps)

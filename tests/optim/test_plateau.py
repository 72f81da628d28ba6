"""`reduce_on_plateau` beyond its parity with torch, which test_schedules_torch holds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import optim


def scales(losses, **arguments):
    transform = optim.reduce_on_plateau(**arguments)
    state, seen = transform.init(jnp.ones(1)), []
    for loss in losses:
        updates, state = transform.update(jnp.ones(1), state, value=loss)
        seen.append(updates.item())
    return seen


def test_a_loss_is_the_mean_of_every_so_many_values():
    alone = scales([3.0, 2.0, 2.0, 2.0, 2.0], factor=0.5, patience=2)
    pairs = [loss + noise for loss in (3.0, 2.0, 2.0, 2.0, 2.0) for noise in (1.0, -1.0)]
    assert alone == [1.0, 1.0, 1.0, 0.5, 0.5]
    assert scales(pairs, factor=0.5, patience=2, every=2)[1::2] == alone
    assert scales(pairs, factor=0.5, patience=2, every=2)[::2] == [1.0, *alone[:-1]]


def test_a_negative_loss_that_rises_is_no_improvement():
    """torch takes 1 − threshold of the best, which for a negative one lies above it."""
    assert scales([-1.0, -0.95, -0.95], factor=0.5, patience=1, threshold=0.1) == [1.0, 0.5, 0.25]
    assert scales([-1.0, -1.2, -1.4], factor=0.5, patience=1, threshold=0.1) == [1.0, 1.0, 1.0]


def test_the_scale_is_float32_beside_bfloat16_updates():
    transform = optim.reduce_on_plateau(0.7, 1)
    gradient = jnp.ones(1, jnp.bfloat16)
    state = transform.init(gradient)
    for _ in range(4):
        updates, state = transform.update(gradient, state, value=1.0)
    assert updates.dtype == jnp.bfloat16 and state.scale.dtype == jnp.float32
    np.testing.assert_allclose(state.scale, 0.7**3, rtol=1e-6)


def test_every_argument_may_be_traced(compiles):
    losses = jnp.array([3.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.99, 1.99, 1.99])
    rows = [(0.5, 2, 0.0, 1, 0.1, 1), (0.1, 1, 0.1, 0, 0.0, 2)]

    def run(factor, patience, threshold, cooldown, least, every):
        transform = optim.reduce_on_plateau(
            factor, patience, threshold=threshold, cooldown=cooldown, min_scale=least, every=every
        )

        def step(state, loss):
            updates, state = transform.update(jnp.ones(()), state, value=loss)
            return state, updates

        return jax.lax.scan(step, transform.init(jnp.ones(())), losses)[1]

    together = jax.jit(jax.vmap(run))(*map(jnp.array, zip(*rows, strict=True)))
    for traced, row in zip(together, rows, strict=True):
        np.testing.assert_allclose(traced, run(*row), rtol=1e-6)
    assert len(np.unique(together[0])) > 2 and len(np.unique(together[1])) > 2
    assert compiles.count("jit(run)") == 1


def test_the_rate_read_from_the_state_holds_the_scale():
    optimizer = optim.chain(optim.sgd(0.4), optim.reduce_on_plateau(0.5, 1))
    params = jnp.ones(1)
    state = optimizer.init(params)
    assert float(optim.rate(state)) == pytest.approx(0.4)
    for _ in range(2):
        updates, state = optimizer.update(jnp.ones(1), state, params, value=1.0)
    np.testing.assert_allclose(updates, -0.2, rtol=1e-6)
    assert float(optim.rate(state)) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"factor": 1.0}, ValueError, "factor is 1.0"),
        ({"factor": 0.0}, ValueError, "factor is 0.0"),
        ({"patience": 0}, ValueError, "patience is 0; .*1 or above"),
        ({"patience": 1.5}, TypeError, "patience is 1.5"),
        ({"threshold": -0.1}, ValueError, "threshold is -0.1"),
        ({"cooldown": -1}, ValueError, "cooldown is -1; .*0 or above"),
        ({"min_scale": -1.0}, ValueError, "min_scale is -1.0"),
        ({"every": 0}, ValueError, "every is 0"),
    ],
)
def test_unusable_arguments_are_refused(arguments, error, words):
    with pytest.raises(error, match=f"reduce_on_plateau: {words}"):
        optim.reduce_on_plateau(**arguments)


def test_an_update_without_the_loss_is_refused():
    transform = optim.reduce_on_plateau()
    with pytest.raises(ValueError, match=r"value is None.*value=loss"):
        transform.update(jnp.ones(1), transform.init(jnp.ones(1)))

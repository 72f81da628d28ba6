"""The averaged parameters against the sum that defines them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import optim


def walk(decay, steps, dtype=jnp.float32, start=100.0):
    """The parameters after each update of a random walk, and the average after the last."""
    optimizer = optim.chain(optim.sgd(1.0), optim.ema(decay))
    random = np.random.default_rng(2)
    params = {"w": jnp.full(3, start, dtype)}
    state, visited = optimizer.init(params), []
    for _ in range(steps):
        gradient = {"w": jnp.asarray(random.normal(size=3), dtype)}
        updates, state = optimizer.update(gradient, state, params)
        params = optim.apply_updates(params, updates)
        visited.append(np.asarray(params["w"], float))
    return np.array(visited), optim.evaluated(state, params)["w"], state


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("steps", [1, 2, 30])
def test_average_is_the_debiased_weighted_mean_of_the_visited_parameters(decay, steps):
    with jax.enable_x64(True):
        visited, average, _ = walk(decay, steps, jnp.float64)
    weights = decay ** np.arange(steps - 1, -1, -1.0)
    expected = weights @ visited / weights.sum()
    np.testing.assert_allclose(average, expected, rtol=1e-12)


def test_float32_weights_do_not_cancel():
    visited, average, _ = walk(0.99999, 5, start=0.0)
    weights = 0.99999 ** np.arange(4, -1, -1.0)
    expected = weights @ visited / weights.sum()
    np.testing.assert_allclose(average, expected, atol=1e-6 * np.abs(visited).max())


def test_bfloat16_parameters_are_averaged_in_float32():
    visited, average, state = walk(0.9, 30, jnp.bfloat16)
    weights = 0.9 ** np.arange(29, -1, -1.0)
    assert average.dtype == jnp.bfloat16
    assert state[-1].average["w"].dtype == jnp.float32
    np.testing.assert_allclose(state[-1].average["w"], weights @ visited / weights.sum(), rtol=1e-5)


def test_before_any_update_the_parameters_themselves():
    params = {"w": jnp.arange(3.0)}
    state = optim.chain(optim.adam(0.1), optim.ema(0.9)).init(params)
    np.testing.assert_array_equal(optim.evaluated(state, params)["w"], params["w"])


def test_the_average_never_shares_a_buffer_with_the_parameters():
    params = jnp.arange(3.0)
    for init in (optim.ema(0.9).init, jax.jit(optim.ema(0.9).init)):
        assert init(params).average.unsafe_buffer_pointer() != params.unsafe_buffer_pointer()


def test_under_select_only_its_group_is_averaged():
    params = {"a": jnp.ones(2), "b": jnp.ones(2)}
    averaged = optim.chain(optim.sgd(1.0), optim.ema(0.5))
    optimizer = optim.select({"a": averaged, "*": optim.sgd(1.0)})
    state = optimizer.init(params)
    for _ in range(2):
        updates, state = optimizer.update({"a": jnp.ones(2), "b": jnp.ones(2)}, state, params)
        params = optim.apply_updates(params, updates)
    chosen = jax.jit(optim.evaluated)(state, params)
    np.testing.assert_allclose(chosen["a"], np.full(2, -2 / 3), rtol=1e-6)  # (½·0 + 1·−1) / 1.5
    np.testing.assert_array_equal(chosen["b"], np.full(2, -1.0))


def test_without_parameters_the_error_says_so():
    transform = optim.ema(0.9)
    with pytest.raises(
        ValueError, match=r"ema: params is None.*update\(gradient, opt_state, params"
    ):
        transform.update(jnp.ones(1), transform.init(jnp.ones(1)))


@pytest.mark.parametrize("decay", [1.0, -0.1, 1.5, float("nan")])
def test_unusable_decays_are_refused(decay):
    with pytest.raises(ValueError, match=r"ema: decay is .*\[0, 1\)"):
        optim.ema(decay)

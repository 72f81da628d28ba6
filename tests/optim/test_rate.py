"""The rate in the optimizer's state is the rate that was used."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import optim

PARAMS = {"encoder": {"w": jnp.ones(2)}, "head": {"w": jnp.ones(2)}}


def test_state_holds_the_rate_just_used_and_the_number_of_updates():
    schedule = optim.warmup(optim.cosine(0.5, 10), 3)
    optimizer = optim.adam(schedule)
    state = optimizer.init(PARAMS)
    assert float(optim.rate(state)) == pytest.approx(float(schedule(0)))
    for step in range(8):
        updates, state = optimizer.update(PARAMS, state, PARAMS)
        assert float(optim.rate(state)) == pytest.approx(float(schedule(step)))
        # Under a steady gradient of ones Adam's step is the rate itself.
        np.testing.assert_allclose(updates["head"]["w"], -schedule(step), rtol=1e-4)
        (found,) = [node for node in state if isinstance(node, optim.RateState)]
        assert int(found.count) == step + 1
    assert (found.count.dtype, found.rate.dtype) == (jnp.int32, jnp.float32)


def test_rate_is_found_in_any_composition_and_inside_jit():
    def make(rate):
        return optim.select({"encoder/*": optim.freeze(), "*": optim.adam(rate)})

    optimizer = optim.chain(optim.clip_by_norm(1.0), make(0.25), optim.ema(0.9))
    assert float(jax.jit(optim.rate)(optimizer.init(PARAMS))) == 0.25
    assert float(
        jax.vmap(lambda r: optim.rate(make(r).init(PARAMS)))(jnp.array([0.1, 0.2]))[1]
    ) == (pytest.approx(0.2))


def test_of_several_groups_the_first_pattern_gives_the_rate():
    patterns = {f"p{i}": optim.sgd(0.5 + i) for i in range(11)}  # 10 sorts after 9, not after 1
    params = {f"p{i}": jnp.ones(1) for i in range(11)}
    reverse = dict(reversed(patterns.items()))
    assert float(optim.rate(jax.jit(optim.select(patterns).init)(params))) == 0.5
    assert float(optim.rate(jax.jit(optim.select(reverse).init)(params))) == 10.5


def test_before_a_delayed_optimizer_starts_its_rate_is_zero():
    optimizer = optim.delayed(optim.chain(optim.sgd(0.5), optim.reduce_on_plateau(0.5, 1)), 2)
    state, seen = optimizer.init(PARAMS), []
    seen.append(float(optim.rate(state)))
    for _ in range(4):
        _, state = optimizer.update(PARAMS, state, PARAMS, value=1.0)
        seen.append(float(optim.rate(state)))
    # The first loss that the plateau sees, after the start, improves; the next does not.
    assert seen == [0.0, 0.0, 0.0, 0.5, 0.25]
    assert optim.rate(optim.delayed(optim.ema(0.9), 2).init(PARAMS)) is None
    assert float(optim.rate(optim.delayed(optim.sgd(0.5), 0).init(PARAMS))) == 0.5


@pytest.mark.parametrize(("first", "expected"), [("encoder/*", 0.0), ("head/*", 0.25)])
def test_a_delayed_group_hides_no_other_s_rate(first, expected):
    groups = {"encoder/*": optim.delayed(optim.sgd(0.5), 9), "head/*": optim.sgd(0.25)}
    ordered = {first: groups.pop(first), **groups}
    assert float(optim.rate(optim.select(ordered).init(PARAMS))) == expected


def test_no_rate_is_none():
    assert optim.rate(optim.ema(0.9).init(PARAMS)) is None
    assert optim.rate(()) is None


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_scale_by_rate_multiplies_in_float32(dtype):
    transform = optim.scale_by_rate(1e-3)
    gradient = jnp.asarray([3.0, -7.0], dtype)
    updates, _ = transform.update(gradient, transform.init(gradient))
    assert updates.dtype == dtype
    exact = -np.float32(1e-3) * np.array([3.0, -7.0], np.float32)
    np.testing.assert_array_equal(updates, jnp.asarray(exact).astype(dtype))


def test_scale_by_rate_refuses_a_negative_rate():
    with pytest.raises(ValueError, match="scale_by_rate: rate is -1"):
        optim.scale_by_rate(-1.0)


def test_rates_are_told_for_each_group_and_scaled_by_what_scales_all():
    groups = {"encoder/*": optim.sgd(0.125), "*": optim.momentum(0.5)}
    optimizer = optim.chain(optim.select(groups), optim.reduce_on_plateau(0.5, 1))
    state = optimizer.init(PARAMS)
    for _ in range(2):  # the second loss is no better: both rates are halved
        _, state = optimizer.update(PARAMS, state, PARAMS, value=1.0)
    told = {name: float(rate) for name, rate in jax.jit(optim.rates)(state).items()}
    assert told == {"rate encoder/*": 0.0625, "rate *": 0.25}
    assert float(optim.rate(state)) == 0.0625


def test_groups_without_a_rate_are_left_out():
    frozen = optim.select({"encoder/*": optim.freeze(), "*": optim.sgd(0.5)}).init(PARAMS)
    assert {name: float(rate) for name, rate in optim.rates(frozen).items()} == {"rate *": 0.5}
    assert {k: float(v) for k, v in optim.rates(optim.sgd(0.5).init(PARAMS)).items()} == {
        "rate": 0.5
    }
    assert optim.rates(optim.freeze().init(PARAMS)) == {}


def test_leaves_of_each_dtype_are_scaled_in_their_own_width():
    with jax.enable_x64(True):
        transform = optim.scale_by_rate(0.1)
        dtypes = (jnp.bfloat16, jnp.float64, jnp.float32, jnp.float64)
        gradients = [jnp.asarray([3.0, -7.0], dtype) for dtype in dtypes]
        updates, _ = transform.update(gradients, transform.init(gradients))
        assert [leaf.dtype for leaf in updates] == [leaf.dtype for leaf in gradients]
        for leaf in (updates[1], updates[3]):
            np.testing.assert_array_equal(leaf, np.float64(-0.1) * np.array([3.0, -7.0]))
        np.testing.assert_array_equal(updates[2], np.float32(-0.1) * np.float32([3.0, -7.0]))

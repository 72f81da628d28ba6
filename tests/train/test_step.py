"""The training step: the textbook's arithmetic, under every transformation of JAX."""

import itertools
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from laminax import nn, optim, train

MODEL = nn.serial(nn.dense(4), nn.tanh, nn.dense(1))
OBJECTIVE = train.supervised(
    MODEL, nn.losses.squared_error, metrics={"bias": lambda y_hat, y: (y_hat - y)[:, 0]}
)
ADAM = optim.adam(0.1)
SGD = optim.sgd(0.1)


def noisy():
    """Linear regression of a target with noise added."""

    def loss(params, state, batch, ctx):
        x, y = batch
        noise = jax.random.normal(ctx.key, (len(y),))
        return jnp.square(x @ params["w"] - y[:, 0] - noise), train.Aux(state, {"noise": noise})

    def init(key, batch):
        return nn.Variables({"w": jax.random.normal(key, batch[0].shape[1:])}, {})

    return train.Objective(init, loss)


NOISY = noisy()
STEP = jax.jit(train.step(NOISY, ADAM))
RANDOM = np.random.default_rng(0)
BATCH = RANDOM.normal(size=(8, 3)), RANDOM.normal(size=(8, 1))


@pytest.fixture(autouse=True)
def x64():
    with jax.enable_x64(True):
        yield


def close(tree, expected, rtol=1e-12):
    for (path, a), b in zip(
        jax.tree.leaves_with_path(tree), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-15, err_msg=jax.tree_util.keystr(path))


def words(objective):
    """The objective with pairs: row i holds i % 3 + 1 terms."""

    def loss(params, state, batch, ctx):
        count = 1 + jnp.arange(8)[: len(batch[0])] % 3 if len(batch) == 2 else batch[2]
        value, aux = objective.loss(params, state, batch[:2], ctx)
        return (value * count.astype(value.dtype), count), aux

    return train.Objective(lambda key, batch: objective.init(key, batch[:2]), loss)


@pytest.mark.parametrize("optimizer", [optax.sgd(0.1, momentum=0.5), optim.adamw(0.1)])
def test_steps_equal_those_written_by_hand_with_optax(optimizer):
    step = jax.jit(train.step(OBJECTIVE, optimizer))
    state = train.init(OBJECTIVE, optimizer, BATCH)
    params = state.params
    opt_state = jax.jit(optimizer.init)(params)
    x, y = map(jnp.asarray, BATCH)

    @jax.jit
    def by_hand(params, opt_state):
        def loss(params):
            hidden = jnp.tanh(x @ params["dense_0"]["w"] + params["dense_0"]["b"][None])
            y_hat = hidden @ params["dense_1"]["w"] + params["dense_1"]["b"][None]
            return jnp.mean(jnp.square(y_hat - y)[:, 0]), jnp.mean(y_hat - y)

        (value, bias), grads = jax.value_and_grad(loss, has_aux=True)(params)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, {"loss": value, "bias": bias}

    for _ in range(5):
        params, opt_state, expected = by_hand(params, opt_state)
        state, metrics = step(state, BATCH)
        close(metrics, expected)
    close(state.params, params)
    close(state.opt_state, opt_state)
    assert int(state.step) == 5


@pytest.mark.parametrize(
    "parts, pairs, weighted",
    [(2, False, False), (4, True, False), (8, True, True)],
)
def test_microbatches_equal_the_whole_batch(parts, pairs, weighted):
    objective = words(OBJECTIVE) if pairs else OBJECTIVE
    batch = (*BATCH, np.arange(8) % 3 + 1) if pairs else BATCH
    weights = jnp.array([1.0, 0, 0.5, 2, 0, 0, 0, 3]) if weighted else None
    state = train.init(objective, ADAM, batch)
    steps = [
        train.step(objective, ADAM, microbatches=parts),
        train.step(objective, ADAM),
    ]
    (parted, parted_metrics), (whole, whole_metrics) = (
        jax.jit(step)(state, batch, weights) for step in steps
    )
    close(parted.params, whole.params, rtol=1e-9)  # Adam divides by √v̂
    close(parted_metrics, whole_metrics)
    assert not np.allclose(whole.params["dense_0"]["w"], state.params["dense_0"]["w"])


def test_microbatches_must_divide_the_batch():
    state = train.init(OBJECTIVE, SGD, BATCH)
    with pytest.raises(ValueError, match=r"batch of 8 does not split into 3 .*choose a divisor"):
        train.step(OBJECTIVE, SGD, microbatches=3)(state, BATCH)
    for parts in (0, -1, 2.0, True):
        with pytest.raises(ValueError, match="step: microbatches must be an integer"):
            train.step(OBJECTIVE, SGD, microbatches=parts)


def test_microbatches_draw_noise_of_their_own():
    state = train.init(NOISY, ADAM, BATCH)
    step = jax.jit(train.step(NOISY, ADAM, microbatches=2))
    key = jax.random.fold_in(jax.random.fold_in(state.key, zlib.crc32(b"step")), 0)
    draws = [np.asarray(jax.random.normal(jax.random.fold_in(key, i), (4,))) for i in range(2)]
    metrics = step(state, BATCH)[1]
    assert float(metrics["noise"]) == pytest.approx(np.mean(draws), rel=1e-12)
    error = BATCH[0] @ np.asarray(state.params["w"]) - BATCH[1][:, 0] - np.concatenate(draws)
    assert float(metrics["loss"]) == pytest.approx(np.mean(np.square(error)), rel=1e-12)


def test_jit_equals_eager():
    step, state = train.step(NOISY, SGD), train.init(NOISY, SGD, BATCH)
    (eager, metrics), (jitted, jitted_metrics) = step(state, BATCH), jax.jit(step)(state, BATCH)
    close(jitted.params, eager.params)
    close(jitted_metrics, metrics)


def test_vmap_over_seeds_equals_a_loop():
    step = train.step(NOISY, ADAM)
    states = [train.init(NOISY, ADAM, BATCH, seed=seed) for seed in range(3)]

    @jax.jit
    def together(states):
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
        return jax.vmap(step, (0, None))(stacked, BATCH)

    after, metrics = together(states)
    for i, state in enumerate(states):
        alone, alone_metrics = STEP(state, BATCH)
        close(jax.tree.map(lambda a, i=i: np.asarray(a)[i], after.params), alone.params, rtol=1e-9)
        close(metrics["loss"][i], alone_metrics["loss"])


def test_scan_equals_a_loop():
    state = train.init(NOISY, ADAM, BATCH)
    step = train.step(NOISY, ADAM)
    scanned, metrics = jax.jit(
        lambda state: jax.lax.scan(lambda state, _: step(state, BATCH), state, length=4)
    )(state)
    losses = []
    for _ in range(4):
        state, row = STEP(state, BATCH)
        losses.append(row["loss"])
    np.testing.assert_allclose(metrics["loss"], losses, rtol=1e-9)
    close(scanned.params, state.params, rtol=1e-9)


def test_noise_is_decided_by_the_seed_and_the_step():
    state = train.init(NOISY, ADAM, BATCH)
    states = [
        state,
        state,
        state._replace(step=jnp.int32(1)),
        state._replace(key=jax.random.key(1)),
    ]
    first, again, later, other = (float(STEP(s, BATCH)[1]["loss"]) for s in states)
    assert first == again
    assert len({first, later, other}) == 3


def test_a_line_search_is_given_value_grad_and_value_fn():
    def quadratic(params, state, batch, ctx):
        return jnp.square(10.0 * (params - batch)), train.Aux(state, {})

    objective = train.Objective(lambda key, batch: nn.Variables(jnp.zeros(()), {}), quadratic)
    search = optax.chain(
        optax.sgd(1.0), optax.scale_by_backtracking_linesearch(40)
    )  # from a rate that diverges
    targets, weights = np.array([1.0, 3.0, 7.0]), jnp.array([1.0, 1.0, 0.0])
    step, state = jax.jit(train.step(objective, search)), train.init(objective, search, targets)
    losses = []
    for _ in range(30):
        state, metrics = step(state, targets, weights)
        losses.append(float(metrics["loss"]))
    assert all(b <= a for a, b in itertools.pairwise(losses))
    assert float(state.params) == pytest.approx(2.0, abs=0.01)


def test_frozen_parameters_keep_every_bit():
    optimizer = optim.select({"dense_0/*": optim.freeze(), "*": SGD})
    before = train.init(OBJECTIVE, optimizer, BATCH)
    after, _ = jax.jit(train.step(OBJECTIVE, optimizer))(before, BATCH)
    for name in ("w", "b"):
        old, new = before.params["dense_0"][name], after.params["dense_0"][name]
        assert np.asarray(old).tobytes() == np.asarray(new).tobytes()
        assert not np.allclose(before.params["dense_1"][name], after.params["dense_1"][name])


def test_rows_of_weight_zero_never_reach_the_parameters():
    x, y = BATCH
    bad = np.where(np.arange(8)[:, None] < 6, x, np.nan), y
    weights = jnp.array([1.0] * 6 + [0.0] * 2)
    step, state = train.step(OBJECTIVE, SGD), train.init(OBJECTIVE, SGD, BATCH)
    expected, expected_metrics = jax.jit(step)(state, (x[:6], y[:6]))
    for parts in (1, 4):
        step = train.step(OBJECTIVE, SGD, microbatches=parts)
        got, metrics = jax.jit(step)(state, bad, weights)
        close(got.params, expected.params)
        close(metrics, expected_metrics)


def test_weights_must_be_one_an_example():
    state = train.init(OBJECTIVE, SGD, BATCH)
    with pytest.raises(ValueError, match=r"weights.*\(8,\).*got.*\(8, 1\)"):
        train.step(OBJECTIVE, SGD)(state, BATCH, jnp.ones((8, 1)))


def test_the_state_given_is_left_alone():
    state = train.init(OBJECTIVE, SGD, BATCH)
    before = jax.tree.map(np.array, state.params)
    jax.jit(train.step(OBJECTIVE, SGD))(state, BATCH)
    close(state.params, before, rtol=0)

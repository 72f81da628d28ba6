"""Sharpness-aware minimization against two gradients in NumPy, and in a training step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn, optim, train

RANDOM = np.random.default_rng(8)
X, Y = RANDOM.normal(size=(24, 4)), RANDOM.integers(0, 2, 24).astype(float)
START = {"w": RANDOM.normal(size=4), "b": np.array(0.7)}


def loss(params, x, y):
    z = x @ params["w"] + params["b"]
    return jnp.mean(jnp.logaddexp(z, jnp.zeros_like(z)) - y * z)


def batches(steps):
    """Four rows a step: were it all of them, near the optimum g / ‖g‖ would be chance."""
    return np.random.default_rng(9).integers(0, 24, (steps, 4))


def trajectory(optimizer, steps):
    x, y = jnp.asarray(X), jnp.asarray(Y)

    def step(carry, rows):
        params, state = carry
        value_fn = lambda params: loss(params, x[rows], y[rows])  # noqa: E731
        value, g = jax.value_and_grad(value_fn)(params)
        updates, state = optimizer.update(g, state, params, value=value, grad=g, value_fn=value_fn)
        params = optim.apply_updates(params, updates)
        return (params, state), jnp.append(params["w"], params["b"])

    params = jax.tree.map(jnp.asarray, START)
    carry = params, optimizer.init(params)
    return jax.lax.scan(step, carry, jnp.asarray(batches(steps)))[1]


def gradient(theta, rows):
    error = 1 / (1 + np.exp(-(X[rows] @ theta[:4] + theta[4]))) - Y[rows]
    return np.append(X[rows].T @ error, error.sum()) / len(rows)


@pytest.mark.parametrize("radius", [0.0, 0.05, 2.0])
def test_it_takes_the_second_of_two_gradients(radius):
    with jax.enable_x64(True):
        got = trajectory(optim.sam(optim.momentum(0.05, 0.8), radius), 1000)
    theta, m, expected = np.append(START["w"], START["b"]), 0.0, []
    for rows in batches(1000):
        g = gradient(theta, rows)
        m = 0.8 * m + gradient(theta + radius * g / np.linalg.norm(g), rows)
        theta = theta - 0.05 * m
        expected.append(theta)
    np.testing.assert_allclose(got, expected, rtol=1e-10)


def test_the_default_is_that_of_the_paper_and_the_radius_may_be_traced():
    with jax.enable_x64(True):
        final = lambda *radius: trajectory(optim.sam(optim.sgd(0.1), *radius), 9)[-1]  # noqa: E731
        together = jax.jit(jax.vmap(final))(jnp.array([0.05, 0.4]))
        np.testing.assert_allclose(together[0], final(), rtol=1e-12)
        np.testing.assert_allclose(together[1], final(0.4), rtol=1e-12)


def test_a_gradient_of_zero_leads_nowhere():
    flat = lambda w: jnp.sum(w**2)  # noqa: E731
    optimizer, w = optim.sam(optim.adam(0.1)), jnp.zeros(3)
    updates, state = optimizer.update(jnp.zeros(3), optimizer.init(w), w, value_fn=flat)
    np.testing.assert_array_equal(updates, np.zeros(3))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))


def test_a_long_and_a_short_gradient_lead_equally_far():
    seen = []

    def value(w):
        jax.debug.callback(lambda w: seen.append(np.asarray(w)), w)
        return jnp.sum(w)

    optimizer, w = optim.sam(optim.sgd(0.1), 0.5), jnp.zeros(2)
    for scale in (1e-12, 1.0, 1e12):
        g = scale * jnp.array([3.0, -4.0])
        optimizer.update(g, optimizer.init(w), w, value_fn=value)
    jax.effects_barrier()
    np.testing.assert_allclose(seen, [[0.3, -0.4]] * 3, rtol=1e-5)


def test_the_way_of_bfloat16_gradients_is_rounded_once():
    g = jnp.asarray(np.random.default_rng(1).normal(size=1000), jnp.bfloat16)
    optimizer, w = optim.sam(optim.sgd(1.0), 0.7), jnp.zeros_like(g)
    half = lambda w: 0.5 * jnp.sum(jnp.square(w.astype(jnp.float32)))  # noqa: E731
    updates, _ = optimizer.update(g, optimizer.init(w), w, value_fn=half)
    assert updates.dtype == jnp.bfloat16
    exact = np.asarray(g, np.float32)
    exact = -0.7 * exact / np.linalg.norm(exact.astype(float))
    np.testing.assert_array_equal(updates, jnp.asarray(exact, jnp.float32).astype(jnp.bfloat16))


def noisy():
    """Linear regression of a target with noise, of the key of the step."""

    def per_example(params, state, batch, ctx):
        x, y = batch
        return jnp.square(
            x @ params["w"] - y - jax.random.normal(jax.random.fold_in(ctx.key, 1), y.shape)
        ), train.Aux(state, {})

    return train.Objective(lambda key, batch: nn.Variables({"w": jnp.ones(4)}, {}), per_example)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_training_step_s_second_gradient_is_of_the_same_batch_weights_and_key(weighted):
    objective, optimizer = noisy(), optim.sam(optim.sgd(0.1), 0.5)
    with jax.enable_x64(True):
        data = jnp.asarray(X), jnp.asarray(Y)
        weights = jnp.asarray(RANDOM.uniform(size=24)) if weighted else None
        state = train.init(objective, optimizer, data)
        step, plain = (jax.jit(train.step(objective, o)) for o in (optimizer, optim.sgd(1.0)))
        for _ in range(3):
            # A step of rate 1 of plain descent shows the gradient there, of the same step's key.
            at = lambda w, now: plain(  # noqa: E731
                train.TrainState(now.step, {"w": w}, {}, optim.sgd(1.0).init({"w": w}), now.key),
                data,
                weights,
            )[0].params["w"]
            w = state.params["w"]
            g = w - at(w, state)
            ahead = w + 0.5 * g / jnp.linalg.norm(g)
            expected = w - 0.1 * (ahead - at(ahead, state))
            state, _ = step(state, data, weights)
            np.testing.assert_allclose(state.params["w"], expected, rtol=1e-9)


def test_it_stands_around_select_and_lowers_the_loss_of_a_network():
    model = nn.serial(nn.dense(8), nn.tanh, nn.dropout(0.1), nn.dense(1))
    objective = train.supervised(model, nn.losses.squared_error)
    data = np.float32(X), np.float32(Y[:, None])
    optimizer = optim.sam(optim.select({"*/b": optim.freeze(), "*": optim.adam(0.03)}))
    state = train.init(objective, optimizer, data)
    step, losses = jax.jit(train.step(objective, optimizer)), []
    for _ in range(60):
        state, metrics = step(state, data)
        losses.append(float(metrics["loss"]))
    assert losses[-1] < 0.5 * losses[0]
    assert not any(
        np.any(leaf)
        for name, leaf in zip(optim.paths(state.params), jax.tree.leaves(state.params), strict=True)
        if name.endswith("/b")
    )


def test_without_a_loss_the_error_says_what_passes_it():
    optimizer, w = optim.sam(optim.sgd(0.1)), jnp.ones(2)
    with pytest.raises(
        ValueError, match=r"sam: value_fn is None; .*train.step passes it.*value_fn="
    ):
        optimizer.update(w, optimizer.init(w), w)
    with pytest.raises(ValueError, match="sam: params is None"):
        optimizer.update(w, optimizer.init(w), value_fn=jnp.sum)


def test_inside_select_the_error_says_to_put_it_around():
    params = {"a": jnp.ones(2), "b": jnp.ones(2)}
    optimizer = optim.select({"a": optim.sam(optim.sgd(0.1)), "*": optim.freeze()})
    with pytest.raises(ValueError, match=r"sam: params are those of one group of select.*around"):
        optimizer.update(params, optimizer.init(params), params, value_fn=lambda p: jnp.sum(p["a"]))


@pytest.mark.parametrize("radius", [-0.1, float("nan"), float("inf")])
def test_unusable_radii_are_refused(radius):
    with pytest.raises(ValueError, match=f"sam: radius is {radius}"):
        optim.sam(optim.sgd(0.1), radius)

"""Depth by scan: the same numbers as n blocks one after another, in one stacked layout."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

KEY = jax.random.key(0)
X = jax.random.normal(jax.random.key(7), (4, 3))
TRAIN = nn.Context(jax.random.key(3), train=True)


def block():
    return nn.residual(nn.dense(3), nn.batch_norm(), jnp.tanh, nn.dropout(0.5))


def make(model, x=X):
    return jax.jit(model.init)(KEY, x)


def layer(tree, i):
    return jax.tree.map(lambda leaf: leaf[i], tree)


def close(a, b):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), a, b)


@pytest.mark.parametrize("unroll", [1, 2, True])
def test_repeat_is_n_blocks_one_after_another_in_training(unroll):
    model = nn.repeat(block(), 3, unroll=unroll)
    params, state = make(model)
    y, new = jax.jit(model.apply)(params, state, X, TRAIN)
    expected, apply = X, jax.jit(block().apply)
    for i in range(3):
        ctx = nn.Context(jax.random.fold_in(TRAIN.key, i), train=True)
        expected, own = apply(layer(params, i), layer(state, i), expected, ctx)
        close(layer(new, i), own)
    close(y, expected)


def test_each_block_is_made_from_the_key_folded_by_its_number():
    model = nn.repeat(block(), 3)
    params = make(model).params
    assert jax.tree.map(jnp.shape, params) == {
        "dense_0": {"w": (3, 3, 3), "b": (3, 3)},
        "batch_norm_0": {"scale": (3, 3), "bias": (3, 3)},
    }
    init = jax.jit(block().init)
    for i in range(3):
        close(layer(params, i), init(jax.random.fold_in(KEY, i), X).params)


def test_a_longer_repeat_begins_with_the_same_blocks():
    short, long = (make(nn.repeat(block(), n)).params for n in (2, 4))
    close(short, jax.tree.map(lambda leaf: leaf[:2], long))


def test_repeat_traces_its_block_once_whatever_n():
    traces = []

    def grow(x):
        traces.append(None)
        return 2 * x

    model = nn.repeat(nn.serial(grow), 20)
    call = jax.jit(model)
    np.testing.assert_allclose(call(nn.Variables({}, {}), X), 2.0**20 * X, rtol=1e-6)
    assert len(traces) < 5


def test_gradients_through_scan_and_remat_equal_those_of_the_loop():
    model = nn.repeat(nn.remat(nn.residual(nn.dense(3), jnp.tanh)), 3)
    params = make(model).params

    def by_hand(params, x):
        for i in range(3):
            w, b = params["dense_0"]["w"][i], params["dense_0"]["b"][i]
            x = x + jnp.tanh(x @ w + b[None])
        return x

    def grad(f):
        return jax.jit(jax.grad(lambda p: jnp.square(f(p)).sum()))(params)

    close(grad(lambda p: model(nn.Variables(p, {}), X)), grad(lambda p: by_hand(p, X)))


def running(features):
    """Return a cell: y_t = y_{t-1} + x_t w, with a carry per layer."""

    def init(key, x, **side):
        return nn.Variables({"w": jax.random.normal(key, (features, features)) / 2}, {})

    def start(variables, x, ctx):
        return jnp.zeros((x.shape[0], 1, features), x.dtype)

    def step(variables, carry, x, ctx):
        y = carry + jnp.cumsum(x @ variables.params["w"], axis=1)
        return y[:, -1:], y

    def apply(params, state, x, ctx):
        return jnp.cumsum(x @ params["w"], axis=1), state

    return nn.Layer(init, apply, "running", start=start, step=step)


def test_each_block_has_its_own_carry():
    model = nn.repeat(nn.serial(running(3), jnp.tanh), 3)
    x = X[None]
    variables = make(model, x)
    carry, outputs = model.start(variables, x, nn.Context()), []
    assert jax.tree.map(jnp.shape, carry) == ({"running_0": (1, 1, 3)},) * 3
    for at, size in ((0, 1), (1, 3)):
        carry, y = model.step(variables, carry, x[:, at : at + size], nn.Context())
        outputs.append(y)
    close(jnp.concatenate(outputs, 1), model(variables, x))


def test_blocks_without_a_carry_step_from_the_empty_one():
    model = nn.repeat(nn.serial(nn.dense(3), jnp.tanh), 2)
    variables = make(model, X[None])
    close(model.step(variables, {}, X[None], nn.Context())[1], model(variables, X[None]))


def test_steps_draw_as_applications_do():
    model = nn.repeat(nn.dropout(0.5), 2)
    x = jnp.ones((2, 4, 8))
    ctx = nn.Context(jax.random.key(3), train=True)
    _, y = model.step(nn.Variables({}, {}), model.start(nn.Variables({}, {}), x, ctx), x, ctx)
    np.testing.assert_array_equal(y, model.apply({}, {}, x, ctx)[0])
    assert set(np.unique(y)) == {0.0, 4.0}


@pytest.mark.parametrize("n", [0, -1, 2.0, True, "3"])
def test_n_is_a_positive_integer(n):
    with pytest.raises(ValueError, match=r"repeat: n must be an integer of at least 1, got"):
        nn.repeat(nn.dense(3), n)


@pytest.mark.parametrize("inner", [nn.dense(5), lambda x: x.astype(jnp.bfloat16), lambda x: (x, x)])
def test_a_block_that_changes_shape_or_dtype_is_refused_at_init(inner):
    for model in (nn.repeat(inner, 2), nn.serial(nn.repeat(inner, 2))):
        with pytest.raises(ValueError, match=r"repeat: the block maps float32\[4, 3\] to"):
            model.init(jax.random.key(0), X)


def test_parameters_of_another_depth_are_refused():
    params, state = make(nn.repeat(nn.serial(nn.dense(3)), 3))
    with pytest.raises(ValueError, match=r"repeat: parameter 'dense_0/b' must have 2 layers.*3"):
        nn.repeat(nn.serial(nn.dense(3)), 2).apply(params, state, X, nn.Context())


@pytest.mark.parametrize("n", [2, 4])
def test_parameters_and_state_of_another_depth_are_refused_in_steps_too(n):
    model, x = nn.repeat(nn.serial(nn.dense(3), nn.batch_norm()), 3), X[None]
    params, state = make(model, x)
    other = nn.repeat(nn.serial(nn.dense(3), nn.batch_norm()), n)
    with pytest.raises(ValueError, match=rf"repeat: parameter 'batch_norm_0/bias' must have {n}"):
        other.step(nn.Variables(params, state), {}, x, nn.Context())
    with pytest.raises(ValueError, match=rf"repeat: parameter 'batch_norm_0/bias' must have {n}"):
        other.start(nn.Variables(params, state), x, nn.Context())
    few = jax.tree.map(lambda leaf: leaf[:2], state)
    for run in (model.apply, lambda *a: model.step(nn.Variables(*a[:2]), {}, *a[2:])):
        with pytest.raises(ValueError, match="repeat: state 'batch_norm_0/mean' must have 3"):
            run(params, few, x, nn.Context())


def test_stacked_counts_the_layer_axes_of_each_parameter():
    model = nn.serial(
        nn.dense(3),
        nn.remat(nn.repeat(nn.serial(nn.dense(3), nn.policy(nn.repeat(nn.dense(3), 2))), 4)),
        nn.repeat(nn.repeat(nn.serial(nn.layer_norm()), 2), 3),
        plain=nn.serial(nn.relu, nn.dense(1)),
    )
    params = make(model).params
    flat, once, twice = ({"w": n, "b": n} for n in (0, 1, 2))
    axes = nn.stacked(model)(params)
    assert axes == {
        "dense_0": flat,
        "repeat_0": {"dense_0": once, "repeat_0": twice},
        "repeat_1": {"layer_norm_0": {"scale": 2, "bias": 2}},
        "plain": {"dense_0": flat},
    }
    leaf = params["repeat_0"]["repeat_0"]["w"]
    assert leaf.shape == (4, 2, 3, 3) and leaf.ndim - axes["repeat_0"]["repeat_0"]["w"] == 2

"""The MLP's options against plain NumPy, and what a wide or a deep one can represent."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn


def made(model, x, seed=0):
    variables = model.init(jax.random.key(seed), x)
    return jax.tree.map(lambda p: p + 0.1 * np.cos(np.arange(p.size)).reshape(p.shape), variables)


def affine(params, h):
    return h @ np.asarray(params["w"]) + np.asarray(params["b"])


def layer_norm(params, h):
    normal = (h - h.mean(-1, keepdims=True)) / np.sqrt(h.var(-1, keepdims=True) + 1e-5)
    return normal * np.asarray(params["scale"]) + np.asarray(params["bias"])


X = np.random.default_rng(0).normal(size=(4, 2, 3)).astype(np.float32)


def test_norm_stands_between_the_affine_map_and_the_activation():
    model = nn.mlp(5, 4, 2, activation=nn.tanh, norm=nn.layer_norm())
    variables = made(model, X)
    p = variables.params
    order = ["dense_0", "layer_norm_0", "tanh_0", "dense_1", "layer_norm_1", "tanh_1", "dense_2"]
    assert list(model.children)[1:] == order
    h = np.tanh(layer_norm(p["layer_norm_0"], affine(p["dense_0"], X.reshape(4, 6))))
    h = np.tanh(layer_norm(p["layer_norm_1"], affine(p["dense_1"], h)))
    np.testing.assert_allclose(model(variables, X), affine(p["dense_2"], h), rtol=1e-5, atol=1e-5)


def test_residual_adds_the_input_of_each_layer_that_keeps_its_size():
    model = nn.mlp(5, 5, 4, 4, 2, activation=nn.tanh, residual=True)
    variables = made(model, X)
    p = variables.params
    assert jax.tree.map(jnp.shape, p) == {
        "dense_0": {"w": (6, 5), "b": (5,)},
        "residual_0": {"dense_0": {"w": (5, 5), "b": (5,)}},
        "dense_1": {"w": (5, 4), "b": (4,)},
        "residual_1": {"dense_0": {"w": (4, 4), "b": (4,)}},
        "dense_2": {"w": (4, 2), "b": (2,)},
    }
    h = np.tanh(affine(p["dense_0"], X.reshape(4, 6)))
    h = h + np.tanh(affine(p["residual_0"]["dense_0"], h))
    h = np.tanh(affine(p["dense_1"], h))
    h = h + np.tanh(affine(p["residual_1"]["dense_0"], h))
    np.testing.assert_allclose(model(variables, X), affine(p["dense_2"], h), rtol=1e-5, atol=1e-5)


def test_batch_norm_and_dropout_are_in_the_residual_branch():
    model = nn.mlp(6, 6, 2, norm=nn.batch_norm(), dropout=0.5, residual=True)
    branch = model.children["residual_0"].children
    assert list(branch) == ["dense_0", "batch_norm_0", "relu_0", "dropout_0"]
    variables = model.init(jax.random.key(0), X)
    assert set(variables.state) == {"batch_norm_0", "residual_0"}
    _, state = model.apply(*variables, X, nn.Context(jax.random.key(1), train=True))
    before, after = (jax.tree.leaves(s) for s in (variables.state, state))
    assert all((a != b).any() for a, b in zip(before, after, strict=True))


def test_options_left_out_leave_the_paths_of_a_plain_mlp():
    plain, spelled = nn.mlp(4, 4, 2), nn.mlp(4, 4, 2, norm=None, dropout=0.0, residual=False)
    assert list(plain.children) == list(spelled.children)
    assert list(plain.children) == [
        *("flatten_0", "dense_0", "relu_0", "dense_1", "relu_1", "dense_2")
    ]


def hinges(f, low, high, units):
    """Weights of a hidden ReLU layer that interpolates f at units + 1 equal knots."""
    knots = np.linspace(low, high, units + 1)
    slopes = np.diff(f(knots)) / np.diff(knots)
    return nn.Variables(
        {
            "dense_0": {"w": np.ones((1, units)), "b": -knots[:-1]},
            "dense_1": {"w": np.diff(slopes, prepend=0)[:, None], "b": f(knots[:1])},
        },
        {},
    )


def test_a_wide_layer_approximates_a_sine_to_1e_3():
    """Linear interpolation errs by at most h²/8 · max|f''|: a quarter at twice the width."""
    x = np.linspace(0, 2 * np.pi, 4001)[:, None]
    with jax.enable_x64(True):
        errors = []
        for units in (16, 32, 64, 128):
            y = nn.mlp(units, 1)(hinges(np.sin, 0, 2 * np.pi, units), x)
            errors.append(float(np.abs(y - np.sin(x)).max()))
            assert errors[-1] <= (2 * np.pi / units) ** 2 / 8
    assert errors[-1] < 1e-3
    np.testing.assert_allclose(np.divide(errors[:-1], errors[1:]), 4, rtol=0.05)


def test_two_units_approximate_a_step_to_1e_3():
    """A rise of width w misses by ∫ = w/12, which is w/24 of an interval of length 2."""
    x = np.linspace(-1, 1, 20_001)[:, None]
    width = 1e-2
    rise = {"w": np.full((1, 2), 1 / width), "b": np.array([0.5, -0.5])}
    params = {"dense_0": rise, "dense_1": {"w": np.array([[1.0], [-1.0]]), "b": np.zeros(1)}}
    with jax.enable_x64(True):
        y = nn.mlp(2, 1)(nn.Variables(params, {}), x)
    error = float(np.square(np.asarray(y) - (x >= 0)).mean())
    assert error < 1e-3
    np.testing.assert_allclose(error, width / 24, rtol=0.01)


def square_by_depth(depth):
    """x² on [0, 1]: x - Σ g_s / 4^s, g_s the sawtooth composed s times, at 4 units a layer.

    Yarotsky, Error bounds for approximations with deep ReLU networks, 2017.
    """
    tooth = np.array([2.0, -4.0, 2.0])  # g = 2 ReLU(h) - 4 ReLU(h - ½) + 2 ReLU(h - 1)
    bias = np.array([0, -0.5, -1.0, 0])
    params = {"dense_0": {"w": np.ones((1, 4)), "b": bias}}
    for s in range(1, depth):
        w = np.zeros((4, 4))
        w[:3, :3] = tooth[:, None]
        w[:3, 3], w[3, 3] = -tooth / 4**s, 1
        params[f"dense_{s}"] = {"w": w, "b": bias}
    out = np.append(-tooth / 4**depth, 1)[:, None]
    return nn.Variables({**params, f"dense_{depth}": {"w": out, "b": np.zeros(1)}}, {})


def test_depth_squares_with_an_error_that_falls_fourfold_a_layer():
    x = np.linspace(0, 1, 4097)[:, None]
    with jax.enable_x64(True):
        for depth in range(1, 7):
            model = nn.mlp(*[4] * depth, 1)
            y = model(square_by_depth(depth), x)
            error = float(np.abs(y - x**2).max())
            np.testing.assert_allclose(error, 4.0 ** -(depth + 1), rtol=1e-6)
    assert error < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("target", ["sine", "step"])
@pytest.mark.parametrize("widths", [(64,), (16, 16, 16)], ids=["width", "depth"])
def test_training_approximates_to_1e_3(target, widths):
    """Mean squared error below 1e-3, by Adam, for a wide net and for a deep one."""
    optax = pytest.importorskip("optax")
    x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
    y = np.sin(np.pi * x) if target == "sine" else (x >= 0).astype(np.float32)
    model = nn.mlp(*widths, 1)
    optimizer = optax.adam(optax.cosine_decay_schedule(0.03, 5000))

    def loss(params):
        return nn.losses.squared_error(model(nn.Variables(params, {}), x), y).mean()

    def descend(carry, _):
        params, state = carry
        updates, state = optimizer.update(jax.grad(loss)(params), state)
        return (optax.apply_updates(params, updates), state), None

    @jax.jit
    def train(params):
        return jax.lax.scan(descend, (params, optimizer.init(params)), length=5000)[0][0]

    with jax.numpy_dtype_promotion("standard"):  # optax's bias correction
        params = train(model.init(jax.random.key(0), x).params)
    assert loss(params) < 1e-3

"""Positions against their equations, their count in time, and what lies outside a table."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

X = np.random.default_rng(0).normal(size=(2, 5, 7)).astype(np.float32)
LAYERS = {"sinusoidal": nn.sinusoidal_positions, "learned": lambda: nn.learned_positions(5)}


def wave(t, i, features):
    angle = t / 10000 ** (2 * (i // 2) / features)
    return np.cos(angle) if i % 2 else np.sin(angle)


@pytest.mark.parametrize("features", [6, 7])
def test_sinusoidal_positions_are_their_equation(features):
    x = X[..., :features]
    expected = [[wave(t, i, features) for i in range(features)] for t in range(5)]
    y = nn.sinusoidal_positions()(nn.Variables({}, {}), x)
    np.testing.assert_allclose(y - x, [expected] * 2, atol=1e-6)


def test_learned_positions_are_rows_of_the_table():
    layer = nn.learned_positions(6)
    table = np.arange(42, dtype=np.float32).reshape(6, 7)
    assert layer.init(jax.random.key(0), X).params["table"].shape == (6, 7)
    variables = nn.Variables({"table": jnp.asarray(table)}, {})
    np.testing.assert_array_equal(layer(variables, X), X + table[:5])
    positions = jnp.array([[5, 4, 3, 2, 1], [0, 0, 1, 1, 2]])
    np.testing.assert_array_equal(layer(variables, X, positions=positions), X + table[positions])


def test_sinusoidal_positions_given():
    layer, nothing = nn.sinusoidal_positions(), nn.Variables({}, {})
    later = layer(nothing, jnp.zeros((1, 9, 6)))
    got = layer(nothing, jnp.zeros((1, 3, 6)), positions=jnp.array([[8, 0, 4]]))
    np.testing.assert_allclose(got[0], later[0, jnp.array([8, 0, 4])], atol=1e-6)


@pytest.mark.parametrize("name", LAYERS)
def test_the_carry_counts_and_positions_given_to_a_step_are_its_own(name):
    layer = LAYERS[name]()
    variables = layer.init(jax.random.key(0), X)
    whole = layer(variables, X)
    carry = layer.start(variables, X, nn.Context())
    carry, first = layer.step(variables, carry, X[:, :3], nn.Context())
    given = nn.Context(side={"positions": jnp.array([[4], [1]])})
    _, own = layer.step(variables, carry, X[:, 3:4], given)
    _, last = layer.step(variables, carry, X[:, 3:], nn.Context())
    np.testing.assert_allclose(jnp.concatenate([first, last], 1), whole, atol=1e-6)
    assert jnp.abs(own - whole[:, 3:4]).max() > 1e-3


def test_a_position_outside_the_table_reads_nan():
    layer = nn.learned_positions(5)
    variables = layer.init(jax.random.key(0), X)
    for wrong in (5, -1):
        y = layer(variables, X, positions=jnp.zeros((2, 5), int).at[1, 2].set(wrong))
        assert jnp.isnan(y[1, 2]).all() and jnp.isnan(y).sum() == 7
    carry, _ = layer.step(variables, layer.start(variables, X, nn.Context()), X, nn.Context())
    _, y = layer.step(variables, carry, X[:, :1], nn.Context())
    assert jnp.isnan(y).all()


@pytest.mark.parametrize("name", LAYERS)
def test_wrong_inputs_raise(name):
    layer = LAYERS[name]()
    variables = layer.init(jax.random.key(0), X)
    with pytest.raises(ValueError, match=r"positions must be \(batch, time\) = \(2, 5\)"):
        layer(variables, X, positions=jnp.arange(5))
    with pytest.raises(TypeError, match="positions must hold integers, got float32"):
        layer(variables, X, positions=jnp.zeros((2, 5)))
    with pytest.raises(ValueError, match=r"axes|\(batch, time, features\)"):
        layer(variables, X[0])


def test_a_sequence_longer_than_the_table_raises():
    with pytest.raises(ValueError, match="has 4 positions, got x"):
        nn.learned_positions(4).init(jax.random.key(0), X)
    with pytest.raises(ValueError, match="length must be an integer of at least 1, got 0"):
        nn.learned_positions(0)

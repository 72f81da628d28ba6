"""Chance in optimizers: its statistics, its freshness, and that a run can be resumed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import optim

KEY = jax.random.key(1)


def test_gradient_noise_has_the_variance_of_its_time_and_is_fresh_each_time():
    transform = optim.gradient_noise(KEY, 0.5, 0.7)
    zeros = {"a": jnp.zeros(40_000), "b": jnp.zeros(40_000)}
    state, seen = transform.init(zeros), []
    for t in range(3):
        noise, state = transform.update(zeros, state)
        for leaf in jax.tree.leaves(noise):
            np.testing.assert_allclose(np.var(leaf), 0.5 / (1 + t) ** 0.7, rtol=0.03)
            np.testing.assert_allclose(np.mean(leaf), 0.0, atol=0.02)
            seen.append(np.asarray(leaf))
    correlation = np.corrcoef(seen) - np.eye(6)
    assert np.abs(correlation).max() < 0.03
    again, _ = transform.update(zeros, transform.init(zeros))
    np.testing.assert_array_equal(again["a"], seen[0])


N = 40_000
TREE = {"a": jnp.ones(N), "b": jnp.full((200, 200), -2.0)}


def masks(transform, steps, state=None):
    """Which weights each of some updates left out, (steps, leaves · N), and the last state."""
    state, seen = transform.init(TREE) if state is None else state, []
    for _ in range(steps):
        updates, state = transform.update(TREE, state)
        pairs = zip(*map(jax.tree.leaves, (updates, TREE)), strict=True)
        for got, plain in pairs:
            assert np.isin(got, [0.0, plain.ravel()[0]]).all()  # left out or as it was, not scaled
        seen.append(np.concatenate([np.ravel(u) == 0 for u in jax.tree.leaves(updates)]))
    return np.array(seen), state


@pytest.mark.parametrize("fraction", [0.03, 0.5, 0.9])
def test_dilution_leaves_out_each_weight_with_its_probability_independently(fraction):
    seen, _ = masks(optim.dilution(KEY, fraction), 6)
    deviation = np.sqrt(fraction * (1 - fraction) / N)
    rows = seen.reshape(12, N)  # six updates of two leaves
    assert np.abs(rows.mean(1) - fraction).max() < 4 * deviation
    assert np.abs(np.corrcoef(rows) - np.eye(12)).max() < 4 / np.sqrt(N)
    assert abs(np.corrcoef(rows[0, 1:], rows[0, :-1])[0, 1]) < 4 / np.sqrt(N)
    # How often a weight was left out is binomial.
    assert abs(rows.sum(0).var() / (12 * fraction * (1 - fraction)) - 1) < 0.05


def test_dilution_of_nothing_changes_nothing_and_keys_differ():
    assert not masks(optim.dilution(KEY, 0.0), 2)[0].any()
    one, other = (masks(optim.dilution(jax.random.key(k), 0.5), 1)[0] for k in (1, 2))
    assert abs(np.mean(one == other) - 0.5) < 0.01


def test_a_resumed_run_leaves_out_what_it_would_have():
    transform = optim.dilution(KEY, 0.3)
    whole, _ = masks(transform, 5)
    first, state = masks(transform, 2)
    kept = jax.tree.map(np.asarray, state)
    rest, _ = masks(optim.dilution(KEY, 0.3), 3, jax.tree.map(jnp.asarray, kept))
    np.testing.assert_array_equal(np.concatenate([first, rest]), whole)


def test_the_same_weights_are_left_out_at_any_precision():
    params = {"w": jnp.ones(1000)}
    seen = []
    for dtype in (jnp.bfloat16, jnp.float32, jnp.float64):
        with jax.enable_x64(dtype == jnp.float64):
            updates = {"w": jnp.ones(1000, dtype)}
            transform = optim.dilution(KEY, 0.3)
            seen.append(np.asarray(transform.update(updates, transform.init(params))[0]["w"]) == 0)
    assert 0 < seen[0].sum() < 1000
    np.testing.assert_array_equal(seen[0], seen[1])
    np.testing.assert_array_equal(seen[1], seen[2])


def test_weights_left_out_keep_every_bit_though_momentum_and_decay_pull_at_them():
    params = {"w": jnp.where(jnp.arange(1000) % 2 == 0, -0.0, 3.0), "b": jnp.ones(1000)}
    optimizer = optim.chain(
        optim.adamw(0.1, weight_decay=0.5), optim.dilution(KEY, 0.5, patterns="w")
    )
    plain = optim.adamw(0.1, weight_decay=0.5)
    state, alone = optimizer.init(params), plain.init(params)
    step, expected = jax.jit(optimizer.update), jax.jit(plain.update)
    ones = jax.tree.map(jnp.ones_like, params)
    for _ in range(3):
        updates, state = step(ones, state, params)
        usual, alone = expected(ones, alone, params)
        after = optim.apply_updates(params, updates)
        still = np.asarray(after["w"]).view(np.uint32) == np.asarray(params["w"]).view(np.uint32)
        out = np.signbit(updates["w"]) & (np.asarray(updates["w"]) == 0)
        assert still[out].all() and 400 < out.sum() < 600
        np.testing.assert_array_equal(updates["w"][~out], usual["w"][~out])
        np.testing.assert_array_equal(updates["b"], usual["b"])
        params = after
    jax.tree.map(np.testing.assert_array_equal, state[0], alone)


def test_the_fraction_may_be_traced():
    fractions = jnp.array([0.1, 0.6])

    def left_out(fraction):
        transform = optim.dilution(KEY, fraction)
        updates, _ = transform.update(TREE, transform.init(TREE))
        return jnp.concatenate([jnp.ravel(u) == 0 for u in jax.tree.leaves(updates)])

    together = jax.jit(jax.vmap(left_out))(fractions)
    for lane, fraction in zip(together, (0.1, 0.6), strict=True):
        np.testing.assert_array_equal(lane, left_out(fraction))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: optim.gradient_noise(KEY, -1.0), "gradient_noise: variance is -1.0"),
        (lambda: optim.dilution(KEY, 1.0), r"dilution: fraction is 1.0.*\[0, 1\)"),
        (lambda: optim.dilution(KEY, -0.1), "dilution: fraction is -0.1"),
        (lambda: optim.dilution(KEY, 0.1, "*/w"), "dilution: pattern '\\*/w' matches nothing"),
    ],
)
def test_unusable_arguments_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make().init(TREE)

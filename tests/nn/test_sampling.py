"""Filters and samplers against NumPy, drawn frequencies against probabilities."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax.nn.decoding import categorical, greedy, nucleus, temperature, top_k

LOGITS = np.random.default_rng(0).normal(size=(5, 9)).astype(np.float32) * 2


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def kept(logits):
    return np.isfinite(np.asarray(logits))


def test_greedy_takes_the_largest_and_the_first_of_equal_ones():
    np.testing.assert_array_equal(greedy(None, LOGITS), LOGITS.argmax(-1))
    assert greedy(None, jnp.array([[1.0, 3.0, 3.0]])).tolist() == [1]


@pytest.mark.parametrize("t", [0.25, 1, 2.0])
def test_temperature_divides(t):
    np.testing.assert_allclose(temperature(t)(LOGITS), LOGITS / t, rtol=1e-6)


@pytest.mark.parametrize("k", [1, 3, 9])
def test_top_k_keeps_the_k_largest_as_they_are(k):
    y = np.asarray(top_k(k)(LOGITS))
    for row, logits in zip(y, LOGITS, strict=True):
        largest = np.argsort(-logits)[:k]
        assert set(np.flatnonzero(kept(row))) == set(largest)
        np.testing.assert_array_equal(row[largest], logits[largest])
    assert kept(top_k(2)(jnp.ones((1, 4)))).tolist() == [[True, True, False, False]]


def smallest_sets(p, chance):
    """Return the sets of fewest tokens that hold probability p, by trying all."""
    for size in range(1, len(chance) + 1):
        found = [
            set(tokens)
            for tokens in itertools.combinations(range(len(chance)), size)
            if chance[list(tokens)].sum() >= p
        ]
        if found:
            return found
    raise AssertionError


@pytest.mark.parametrize("p", [0.05, 0.5, 0.9, 0.99])
def test_nucleus_is_the_smallest_set_and_the_likeliest_of_that_size(p):
    y = np.asarray(nucleus(p)(LOGITS))
    for row, logits in zip(y, LOGITS, strict=True):
        chance = softmax(logits.astype(np.float64))
        tokens = set(np.flatnonzero(kept(row)))
        candidates = smallest_sets(p, chance)
        assert tokens in candidates
        assert chance[list(tokens)].sum() == max(chance[list(c)].sum() for c in candidates)
        np.testing.assert_array_equal(row[list(tokens)], logits[list(tokens)])


def test_nucleus_of_all_keeps_all_and_ties_are_cut():
    far = jnp.array([[0.0, -200.0, -300.0]])
    np.testing.assert_array_equal(nucleus(1.0)(far), far)
    assert kept(nucleus(0.5)(jnp.zeros((1, 4)))).tolist() == [[True, True, False, False]]
    assert kept(nucleus(0.51)(jnp.zeros((1, 4)))).tolist() == [[True, True, True, False]]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ((), lambda z: softmax(z)),
        ((temperature(0.5),), lambda z: softmax(z / 0.5)),
        ((temperature(2.0), top_k(3)), lambda z: softmax(cut(z / 2, 3))),
        ((top_k(4), temperature(3.0)), lambda z: softmax(cut(z, 4) / 3)),
        ((temperature(2.0), nucleus(0.8)), lambda z: softmax(nucleus_of(z / 2, 0.8))),
    ],
)
def test_drawn_frequencies_are_the_probabilities(filters, expected):
    """Chi-square of 20,000 draws below its 1 - 1e-6 quantile: 43 at 8 degrees of freedom."""
    logits, n = LOGITS[0], 20_000
    drawn = categorical(*filters)(jax.random.key(7), jnp.broadcast_to(logits, (n, 9)))
    count = np.bincount(drawn, minlength=9)
    chance = expected(logits.astype(np.float64))
    possible = chance > 0
    assert count[~possible].sum() == 0
    chi2 = ((count - n * chance)[possible] ** 2 / (n * chance[possible])).sum()
    assert chi2 < 43


def cut(z, k):
    return np.where(z >= np.sort(z)[-k], z, -np.inf)


def nucleus_of(z, p):
    order = np.argsort(-z)
    size = np.searchsorted(np.cumsum(softmax(z)[order]), p) + 1
    return np.where(np.isin(np.arange(len(z)), order[:size]), z, -np.inf)


def test_rows_draw_by_themselves_and_the_key_alone_decides():
    sample, flat = categorical(), jnp.zeros((200, 9))
    first, again, other = (sample(jax.random.key(i), flat) for i in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any() and len(set(first.tolist())) == 9


def test_equal_samplers_are_equal_and_read_as_written():
    def make(t):
        return categorical(temperature(t), top_k(3), nucleus(0.9))

    assert make(0.5) == make(0.5) and hash(make(0.5)) == hash(make(0.5)) and make(0.5) != make(1)
    assert repr(make(0.5)) == "categorical(temperature(0.5), top_k(3), nucleus(0.9))"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: temperature(0), ValueError, "t must be above 0, got 0; for its limit use greedy"),
        (lambda: top_k(0), ValueError, "top_k: k must be an integer of at least 1, got 0"),
        (lambda: top_k(10)(LOGITS), ValueError, "k is 10, but there are only 9 classes"),
        (lambda: nucleus(0), ValueError, r"nucleus: p must be a number in \(0, 1\], got 0"),
        (lambda: nucleus(1.1), ValueError, r"nucleus: p must be a number in \(0, 1\], got 1.1"),
        (lambda: categorical(0.8), TypeError, "each filter must be a function of logits, got 0.8"),
        (
            lambda: categorical(top_k(2))(None, LOGITS),
            ValueError,
            r"categorical\(top_k\(2\)\): needs a key",
        ),
    ],
)
def test_arguments_are_checked(make, error, message):
    with pytest.raises(error, match=message):
        make()

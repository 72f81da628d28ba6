"""Arrays in 8 and 16 bits against their levels in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax.optim import _blocks

TINY = np.finfo(np.float32).tiny
CASES = {
    "normal": lambda random: random.normal(size=(64, 96)),
    "squares": lambda random: random.normal(size=(64, 96)) ** 2,
    "wide": lambda random: random.normal(size=6144) * 10.0 ** random.uniform(-12, 12, 6144),
    "squares of wide": lambda random: 10.0 ** random.uniform(-18, 18, (2, 3, 1024)),
    "odd size": lambda random: random.normal(size=(17, 101)),
    "few": lambda random: random.normal(size=7),
    "tiny": lambda random: random.normal(size=512) * 1e-36,
    "near underflow": lambda random: 10.0 ** random.uniform(-37.9, -29, 512),
    "huge": lambda random: random.normal(size=512) * 1e37,
    "zeros between": lambda random: random.normal(size=512) * (random.random(512) < 0.1),
    "zeros": lambda random: np.zeros(512),
}
cases = pytest.mark.parametrize("case", CASES)


def example(case):
    x = CASES[case](np.random.default_rng(0)).astype(np.float32)
    return np.where(np.abs(x) < TINY, np.float32(0), x)


def blocks_of(x):
    """The numbers block by block, the last one filled up with zeros."""
    size = next((size for size in range(256, 127, -1) if x.size % size == 0), 256)
    return np.pad(x.ravel(), (0, -x.size % size)).reshape(-1, size)


def neighbors(x):
    """In float64 the nearest levels, and scale, of each number: the one below, the one above."""
    rows = blocks_of(x).astype(np.float64)
    below, above = np.empty_like(rows), np.empty_like(rows)
    for i, row in enumerate(rows):
        scale, top = np.abs(row).max(), 255 if row.min() >= 0 else 127
        levels = scale * (np.arange(top + 1) / top) ** 4
        place = np.searchsorted(levels, np.abs(row), side="right") - 1
        # What is not 0 stays so, and 0 stays 0.
        low, high = np.maximum(place, 1), np.minimum(np.maximum(place + 1, 1), top)
        nothing = row == 0
        below[i] = np.where(nothing, 0, np.sign(row) * np.maximum(levels[low], TINY))
        above[i] = np.where(nothing, 0, np.sign(row) * np.maximum(levels[high], TINY))
    return tuple(a.ravel()[: x.size].reshape(x.shape) for a in (below, above))


@jax.jit
def packed(x, count):
    return _blocks.encode(x, _blocks.random_bits(count, 0, x.shape))


@jax.jit
def round_trip(x, count):
    return _blocks.decode(packed(x, count))


@cases
def test_every_number_is_put_on_a_level_next_to_it(case):
    x = example(case)
    below, above = neighbors(x)
    # Where x is a level itself, its own rounding may put it just on the other side.
    near = 1e-5 * np.abs(x).astype(np.float64)
    for count in range(5):
        got = np.asarray(round_trip(x, jnp.int32(count)), np.float64)
        on_level = np.isclose(got, below, rtol=3e-6, atol=0) | np.isclose(
            got, above, rtol=3e-6, atol=0
        )
        assert (on_level | (np.abs(got - x) <= near)).all()


@cases
def test_what_is_not_0_stays_so_with_its_sign_and_the_largest_stays_as_it_is(case):
    x = example(case)
    for count in range(5):
        got = np.asarray(round_trip(x, jnp.int32(count)))
        np.testing.assert_array_equal(np.sign(got), np.sign(x))
        rows, kept = blocks_of(x), blocks_of(got)
        np.testing.assert_array_equal(np.abs(kept).max(1), np.abs(rows).max(1))


@pytest.mark.parametrize(("case", "top"), [("normal", 127), ("squares", 255), ("odd size", 127)])
def test_the_error_is_below_the_widest_distance_of_levels(case, top):
    """Which is 1 − ((n − 1) / n)⁴ of the largest magnitude, and below 4 / n of it."""
    x = example(case)
    error = np.abs(blocks_of(np.asarray(round_trip(x, jnp.int32(3))) - x))
    largest = np.abs(blocks_of(x)).max(1, keepdims=True)
    assert (error <= (1 - ((top - 1) / top) ** 4) * largest).all()
    # Of a number of k levels it is a share of 4 / k and a little.
    k = np.maximum(np.floor(top * (np.abs(blocks_of(x)) / largest) ** 0.25), 1)
    share = error / np.maximum(np.abs(blocks_of(x)), TINY)
    assert (share[k > 1] <= (((k + 1) / k) ** 4 - 1 + 1e-5)[k > 1]).all()


@pytest.mark.parametrize("case", ["normal", "squares", "odd size"])
def test_the_mean_of_many_roundings_is_the_number(case):
    x, trials = example(case), 2000
    got = jax.vmap(lambda count: round_trip(x, count))(jnp.arange(trials))
    below, above = neighbors(x)
    share = np.where(above == below, 0, (x - below) / np.where(above == below, 1, above - below))
    spread = np.abs(above - below) * np.sqrt(np.clip(share * (1 - share), 0, 1) / trials)
    known = np.abs(x) > np.abs(below)  # what is below the first level is put on it
    error = np.asarray(got, np.float64).mean(0) - x
    z = (error / np.maximum(spread, 1e-6 * np.abs(x)))[known]
    assert np.abs(z).max() < 5.5
    assert 0.8 < z.std() < 1.1
    # Numbers are rounded each on its own: the variance of a sum is the sum of the variances.
    variance = np.asarray(got, np.float64).sum(tuple(range(1, got.ndim))).var()
    assert 0.85 < variance / (trials * np.square(spread[known]).sum()) < 1.15


def test_zeros_take_no_scale_and_a_block_not_finite_stays_so():
    blocks = packed(jnp.zeros(512), jnp.int32(0))
    np.testing.assert_array_equal(_blocks.decode(blocks), np.zeros(512))
    for bad in (np.nan, np.inf, -np.inf):
        x = np.random.default_rng(0).normal(size=512).astype(np.float32)
        x[300] = bad
        got = np.asarray(round_trip(x, jnp.int32(0)))
        assert not np.isfinite(got[300]) and np.isfinite(got[:256]).all()


def test_a_number_is_8_bits_and_a_256th_of_a_float32():
    blocks = packed(example("normal"), jnp.int32(0))
    assert blocks.codes.shape == (64, 96) and blocks.codes.dtype == jnp.int8
    assert blocks.scales.shape == (24,) and blocks.scales.dtype == jnp.float32


@cases
def test_half_of_a_float32_is_one_of_its_neighbors_in_bfloat16(case):
    x = example(case)
    halve = jax.jit(lambda x, count: _blocks.halve(x, _blocks.random_bits(count, 0, x.shape)))
    cut = (x.view(np.uint32) & 0xFFFF0000).view(np.float32)
    away = ((x.view(np.uint32) & 0xFFFF0000) + np.uint32(1 << 16)).view(np.float32)
    got = jax.vmap(lambda count: halve(x, count))(jnp.arange(1000)).astype(jnp.float32)
    got = np.asarray(got)
    assert ((got == cut) | (got == away)).all()
    np.testing.assert_array_equal(np.sign(got[0]), np.sign(x))
    share = np.where(x == cut, 0, (x.astype(float) - cut) / (away.astype(float) - cut))
    z = (got == away).mean(0) - share
    z /= np.sqrt(np.maximum(share * (1 - share), 1e-3) / 1000)
    assert np.abs(z).max() < 5.5


def test_what_is_not_finite_stays_so_in_bfloat16():
    x = jnp.array([np.inf, -np.inf, np.nan, -np.nan], jnp.float32)
    worst = jax.lax.bitcast_convert_type(jnp.array([0x7FFFFFFF, 0xFFFFFFFF], jnp.uint32), x.dtype)
    got = np.asarray(_blocks.halve(jnp.append(x, worst), jnp.full(6, 2**32 - 1, jnp.uint32)))
    np.testing.assert_array_equal(got.astype(float), [np.inf, -np.inf, *[np.nan] * 4])


def test_bits_are_uniform_and_differ_by_place_and_count():
    stats = pytest.importorskip("scipy.stats")
    bits = np.stack([_blocks.random_bits(jnp.int32(n), 0, (4096,)) for n in (0, 1, 2, 2**31 - 1)])
    for drawn in (bits, bits[:, 1:] ^ bits[:, :-1], bits[1:] ^ bits[:-1]):
        for shift in (0, 8, 16, 24):
            counts = np.bincount((drawn >> shift).ravel() & 0xFF, minlength=256)
            assert stats.chisquare(counts).pvalue > 1e-4
    there = _blocks.random_bits(jnp.int32(1), 96, (4, 1000))
    np.testing.assert_array_equal(there, bits[1, 96:4096].reshape(4, 1000))
    around = _blocks.random_bits(jnp.int32(1), np.uint32(2**32 - 8), (108,))
    np.testing.assert_array_equal(around[8:], bits[1, :100])

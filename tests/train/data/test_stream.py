import json
from collections.abc import Iterator
from math import isqrt
from pathlib import Path
from zlib import crc32

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from laminax.train.data import _stream, gather, index, padded_batches, steps_until

GOLDEN = Path(__file__).with_name("stream_golden.json")


@pytest.fixture(autouse=True)
def strict() -> Iterator[None]:
    with (
        jax.numpy_dtype_promotion("strict"),
        jax.numpy_rank_promotion("raise"),
        jax.debug_key_reuse(True),
    ):
        yield


def order(seed: int, epoch: int, n: int) -> np.ndarray:
    """One epoch, as a single batch of all n examples."""
    return np.asarray(index(jax.random.key(seed), epoch, n, n))


def reference(key: jax.Array, position: int, n: int) -> int:
    """The network on Python integers, one position at a time."""
    words = [
        int(word)
        for i in range(4)
        for word in jax.random.key_data(
            jax.random.fold_in(jax.random.fold_in(key, position // n), i)
        )
    ]
    a = isqrt(n - 1) + 1
    b = -(-n // a)

    def mix(x: int, k: int) -> int:
        h = (x ^ k) * 0x85EBCA6B % 2**32
        h = (h ^ h >> 13) * 0xC2B2AE35 % 2**32
        return (h ^ h >> 16) >> 8

    x = position % n
    while True:
        left, right = divmod(x, b)
        for i, k in enumerate(words):
            if i % 2 == 0:
                left = (left + mix(right, k)) % a
            else:
                right = (right + mix(left, k)) % b
        x = left * b + right
        if x < n:
            return x


def feistel_orders(n: int, epochs: int, seed: int = 3) -> np.ndarray:
    """Many epochs of the network itself, also below the n from which the stream uses it."""
    keys = jax.vmap(lambda e: jax.random.fold_in(jax.random.key(seed), e))(jnp.arange(epochs))
    words = jax.vmap(_stream._round_keys)(keys)
    positions = jnp.arange(n, dtype=jnp.uint32)
    one = lambda w: _stream._walk(positions, jnp.broadcast_to(w, (n, 8)), n)  # noqa: E731
    return np.asarray(jax.jit(jax.vmap(one))(words))


def test_the_network_is_a_permutation_at_every_small_n() -> None:
    for n in range(1, 201):
        a = isqrt(n - 1) + 1
        cells = a * -(-n // a)
        assert n <= cells < n + a
        keys = np.random.default_rng(n).integers(0, 2**32, 8, dtype=np.uint32)
        x = _stream._feistel(np.arange(cells, dtype=np.uint32), keys, n)
        assert sorted(x.tolist()) == list(range(cells))


@pytest.mark.parametrize("n", [1, 2, 31, 63, 64, 65, 199])
def test_every_epoch_is_a_permutation_at_small_n(n: int) -> None:
    for rows in [*feistel_orders(n, 50), *(order(1, epoch, n) for epoch in range(3))]:
        assert sorted(rows.tolist()) == list(range(n))


@pytest.mark.parametrize("n", [1797, 42_000, 60_000, 65_535, 65_536, 65_537, 10**6])
def test_every_epoch_is_a_permutation_at_large_n(n: int) -> None:
    orders = [order(0, epoch, n) for epoch in range(2)]
    for rows in orders:
        np.testing.assert_array_equal(np.sort(rows), np.arange(n))
    assert np.mean(orders[0] == orders[1]) < 10 / n + 0.01


@pytest.mark.parametrize(("n", "batch"), [(2, 3), (50, 16), (64, 64), (500, 33)])
@settings(deadline=None, max_examples=8)
@given(start=st.integers(0, 40), seed=st.integers(0, 2**31))
def test_batches_are_the_stream_cut_in_pieces(n: int, batch: int, start: int, seed: int) -> None:
    key = jax.random.key(seed)
    steps = 2 * n // batch + 2
    stream = np.concatenate([np.asarray(index(key, start + s, batch, n)) for s in range(steps)])
    first = -(-start * batch // n) * n - start * batch  # the next start of an epoch
    epoch = stream[first : first + n]
    assert sorted(epoch.tolist()) == list(range(n))
    number = (start * batch + first) // n
    np.testing.assert_array_equal(epoch, np.asarray(index(key, number, n, n)))


@settings(deadline=None, max_examples=100)
@given(
    step=st.integers(0, 2**32 - 1),
    batch=st.one_of(st.integers(1, 5000), st.integers(1, 2**30 - 1)),
    n=st.one_of(st.integers(1, 10**7), st.integers(1, 2**30 - 1)),
)
def test_position_is_exact_in_32_bits(step: int, batch: int, n: int) -> None:
    epoch, rest = _stream._position(jnp.uint32(step), batch, n)
    assert (int(epoch), int(rest)) == (step * batch // n % 2**32, step * batch % n)


@pytest.mark.parametrize(
    ("step", "batch", "n"),
    [(0, 5, 64), (467, 128, 60_000), (2**31 + 11, 128, 60_000), (2**32 - 1, 4096, 1_281_167)],
)
def test_matches_an_independent_network(step: int, batch: int, n: int) -> None:
    key = jax.random.key(11)
    slots = sorted({*range(0, batch, max(1, batch // 7)), *range(min(batch, 3)), batch - 1})
    expected = [reference(key, step * batch + j, n) for j in slots]
    assert np.asarray(index(key, np.uint32(step), batch, n))[slots].tolist() == expected


def test_a_batch_may_cross_epochs_and_hold_several() -> None:
    key, n = jax.random.key(5), 70
    epochs = np.concatenate([np.asarray(index(key, e, n, n)) for e in range(9)])
    for batch in (1, 69, 211):
        for step in range(3 * 70 // batch + 1):
            expected = epochs[step * batch :][:batch]
            np.testing.assert_array_equal(
                np.asarray(index(key, step, batch, n))[: len(expected)], expected
            )


def test_order_is_pinned() -> None:
    """Other numbers would break the resuming of every run: make a new function instead."""
    for row in json.loads(GOLDEN.read_text()):
        rows = order(row["seed"], row["epoch"], row["n"]).astype("<i4")
        assert rows[:8].tolist() == row["first"], row
        assert crc32(rows.tobytes()) == row["crc32"], row


def test_does_not_depend_on_the_program_around_it() -> None:
    key, n, batch = jax.random.key(2), 1797, 32
    eager = np.stack([np.asarray(index(key, s, batch, n)) for s in range(60)])
    steps = jnp.arange(60, dtype=jnp.int32)
    mapped = jax.jit(jax.vmap(lambda s: index(key, s, batch, n)))(steps)
    scanned = jax.lax.scan(lambda c, s: (c, index(key, s, batch, n)), 0, steps)[1]
    np.testing.assert_array_equal(mapped, eager)
    np.testing.assert_array_equal(scanned, eager)
    with jax.enable_x64(True):
        wide = index(key, jnp.asarray(59), batch, n)
    assert wide.dtype == jnp.int32
    np.testing.assert_array_equal(wide, eager[59])
    keys = jax.random.split(jax.random.key(8), 3)
    members = jax.vmap(lambda k: index(k, 7, batch, n))(keys)
    for k, rows in zip(keys, members, strict=True):
        np.testing.assert_array_equal(rows, index(k, 7, batch, n))


def test_other_key_implementations() -> None:
    rows = index(jax.random.key(0, impl="rbg"), 0, 100, 100)
    assert sorted(rows.tolist()) == list(range(100))


@pytest.mark.parametrize("n", [64, 100, 1797])
def test_every_row_is_equally_likely_at_every_position(n: int) -> None:
    """Chi-square over (position, row) cells of many epochs; rows below 1/1000 would be chance."""
    epochs = 20_000 if n <= 100 else 4_000
    orders = feistel_orders(n, epochs)[:, :: max(1, n // 50)]
    for column in range(0, orders.shape[1], 7):
        counts = np.bincount(orders[:, column] % 997, minlength=min(n, 997))
        weights = np.bincount(np.arange(n) % 997)
        p = stats.chisquare(counts, epochs * weights / n).pvalue
        assert p > 1e-4, (column, p)


def test_pairs_of_positions_are_independent() -> None:
    n, epochs = 64, 100_000
    orders = feistel_orders(n, epochs).astype(np.int64)
    allowed = ~np.eye(n, dtype=bool).ravel()
    for i, j in ((0, 1), (0, 8), (0, 63), (17, 25), (30, 31)):
        counts = np.bincount(orders[:, i] * n + orders[:, j], minlength=n * n)
        assert counts[~allowed].sum() == 0
        assert stats.chisquare(counts[allowed]).pvalue > 1e-4, (i, j)


@pytest.mark.parametrize("n", [1797, 60_000])
def test_no_serial_correlation_and_no_memory_between_epochs(n: int) -> None:
    first, second = (order(9, epoch, n).astype(float) for epoch in (4, 5))
    bound = 4.5 / np.sqrt(n)
    for lag in (1, 2, 3, isqrt(n - 1), isqrt(n - 1) + 1, n // 2):
        assert abs(np.corrcoef(first[lag:], first[:-lag])[0, 1]) < bound * np.sqrt(n / (n - lag)), (
            lag
        )
    assert abs(np.corrcoef(first, np.arange(n))[0, 1]) < bound
    assert abs(np.corrcoef(first, second)[0, 1]) < bound
    assert np.sum(first == second) < 10  # Poisson of mean 1
    steps = np.diff(first)
    turning = np.mean(steps[1:] * steps[:-1] < 0)  # 2/3 for a random order
    assert abs(turning - 2 / 3) < 4.5 * np.sqrt(16 / 90 / n)


def test_seeds_differ() -> None:
    assert np.mean(order(0, 0, 1797) == order(1, 0, 1797)) < 0.01
    assert np.mean(order(0, 0, 50) == order(1, 0, 50)) < 0.2


def test_gather_takes_rows_of_every_array() -> None:
    data = {"x": np.arange(24, dtype=np.uint8).reshape(6, 2, 2), "y": jnp.arange(6)}
    rows = jnp.array([5, 0, 5], dtype=jnp.int32)
    batch = jax.jit(gather)(data, rows)
    np.testing.assert_array_equal(batch["x"], data["x"][[5, 0, 5]])
    np.testing.assert_array_equal(batch["y"], [5, 0, 5])
    assert batch["x"].dtype == jnp.uint8


@given(n=st.integers(1, 300), batch=st.integers(1, 50))
def test_evaluation_counts_every_example_once(n: int, batch: int) -> None:
    rows, weights = padded_batches(n, batch)
    assert rows.shape == weights.shape == (-(-n // batch), batch)
    assert rows.dtype == np.int32 and weights.dtype == np.float32
    np.testing.assert_array_equal(rows[weights == 1], np.arange(n))
    assert not rows[weights == 0].any()
    assert weights.sum() == n


@given(epoch=st.integers(0, 500), batch=st.integers(1, 300), n=st.integers(1, 10**9))
def test_an_epoch_ends_with_the_step_that_shows_its_last_example(
    epoch: int, batch: int, n: int
) -> None:
    steps = steps_until(epoch, batch, n)
    assert (steps - 1) * batch < (epoch + 1) * n <= steps * batch


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((jax.random.PRNGKey, 0, 8, 100), TypeError, "typed key"),
        ((lambda s: s, 0, 8, 100), TypeError, "typed key"),
        ((lambda s: jax.random.split(jax.random.key(s)), 0, 8, 100), TypeError, "one typed key"),
        ((jax.random.key, 0, 8, 0), ValueError, "n = 0 examples"),
        ((jax.random.key, 0, 8, 2**30), ValueError, "n = 1073741824 examples"),
        ((jax.random.key, 0, 0, 100), ValueError, "batch_size is 0"),
        ((jax.random.key, 0, -3, 100), ValueError, "batch_size is -3"),
        ((jax.random.key, -1, 8, 100), ValueError, "step is -1"),
        ((jax.random.key, 2**32, 8, 100), ValueError, "step is 4294967296"),
    ],
)
def test_misuse_is_refused(arguments: tuple, error: type[Exception], words: str) -> None:
    make, *rest = arguments
    with pytest.raises(error, match=words):
        index(make(0), *rest)


def test_misuse_of_evaluation_batches_is_refused() -> None:
    with pytest.raises(ValueError, match="n = 0 examples"):
        padded_batches(0, 4)
    with pytest.raises(ValueError, match="batch_size is 0"):
        padded_batches(4, 0)

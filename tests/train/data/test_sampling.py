import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from laminax.train.data import _sampling, class_weights, weighted_index

random = np.random.default_rng(0)


def draws(weights, count, key=0, batch_size=1000):
    rows = jax.jit(
        jax.vmap(lambda step: weighted_index(jax.random.key(key), step, batch_size, weights))
    )(jnp.arange(count // batch_size))
    return np.asarray(rows)


@pytest.mark.parametrize("n", [1, 2, 10, 17, 1000])
def test_rows_come_as_often_as_they_weigh(n):
    weights = (random.gamma(0.5, size=n) + 0.02).astype(np.float32)
    counts = np.bincount(draws(weights, 200_000).ravel(), minlength=n)
    assert len(counts) == n
    if n > 1:
        expected = 200_000 * weights.astype(float) / weights.astype(float).sum()
        assert stats.chisquare(counts, expected, sum_check=False).pvalue > 1e-3


def test_large_tables_are_not_rounded_away():
    """A million rows: summed in one float32 row, weights of 1 would come in lumps."""
    weights = np.where(np.arange(10**6) % 2, 1.0, 3.0).astype(np.float32)
    rows = draws(weights, 400_000, batch_size=20_000).ravel()
    share = (rows % 2 == 0).mean()
    assert abs(share - 0.75) < 4 * np.sqrt(0.75 * 0.25 / 400_000)
    counts = np.bincount(rows // 10_000, minlength=100)
    assert stats.chisquare(counts).pvalue > 1e-3
    last = np.bincount(rows[rows >= 990_000] % 10, minlength=10)
    assert stats.chisquare(last, last.sum() * np.array([3, 1] * 5) / 20).pvalue > 1e-3


def test_the_draw_is_the_inverse_of_the_distribution():
    """Each row from its two numbers, by NumPy in float64."""
    weights = random.uniform(size=50).astype(np.float32)
    drawn = jax.random.uniform(jax.random.fold_in(jax.random.key(4), 9), (2, 300), jnp.float32)
    sums = np.concatenate([weights.astype(float), np.zeros(6)]).reshape(7, 8)
    blocks = np.searchsorted(np.cumsum(sums.sum(1)) / sums.sum(), drawn[0], "right")
    expected = [
        8 * b + np.searchsorted(np.cumsum(sums[b]) / sums[b].sum(), u, "right")
        for b, u in zip(blocks, np.asarray(drawn[1]), strict=True)
    ]
    rows = weighted_index(jax.random.key(4), 9, 300, weights)
    assert rows.dtype == jnp.int32
    assert np.mean(np.asarray(rows) == expected) > 0.99  # but for numbers at a border


@pytest.mark.parametrize("n", [5, 30])
def test_rows_of_weight_zero_never_come(n):
    weights = np.zeros(n, np.float32)
    weights[[1, n - 3]] = 1e-30, 1.0
    assert set(draws(weights, 20_000).ravel()) == {n - 3}
    weights[-1] = 0.0
    weights[:] = np.where(np.arange(n) % 3 == 1, 1.0, 0.0)
    assert set(draws(weights, 20_000).ravel()) == set(range(1, n, 3))


def test_numbers_at_the_border_of_a_place():
    sums = jnp.array([[0.0, 1.0, 1.0, 4.0, 4.0]] * 4)  # the first, third and last of weight 0
    drawn = jnp.array([0.0, 0.25, 0.75, np.nextafter(np.float32(1), np.float32(0))])
    assert _sampling._found(sums, drawn).tolist() == [1, 3, 3, 3]
    totals = np.float32(2.0) ** random.uniform(-60, 60, (1000, 1)).astype(np.float32)
    for _ in range(3):
        found = _sampling._found(jnp.asarray(totals), jnp.broadcast_to(drawn[3:], 1000))
        assert not found.any()  # never rounded up to the sum
        totals = np.nextafter(totals, np.float32(np.inf))


def test_a_run_goes_on_at_any_step():
    weights = jnp.asarray(random.uniform(size=40).astype(np.float32))
    key = jax.random.key(2)
    eager = np.stack([weighted_index(jax.random.key(2), s, 16, weights) for s in range(20)])
    steps = jnp.arange(7, 20)
    scanned = jax.lax.scan(lambda c, s: (c, weighted_index(key, s, 16, weights)), 0, steps)[1]
    np.testing.assert_array_equal(scanned, eager[7:])
    assert len(np.unique(eager, axis=0)) == 20
    other = weighted_index(jax.random.key(3), 0, 16, weights)
    assert (np.asarray(other) != eager[0]).any()


def test_pairs_are_independent():
    rows = draws(np.ones(4, np.float32), 200_000, batch_size=2)
    counts = np.bincount(rows[:, 0] * 4 + rows[:, 1], minlength=16)
    assert stats.chisquare(counts).pvalue > 1e-3
    counts = np.bincount(rows[1:, 0] * 4 + rows[:-1, 0], minlength=16)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_class_weights_are_scikit_learns():
    utils = pytest.importorskip("sklearn.utils")
    y = random.choice(5, 300, p=[0.5, 0.3, 0.1, 0.07, 0.03])
    expected = utils.compute_class_weight("balanced", classes=np.arange(5), y=y)
    np.testing.assert_allclose(class_weights(y), expected, rtol=1e-6)
    assert class_weights(y).dtype == np.float32


def test_class_weights_make_all_classes_count_alike():
    y = np.array([0] * 70 + [1] * 25 + [3] * 5)
    weights = class_weights(y, classes=5)
    assert weights[2] == weights[4] == 0
    totals = np.bincount(y, weights[y], 5)
    np.testing.assert_allclose(totals, [100 / 3, 100 / 3, 0, 100 / 3, 0], rtol=1e-6)
    classes = np.bincount(y[draws(weights[y], 60_000).ravel()], minlength=5)[[0, 1, 3]]
    assert stats.chisquare(classes).pvalue > 1e-3


KEY = jax.random.key
ONES = np.ones(3, np.float32)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((0, 0, 2, ONES), TypeError, "weighted_index: key is 0; it must be one typed key"),
        ((KEY, 0, 0, ONES), ValueError, "weighted_index: batch_size is 0"),
        ((KEY, 0, 2, ONES[:0]), ValueError, r"weights must be \(n,\), one a row, got shape \[0\]"),
        ((KEY, 0, 2, np.arange(3)), TypeError, r"must be floats \(n,\), got int64\[3\]; of labels"),
        (
            (KEY, 0, 2, ONES[None]),
            ValueError,
            r"one a row, got shape \[1, 3\]",
        ),
        ((KEY, 0, 2, -ONES), ValueError, "none negative and not all 0, got -1.0 to -1.0"),
        ((KEY, 0, 2, 0 * ONES), ValueError, "not all 0, got 0.0 to 0.0"),
        ((KEY, 0, 2, np.nan * ONES), ValueError, "weights must be finite"),
    ],
)
def test_misuse(arguments, error, words):
    key, *rest = arguments
    with pytest.raises(error, match=words):
        weighted_index(key(0) if key is KEY else key, *rest)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((np.array([0.5]),), TypeError, "class_weights: y must be integer labels, got float64"),
        ((np.array([[1]]),), ValueError, r"y must be labels \(n,\), at least one, got \[1, 1\]"),
        ((np.array([], int),), ValueError, "at least one"),
        ((np.array([0, 3]), 3), ValueError, r"labels must lie in \[0, 3\), got 0 to 3"),
        ((np.array([0, -1]),), ValueError, "got -1 to 0"),
    ],
)
def test_misuse_of_class_weights(arguments, error, words):
    with pytest.raises(error, match=words):
        class_weights(*arguments)

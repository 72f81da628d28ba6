import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from laminax.train.data.augment import cutmix, mixup


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def labeled(n, height=8, width=6):
    """Image i is i everywhere, and its label too."""
    x = np.broadcast_to(np.arange(n, dtype=float)[:, None, None, None], (n, height, width, 1))
    return x, np.eye(n)


def shares(y):
    """The partner of each example, and the share of its own that is left."""
    own = np.diagonal(y)
    rest = y - np.diag(own)
    return rest.argmax(1), own


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_mixup_mixes_inputs_and_labels_alike(alpha):
    n = 300
    x, y = labeled(n)
    for seed in range(2):
        a, b = map(np.asarray, mixup(jax.random.key(seed), (x, y), alpha))
        partner, own = shares(b)
        np.testing.assert_allclose(b.sum(1), 1, rtol=1e-10)
        moved = own < 1 - 1e-9
        mixed = own * np.arange(n) + (1 - own) * partner
        expected = np.where(moved, mixed, np.arange(n))
        np.testing.assert_allclose(a[:, 0, 0, 0], expected, rtol=1e-9)
        assert (a == a[:, :1, :1]).all()
        assert len(set(partner[moved])) == moved.sum()  # each is a partner once
        assert stats.kstest(own[moved], "beta", (alpha, alpha)).pvalue > 1e-3


def test_mixup_keeps_dtypes():
    x = np.arange(6, dtype=np.uint8)[:, None] * 40
    y = jax.nn.one_hot(jnp.arange(6), 6, dtype=jnp.float32)
    a, b = mixup(jax.random.key(0), (x, y), 1.0)
    assert a.dtype == jnp.uint8 and b.dtype == jnp.float32
    np.testing.assert_allclose(a[:, 0], np.asarray(b) @ x[:, 0], atol=0.5001)


def test_cutmix_pastes_a_box_and_counts_it():
    n = 400
    x, y = labeled(n, 12, 9)
    a, b = map(np.asarray, cutmix(jax.random.key(0), (x, y), 1.0))
    partner, own = shares(b)
    sides = set()
    for i in range(n):
        pasted = a[i, ..., 0] != i
        assert np.isin(a[i], (i, partner[i])).all()
        np.testing.assert_allclose(own[i], 1 - pasted.mean(), atol=1e-6)
        rows, columns = (np.flatnonzero(pasted.any(axis)) for axis in (1, 0))
        if pasted.any():  # one rectangle
            assert pasted.sum() == len(rows) * len(columns)
            assert len(rows) == np.ptp(rows) + 1 and len(columns) == np.ptp(columns) + 1
            sides.add((len(rows), len(columns)))
    assert len(sides) > 30


def test_boxes_of_cutmix_have_the_size_and_the_place_they_should():
    """With α large λ is 1/2: boxes of √½ of the sides, their center anywhere."""
    n, height, width = 4000, 20, 10
    x, y = labeled(n, height, width)
    a, _ = cutmix(jax.random.key(1), (jnp.asarray(x), jnp.asarray(y)), 1e7)
    pasted = np.asarray(a)[..., 0] != np.arange(n)[:, None, None]
    pasted = pasted[pasted.any((1, 2))]
    inside = {}
    for axis, side in ((2, height), (1, width)):
        lines = pasted.any(axis)
        box = int(np.sqrt(0.5) * side)
        first, last = lines.argmax(1), side - 1 - lines[:, ::-1].argmax(1)
        whole = last - first + 1 == box
        inside[side] = whole.mean()
        assert (last - first + 1 <= box).all()
        counts = np.bincount(first[whole & (first > 0) & (last < side - 1)])
        assert stats.chisquare(counts[counts > 0]).pvalue > 1e-3
        np.testing.assert_allclose(whole.mean(), (side - box + 1) / side, atol=0.03)


@pytest.mark.parametrize("function", [mixup, cutmix])
@pytest.mark.parametrize(
    ("batch", "alpha", "error", "words"),
    [
        ((labeled(4)[0], np.arange(4)), 1.0, TypeError, r"y must be probabilities .*one_hot"),
        ((labeled(4)[0], np.eye(3)), 1.0, ValueError, r"same leading axis, got \[4, 8, 6, 1\] and"),
        ((labeled(4)[0], np.eye(4), {}), 1.0, TypeError, r"the batch must be \(x, y\), got tuple"),
        (labeled(4), 0.0, ValueError, "alpha must be a number above 0, got 0.0"),
    ],
)
def test_misuse(function, batch, alpha, error, words):
    with pytest.raises(error, match=f"{function.__name__}: .*{words}"):
        function(jax.random.key(0), batch, alpha)


@pytest.mark.parametrize("function", [mixup, cutmix])
def test_jit_and_vmap_over_alpha(function):
    x, y = map(jnp.asarray, labeled(7))
    keys = lambda: jax.random.split(jax.random.key(0), 2)  # noqa: E731
    alphas = jnp.array([0.3, 2.0])
    both = jax.jit(jax.vmap(function, in_axes=(0, None, 0)))(keys(), (x, y), alphas)
    for i in range(2):
        for a, b in zip(both, function(keys()[i], (x, y), alphas[i]), strict=True):
            np.testing.assert_allclose(a[i], b, rtol=1e-6, atol=1e-7)

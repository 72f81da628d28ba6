"""Pooling to a given size against NumPy bins."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

EMPTY = nn.Variables({}, {})
CASES = [((7,), (3,)), ((6, 5), (3, 2)), ((4, 5), (6, 5)), ((3, 4, 5), (2, 1, 3))]


def reference(reduce, x, size):
    sizes = x.shape[1:-1]
    y = np.zeros((len(x), *size, x.shape[-1]), x.dtype)
    for p in itertools.product(*map(range, size)):
        window = tuple(
            slice(int(np.floor(i * n / m)), int(np.ceil((i + 1) * n / m)))
            for i, n, m in zip(p, sizes, size, strict=True)
        )
        y[(slice(None), *p)] = reduce(x[(slice(None), *window)], tuple(range(1, len(sizes) + 1)))
    return y


@pytest.mark.parametrize(("sizes", "size"), CASES)
@pytest.mark.parametrize("kind", ["avg", "max"])
def test_reduces_every_bin(kind, sizes, size):
    make, reduce = {
        "avg": (nn.adaptive_avg_pool, np.mean),
        "max": (nn.adaptive_max_pool, np.max),
    }[kind]
    x = np.random.default_rng(0).normal(size=(2, *sizes, 3)).astype(np.float32)
    y = jax.jit(make(size))(EMPTY, x)
    np.testing.assert_allclose(y, reference(reduce, x, size), rtol=1e-5, atol=1e-6)


def test_size_one_is_the_global_pool():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 2)).astype(np.float32)
    y = nn.adaptive_avg_pool(1)(EMPTY, x)
    np.testing.assert_allclose(y[:, 0, 0], nn.global_avg_pool()(EMPTY, x), rtol=1e-5)


@pytest.mark.parametrize("make", [nn.adaptive_avg_pool, nn.adaptive_max_pool])
def test_equal_entries_share_the_gradient(make):
    gradient = jax.grad(lambda x: make(2)(EMPTY, x).sum())(jnp.ones((1, 4, 6, 1)))
    np.testing.assert_allclose(gradient, np.full((1, 4, 6, 1), 1 / 6), rtol=1e-6)


def test_dtypes():
    x = jnp.arange(3, dtype=jnp.uint8).reshape(1, 3, 1)
    assert nn.adaptive_max_pool(2)(EMPTY, x).dtype == jnp.uint8
    np.testing.assert_allclose(nn.adaptive_avg_pool(2)(EMPTY, x).ravel(), [0.5, 1.5])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.adaptive_avg_pool(0), "adaptive_avg_pool: size must be an integer"),
        (lambda: nn.adaptive_max_pool((2, 0)), "adaptive_max_pool: each of size"),
        (lambda: nn.adaptive_max_pool((2,)), r"adaptive_max_pool: .*\(batch, length, channels\)"),
    ],
)
def test_bad_arguments_say_what_is_wrong(make, message):
    with pytest.raises(ValueError, match=message):
        make()(EMPTY, jnp.zeros((1, 4, 4, 1)))

"""Pooling against NumPy windows and torch, its ties, padding, transforms and messages."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn
from laminax.nn._convolution._pool import avg_pool, global_avg_pool, global_max_pool, max_pool
from laminax.nn._layers._shape import flatten

EMPTY = nn.Variables({}, {})
# (spatial sizes, window, stride, padding)
CASES = [
    ((9,), 3, None, "valid"),
    ((9,), 3, 2, 1),
    ((7, 6), 2, None, "valid"),
    ((7, 6), (3, 2), (2, 1), "valid"),
    ((7, 6), 3, 2, (1, 1)),
    ((5, 4, 6), 2, None, "valid"),
    ((5, 4, 6), (2, 1, 3), 1, (1, 0, 1)),
]
SIDED = [((7, 6), 3, 2, "same"), ((7, 6), 2, 1, "same"), ((5, 5), (3, 2), 1, ((2, 0), (0, 1)))]


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def random(sizes, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(2, *sizes, 3)))


def all_axes(value, rank):
    return value if isinstance(value, tuple) else (value,) * rank


def reference(reduce, x, window, stride, padding):
    """Reduce each window, NaN standing for padding."""
    sizes = x.shape[1:-1]
    rank = len(sizes)
    k = all_axes(window, rank)
    s = k if stride is None else all_axes(stride, rank)
    if padding == "same":
        total = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(sizes, k, s, strict=True)]
        around = [(t // 2, t - t // 2) for t in total]
    else:
        each = all_axes(0 if padding == "valid" else padding, rank)
        around = [all_axes(p, 2) for p in each]
    x = np.pad(x, [(0, 0), *around, (0, 0)], constant_values=np.nan)
    axes = tuple(range(1, rank + 1))
    windows = np.lib.stride_tricks.sliding_window_view(x, k, axes)
    windows = windows[(slice(None), *(slice(None, None, step) for step in s))]
    return reduce(windows, axis=tuple(range(-rank, 0)))


@pytest.mark.parametrize("case", CASES + SIDED, ids=str)
@pytest.mark.parametrize(
    ("make", "reduce"), [(max_pool, np.nanmax), (avg_pool, np.nanmean)], ids=["max", "avg"]
)
def test_reduces_every_window(make, reduce, case):
    sizes, window, stride, padding = case
    x = random(sizes)
    y = jax.jit(make(window, stride=stride, padding=padding))(EMPTY, x)
    np.testing.assert_allclose(y, reference(reduce, np.asarray(x), *case[1:]), rtol=1e-12)


@pytest.mark.parametrize("ties", [False, True], ids=["distinct", "ties"])
@pytest.mark.parametrize("kind", ["max", "avg"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_agrees_with_torch(case, kind, ties):
    torch = pytest.importorskip("torch")
    sizes, window, stride, padding = case
    rank = len(sizes)
    x = random(sizes)
    x = jax.nn.relu(jnp.round(x)) if ties else x
    name = f"{kind}_pool{rank}d"
    words = {} if kind == "max" else {"count_include_pad": False}
    leaf = torch.tensor(np.asarray(x), requires_grad=True)
    y = torch.movedim(
        getattr(torch.nn.functional, name)(
            torch.movedim(leaf, -1, 1),
            window,
            stride,
            0 if padding == "valid" else padding,
            **words,
        ),
        1,
        -1,
    )
    y.sin().sum().backward()
    layer = {"max": max_pool, "avg": avg_pool}[kind](window, stride=stride, padding=padding)
    np.testing.assert_allclose(jax.jit(layer)(EMPTY, x), y.detach().numpy(), rtol=1e-10)
    grad = jax.jit(jax.grad(lambda x: jnp.sum(jnp.sin(layer(EMPTY, x)))))(x)
    np.testing.assert_allclose(grad, leaf.grad.numpy(), rtol=1e-10, atol=1e-14)


def test_of_equal_entries_the_first_takes_the_gradient():
    layer = max_pool(2)
    x = jnp.zeros((1, 4, 4, 1)).at[0, 1, 0, 0].set(1).at[0, 0, 1, 0].set(1)
    grad = jax.grad(lambda x: jnp.sum(layer(EMPTY, x)))(x)[0, :, :, 0]
    np.testing.assert_array_equal(
        grad, [[0, 1, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]
    )  # fmt: skip


@pytest.mark.parametrize(
    "layer",
    [max_pool(3, stride=2, padding=1), avg_pool(3, stride=2, padding=1), global_max_pool()],
    ids=repr,
)
def test_the_gradient_of_ties_adds_up_to_that_of_y(layer):
    x = jnp.zeros((2, 5, 5, 3))
    y, pullback = jax.vjp(jax.jit(lambda x: layer(EMPTY, x)), x)
    dy = jnp.arange(1.0, y.size + 1).reshape(y.shape)
    np.testing.assert_allclose(pullback(dy)[0].sum(), dy.sum(), rtol=1e-12)


@pytest.mark.parametrize("place", range(4))
def test_nan_is_not_hidden(place):
    x = jnp.ones(4).at[place].set(jnp.nan).reshape(1, 2, 2, 1)
    assert jnp.isnan(max_pool(2)(EMPTY, x)).all()
    assert jnp.isnan(avg_pool(2)(EMPTY, x)).all()


def test_global_pools():
    x = random((3, 4, 5))
    np.testing.assert_allclose(global_max_pool()(EMPTY, x), np.max(x, (1, 2, 3)))
    np.testing.assert_allclose(global_avg_pool()(EMPTY, x), np.mean(x, (1, 2, 3)), rtol=1e-12)


def test_dtypes():
    whole = jnp.arange(4, dtype=jnp.uint8).reshape(1, 2, 2, 1)
    assert max_pool(3, padding=1)(EMPTY, whole).dtype == jnp.uint8
    assert max_pool(2)(EMPTY, whole).item() == 3
    assert avg_pool(2)(EMPTY, whole).item() == 1.5
    assert global_avg_pool()(EMPTY, whole).item() == 1.5
    half = jnp.ones((1, 40, 40, 1), jnp.bfloat16).at[0, 0, 0, 0].set(256)
    for layer in (avg_pool(40), global_avg_pool()):
        y = jax.jit(layer)(EMPTY, half)
        assert y.dtype == jnp.bfloat16
        np.testing.assert_allclose(y.item(), 1855 / 1600, rtol=2**-8)


@pytest.mark.parametrize("layer", [max_pool(2, stride=1), avg_pool(3, padding="same")], ids=repr)
def test_forward_mode_second_order_and_batches(layer):
    x = random((4, 5))
    f = jax.jit(lambda x: jnp.sum(jnp.exp(layer(EMPTY, x))))
    v = jnp.cos(x)
    slope = jax.jvp(f, (x,), (v,))[1]
    np.testing.assert_allclose(slope, jnp.vdot(jax.grad(f)(x), v), rtol=1e-12)
    difference = (jax.grad(f)(x + 1e-6 * v) - jax.grad(f)(x - 1e-6 * v)) / 2e-6
    np.testing.assert_allclose(jax.jvp(jax.grad(f), (x,), (v,))[1], difference, atol=1e-7)
    many = jnp.stack([x, -x])
    np.testing.assert_array_equal(
        jax.vmap(jax.grad(f))(many), jnp.stack([jax.grad(f)(x), jax.grad(f)(-x)])
    )


def test_flatten_keeps_the_batch_and_the_row_order():
    x = jnp.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(flatten()(EMPTY, x), np.arange(24.0).reshape(2, 12))
    assert flatten()(EMPTY, jnp.zeros((0, 3, 4))).shape == (0, 12)
    with pytest.raises(ValueError, match="flatten: x must have at least 1 axes"):
        flatten()(EMPTY, jnp.zeros(()))


@pytest.mark.parametrize(
    ("make", "shape", "message"),
    [
        (lambda: max_pool(0), (1, 4, 4, 1), "max_pool: window must be an integer"),
        (lambda: avg_pool(2, stride=(1, 0)), (1, 4, 4, 1), "avg_pool: each of stride"),
        (lambda: max_pool(2, padding="SAME"), (1, 4, 4, 1), 'padding must be "same", "valid"'),
        (lambda: max_pool((2, 2)), (1, 4, 1), r"\(batch, height, width, channels\)"),
        (lambda: max_pool(5), (1, 4, 4, 1), "window of 5 entries does not fit in 4"),
        (lambda: avg_pool(2, padding=2), (1, 4, 4, 1), "padding must be less than the window"),
        (lambda: global_avg_pool(), (4, 4), r"\(batch, \*spatial, channels\)"),
        (lambda: global_max_pool(), (1, 2, 2, 2, 2, 1), r"\(batch, \*spatial, channels\)"),
    ],
)
def test_bad_arguments_say_what_is_wrong(make, shape, message):
    with pytest.raises(ValueError, match=message):
        nn.serial(make()).init(jax.random.key(0), jnp.zeros(shape))


def test_a_model_that_pools_cannot_be_stepped():
    model = nn.serial(max_pool(2), nn.dense(3))
    variables = model.init(jax.random.key(0), jnp.zeros((1, 4, 2)))
    with pytest.raises(ValueError, match="max_pool: has no step"):
        model.start(variables, jax.ShapeDtypeStruct((1, 4, 2), jnp.float64), nn.Context())

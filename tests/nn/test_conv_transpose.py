"""Transposed convolution against NumPy sums and as the adjoint of `conv`; in loops; its errors."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

# (spatial sizes, channels, features, kernel, stride, padding, groups)
CASES = [
    ((5,), 2, 3, (3,), (2,), "same", 1),
    ((4,), 2, 4, (2,), (3,), "same", 2),  # wider steps than windows: the last entries are b alone
    ((4,), 2, 4, (5,), (2,), ((4, 1),), 1),
    ((3, 4), 4, 2, (2, 2), (2, 2), "valid", 1),
    ((3, 4), 4, 6, (4, 3), (2, 1), "same", 2),
    ((3, 4), 4, 4, (3, 4), (2, 3), (1, (0, 3)), 4),
    ((2, 3, 2), 2, 3, (3, 2, 3), (2, 2, 1), 1, 1),
]


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def make(case, seed=0):
    sizes, channels, features, kernel, stride, padding, groups = case
    layer = nn.conv_transpose(features, kernel, stride, padding=padding, groups=groups)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, *sizes, channels))
    w, b = rng.normal(size=(*kernel, channels // groups, features)), rng.normal(size=features)
    return layer, {"w": w, "b": b}, x


def cuts(case):
    sizes, _, _, kernel, stride, padding, _ = case
    if padding == "same":
        before = [max(k - s, 0) // 2 for k, s in zip(kernel, stride, strict=True)]
        return before, [n * s for n, s in zip(sizes, stride, strict=True)]
    each = (0 if padding == "valid" else padding,) if not isinstance(padding, tuple) else padding
    each = each * len(sizes) if len(each) == 1 else each
    pairs = [p if isinstance(p, tuple) else (p, p) for p in each]
    full = [(n - 1) * s + k for n, s, k in zip(sizes, stride, kernel, strict=True)]
    return [p[0] for p in pairs], [n - sum(p) for n, p in zip(full, pairs, strict=True)]


def reference(case, w, b, x):
    """Lay w down, times each entry of x in turn."""
    sizes, channels, features, _, stride, _, groups = case
    before, outputs = cuts(case)
    y = np.zeros((len(x), *outputs, features)) + b
    inputs, width = channels // groups, features // groups
    for q, t in itertools.product(np.ndindex(*sizes), np.ndindex(*w.shape[:-2])):
        p = tuple(s * i + j - cut for s, i, j, cut in zip(stride, q, t, before, strict=True))
        if all(0 <= i < n for i, n in zip(p, outputs, strict=True)):
            for g in range(groups):
                c, f = slice(g * inputs, (g + 1) * inputs), slice(g * width, (g + 1) * width)
                y[(slice(None), *p, f)] += x[(slice(None), *q, c)] @ w[t][:, f]
    return y


@pytest.mark.parametrize("case", CASES, ids=str)
def test_lays_the_window_down_for_every_entry(case):
    layer, params, x = make(case)
    y = jax.jit(layer)(nn.Variables(params, {}), x)
    expected = reference(case, params["w"], params["b"], x)
    np.testing.assert_allclose(y, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("padding", ["same", "valid", 1])
def test_is_the_adjoint_of_conv(padding):
    """⟨conv x, z⟩ = ⟨x, conv_transpose z⟩ where stride divides the size that conv sees."""
    conv = nn.conv(3, (4, 2), stride=2, padding=padding, bias=False)
    x = np.random.default_rng(0).normal(size=(2, 6, 8, 2))
    w = np.random.default_rng(1).normal(size=(4, 2, 2, 3))
    y, pullback = jax.vjp(lambda x: conv(nn.Variables({"w": w}, {}), x), x)
    z = np.random.default_rng(2).normal(size=y.shape)
    back = nn.conv_transpose(2, (4, 2), 2, padding=padding, bias=False)
    laid = back(nn.Variables({"w": w.swapaxes(-1, -2)}, {}), z)
    np.testing.assert_allclose(laid, pullback(jnp.asarray(z))[0], rtol=1e-12, atol=1e-13)


def test_every_derivative():
    layer, params, x = make(CASES[4])

    def loss(params):
        return jnp.sum(jnp.sin(layer(nn.Variables(params, {}), x)))

    v = jax.tree.map(np.cos, params)
    slope, curved = jax.jit(lambda p, v: jax.jvp(jax.value_and_grad(loss), (p,), (v,))[1])(
        params, v
    )
    gradient = jax.jit(jax.grad(loss))
    here, ahead, behind = (
        gradient(jax.tree.map(lambda p, v, h=h: p + h * v, params, v)) for h in (0, 1e-5, -1e-5)
    )
    np.testing.assert_allclose(slope, sum(np.vdot(here[name], v[name]) for name in v), rtol=1e-11)
    for name in v:
        difference = (ahead[name] - behind[name]) / 2e-5
        np.testing.assert_allclose(curved[name], difference, rtol=1e-6, atol=1e-6)


def test_no_convolution_is_left_to_the_loop_on_cpu():
    layer, params, x = make(CASES[4])

    def descend(params, _):
        loss = lambda p: jnp.sum(layer(nn.Variables(p, {}), x) ** 2)  # noqa: E731
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, jax.grad(loss)(params)), None

    params = jax.device_put(params, jax.local_devices(backend="cpu")[0])
    train = jax.jit(lambda p: jax.lax.scan(descend, p, None, length=3)[0])
    text = train.lower(params).compile().as_text()
    assert "while" in text and "dot" in text and "convolution(" not in text


def test_keeps_an_empty_batch():
    layer, params, x = make(CASES[3])
    assert layer(nn.Variables(params, {}), x[:0]).shape == (0, 6, 8, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": 0}, "features must be an integer"),
        ({"kernel": (3, 0)}, "each of kernel"),
        ({"stride": 0}, "stride must be an integer"),
        ({"stride": (2, 2, 2)}, "stride must hold one integer for each of the 2"),
        ({"groups": 3}, "groups must divide features"),
        ({"groups": 8}, "groups must divide the channels"),
        ({"padding": "full"}, 'padding must be "same", "valid"'),
        ({"padding": 3}, r"less than the window.* got padding \(\(3, 3\), \(3, 3\)\) with kernel"),
        ({"padding": ((1, 1),)}, "padding must hold one integer for each of the 2"),
        ({"kernel": (3,)}, r"\(batch, length, channels\)"),
    ],
)  # fmt: skip
def test_bad_arguments_say_what_is_wrong(arguments, message):
    with pytest.raises(ValueError, match=f"conv_transpose: .*{message}"):
        layer = nn.conv_transpose(**{"features": 8, "kernel": 3, "stride": 2, **arguments})
        layer.init(jax.random.key(0), jnp.zeros((1, 2, 2, 4)))


def test_refuses_an_x_that_w_was_not_made_for():
    layer = nn.conv_transpose(8, 3, 2)
    variables = layer.init(jax.random.key(0), jnp.zeros((1, 2, 2, 4)))
    with pytest.raises(ValueError, match="conv_transpose: x has 3 features"):
        layer(variables, jnp.zeros((1, 2, 2, 3)))
    with pytest.raises(ValueError, match=r"w must be \(2, 2, 4, 8\), got \(3, 3, 4, 8\)"):
        nn.conv_transpose(8, 2, 2)(variables, jnp.zeros((1, 2, 2, 4)))

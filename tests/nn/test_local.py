"""Locally connected layer against NumPy: weights of its own at every position."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

# (spatial sizes, kernel, stride, padding, outputs)
CASES = [
    ((7,), (3,), 2, "valid", (3,)),
    ((5, 4), (2, 3), 1, "valid", (4, 2)),
    ((5, 4), (2, 3), (2, 1), "same", (3, 4)),
    ((3, 3, 3), (2, 2, 2), 1, ((1, 0), 0, 0), (3, 2, 2)),
]


def make(case, bias=True):
    sizes, kernel, stride, padding, outputs = case
    rng = np.random.default_rng(0)
    layer = nn.local_conv(4, kernel, stride=stride, padding=padding, bias=bias)
    x = rng.normal(size=(2, *sizes, 3)).astype(np.float32)
    w = rng.normal(size=(*outputs, *kernel, 3, 4)).astype(np.float32)
    b = rng.normal(size=(*outputs, 4)).astype(np.float32)
    return layer, {"w": w, "b": b} if bias else {"w": w}, x


def reference(case, params, x):
    sizes, kernel, stride, padding, outputs = case
    steps = stride if isinstance(stride, tuple) else (stride,) * len(sizes)
    around = {"valid": [(0, 0)] * 2, "same": [(0, 1), (1, 1)]}.get(str(padding))
    around = around[: len(sizes)] if around else [(1, 0), (0, 0), (0, 0)]
    x = np.pad(x, [(0, 0), *around, (0, 0)])
    y = np.zeros((len(x), *outputs, 4), np.float32)
    for p in np.ndindex(*outputs):
        window = tuple(slice(i * s, i * s + k) for i, s, k in zip(p, steps, kernel, strict=True))
        patch = x[(slice(None), *window)].reshape(len(x), -1)
        y[(slice(None), *p)] = patch @ params["w"][p].reshape(-1, 4)
    return y + params.get("b", 0)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_is_the_defining_sum(case):
    layer, params, x = make(case)
    y = jax.jit(layer)(nn.Variables(params, {}), x)
    np.testing.assert_allclose(y, reference(case, params, x), rtol=1e-5, atol=1e-5)
    made = jax.eval_shape(layer.init, jax.random.key(0), x).params
    assert jax.tree.map(jnp.shape, made) == jax.tree.map(np.shape, params)


def test_with_one_window_everywhere_it_is_conv():
    layer, params, x = make(CASES[1], bias=False)
    w = params["w"][0, 0]
    shared = nn.Variables({"w": np.broadcast_to(w, params["w"].shape)}, {})
    conv = nn.conv(4, (2, 3), padding="valid", bias=False)
    np.testing.assert_allclose(
        layer(shared, x), conv(nn.Variables({"w": w}, {}), x), rtol=1e-5, atol=1e-5
    )


def test_the_gradient_of_a_position_is_its_patch():
    layer, params, x = make(CASES[1], bias=False)
    gradient = jax.grad(lambda p: layer(nn.Variables(p, {}), x)[:, 1, 0, 2].sum())(params)["w"]
    expected = np.zeros_like(gradient)
    expected[1, 0, ..., 2] = x[:, 1:3, 0:3].sum(0)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-6)


def test_starts_with_unit_variance_and_positions_of_their_own():
    x = jax.random.normal(jax.random.key(1), (8, 10, 10, 16))
    layer = nn.local_conv(8, 3)
    variables = layer.init(jax.random.key(0), x)
    np.testing.assert_allclose(layer(variables, x).var(), 1, rtol=0.05)
    w = variables.params["w"]
    assert abs(jnp.vdot(w[0, 0], w[0, 1])) < 0.2 * jnp.vdot(w[0, 0], w[0, 0])


def test_bad_arguments_say_what_is_wrong():
    layer, params, x = make(CASES[1])
    with pytest.raises(ValueError, match="local_conv: features must be an integer"):
        nn.local_conv(0, 3)
    with pytest.raises(ValueError, match="local_conv: each of stride must be an integer"):
        nn.local_conv(1, 3, stride=(1, 0))
    with pytest.raises(ValueError, match="local_conv: a window of 9 entries does not fit"):
        nn.local_conv(1, 9).init(jax.random.key(0), x)
    with pytest.raises(ValueError, match=r"local_conv: x has 2 features .* made for 3"):
        layer(nn.Variables(params, {}), x[..., :2])
    with pytest.raises(ValueError, match=r"w must be \(3, 2, 2, 3, 3, 4\), got \(4, 2, 2, 3, 3, 4"):
        layer(nn.Variables(params, {}), x[:, 1:])
    with pytest.raises(ValueError, match="local_conv: x must have shape"):
        nn.local_conv(4, 2)(nn.Variables(params, {}), x[:, 0])

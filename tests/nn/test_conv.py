"""Convolution against NumPy sums, the library's own, and torch; under every transform."""

import functools

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn
from laminax.nn._convolution import _convolve
from laminax.nn._convolution._conv import conv
from laminax.nn._convolution._convolve import by_library, by_patches

# (spatial sizes, channels, features, kernel, stride, dilation, padding, groups)
CASES = [
    ((9,), 2, 3, (3,), 1, 1, "valid", 1),
    ((9,), 4, 6, (4,), 2, 1, 2, 2),
    ((10,), 3, 6, (3,), 1, 2, "same", 3),
    ((6, 7), 8, 2, (3, 3), 1, 1, "same", 1),  # the product comes before the sum of rows
    ((9, 7), 8, 2, (3, 2), 1, (2, 1), ((3, 1), (0, 2)), 1),  # so here, with dilated rows
    ((6, 7), 1, 5, (3, 2), 1, 1, "valid", 1),  # the patches come before the product
    ((8, 7), 4, 6, (2, 3), (2, 3), 1, (1, (0, 2)), 2),
    ((8, 8), 3, 4, (2, 2), 2, 1, "valid", 1),  # windows side by side
    ((7, 7), 3, 4, (2, 2), 2, 1, "valid", 1),  # so here, with a row and a column left over
    ((5, 6), 4, 8, (3, 3), 2, 1, "same", 4),
    ((5, 5), 3, 4, (1, 1), 2, 1, "valid", 1),
    ((5, 4, 6), 2, 4, (2, 3, 2), (1, 2, 1), 1, "same", 1),
    ((5, 4, 6), 6, 2, (3, 1, 2), 1, (2, 1, 1), 1, 1),
    ((4, 4, 4), 2, 4, (2, 2, 2), 1, 1, "valid", 2),
]


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def make(case, seed=0):
    sizes, channels, features, kernel, stride, dilation, padding, groups = case
    layer = conv(features, kernel, stride=stride, dilation=dilation, padding=padding, groups=groups)
    rng = np.random.default_rng(seed)
    x = jnp.asarray(rng.normal(size=(2, *sizes, channels)))
    params = {
        "w": jnp.asarray(rng.normal(size=(*kernel, channels // groups, features))),
        "b": jnp.asarray(rng.normal(size=features)),
    }
    return layer, params, x


def all_axes(value, rank):
    return value if isinstance(value, tuple) else (value,) * rank


def pairs(case):
    sizes, _, _, kernel, stride, dilation, padding, _ = case
    rank = len(sizes)
    if padding == "same":
        steps, spread = all_axes(stride, rank), all_axes(dilation, rank)
        totals = [
            max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
            for n, k, s, d in zip(sizes, kernel, steps, spread, strict=True)
        ]
        return [(t // 2, t - t // 2) for t in totals]
    each = all_axes(0 if padding == "valid" else padding, rank)
    return [all_axes(p, 2) for p in each]


def reference(case, w, b, x):
    """The defining sum, one output entry at a time."""
    sizes, channels, features, kernel, stride, dilation, _, groups = case
    rank = len(sizes)
    s, d = all_axes(stride, rank), all_axes(dilation, rank)
    x = np.pad(x, [(0, 0), *pairs(case), (0, 0)])
    inputs, outputs = channels // groups, features // groups
    shape = [(n - d[i] * (kernel[i] - 1) - 1) // s[i] + 1 for i, n in enumerate(x.shape[1:-1])]
    y = np.zeros((len(x), *shape, features)) + b
    for p in np.ndindex(*shape):
        for t in np.ndindex(*kernel):
            entry = x[(slice(None), *(p[i] * s[i] + t[i] * d[i] for i in range(rank)))]
            for g in range(groups):
                c, f = slice(g * inputs, (g + 1) * inputs), slice(g * outputs, (g + 1) * outputs)
                y[(slice(None), *p, f)] += entry[:, c] @ w[t][:, f]
    return y


def close(got, expected, tolerance=1e-12):
    scale = np.abs(np.asarray(expected)).max()
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_is_the_defining_sum(case):
    layer, params, x = make(case)
    close(
        jax.jit(layer)(nn.Variables(params, {}), x),
        reference(case, *map(np.asarray, (*map(params.get, "wb"), x))),
    )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients_are_those_of_the_library(case):
    layer, params, x = make(case)
    rank = len(case[0])
    library = functools.partial(
        by_library,
        stride=all_axes(case[4], rank),
        dilation=all_axes(case[5], rank),
        around=tuple(pairs(case)),
        groups=case[7],
    )

    def ours(x, w):
        return layer(nn.Variables({**params, "w": w}, {}), x) - params["b"].reshape(
            (1,) * (rank + 1) + (-1,)
        )

    def loss(f):
        return lambda x, w: jnp.sum(jnp.sin(f(x, w)))

    got = jax.jit(jax.value_and_grad(loss(ours), (0, 1)))(x, params["w"])
    expected = jax.jit(jax.value_and_grad(loss(library), (0, 1)))(x, params["w"])
    jax.tree.map(close, got, expected)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_agrees_with_torch(case):
    torch = pytest.importorskip("torch")
    sizes, _, _, _, stride, dilation, _, groups = case
    rank = len(sizes)
    layer, params, x = make(case)

    def theirs(x, w, b):
        around = [amount for pair in reversed(pairs(case)) for amount in pair]
        function = [torch.conv1d, torch.conv2d, torch.conv3d][rank - 1]
        x = torch.nn.functional.pad(torch.movedim(x, -1, 1), around)
        w = torch.movedim(w, (-1, -2), (0, 1))
        y = function(x, w, b, stride=stride, dilation=dilation, groups=groups)
        return torch.movedim(y, 1, -1)

    leaves = [
        torch.tensor(np.asarray(a), requires_grad=True) for a in (x, params["w"], params["b"])
    ]
    y = theirs(*leaves)
    y.sin().sum().backward()

    def ours(x, w, b):
        return layer(nn.Variables({"w": w, "b": b}, {}), x)

    close(jax.jit(ours)(x, params["w"], params["b"]), y.detach().numpy(), 1e-10)
    got = jax.jit(jax.grad(lambda *a: jnp.sum(jnp.sin(ours(*a))), (0, 1, 2)))(
        x, params["w"], params["b"]
    )
    for mine, leaf in zip(got, leaves, strict=True):
        close(mine, leaf.grad.numpy(), 1e-10)


TRANSFORMED = [CASES[3], CASES[6], CASES[9]]


@pytest.mark.parametrize("case", TRANSFORMED, ids=str)
def test_forward_mode_and_second_order(case):
    layer, params, x = make(case)

    def loss(params):
        return jnp.sum(jnp.sin(layer(nn.Variables(params, {}), x)))

    direction = jax.tree.map(jnp.cos, params)
    slope = jax.jit(lambda p, v: jax.jvp(loss, (p,), (v,))[1])(params, direction)

    def inner(a, b):
        return sum(jax.tree.leaves(jax.tree.map(jnp.vdot, a, b)))

    gradient = jax.jit(jax.grad(loss))
    close(slope, inner(gradient(params), direction))
    curved = jax.jit(lambda p, v: jax.jvp(jax.grad(loss), (p,), (v,))[1])(params, direction)

    def moved(h):
        return jax.tree.map(lambda p, v: p + h * v, params, direction)

    difference = jax.tree.map(
        lambda a, b: (a - b) / 2e-5, gradient(moved(1e-5)), gradient(moved(-1e-5))
    )
    jax.tree.map(lambda a, b: close(a, b, 1e-7), curved, difference)

    def small(w):
        return loss({**params, "w": params["w"].at[..., 0].add(w)})

    columns = jnp.zeros(params["w"].shape[:-1])
    hessian = jax.jit(jax.hessian(small))(columns)
    product = jax.jit(lambda w, v: jax.jvp(jax.grad(small), (w,), (v,))[1])
    close(jnp.tensordot(hessian, columns + 1, columns.ndim), product(columns, columns + 1))


@pytest.mark.parametrize("case", TRANSFORMED, ids=str)
def test_an_ensemble_is_its_members(case):
    layer, params, x = make(case)
    members = jax.tree.map(lambda a: jnp.stack([a, 2 * a, jnp.cos(a)]), params)

    def loss(params):
        return jnp.sum(jnp.sin(layer(nn.Variables(params, {}), x)))

    together = jax.jit(jax.vmap(jax.value_and_grad(loss)))(members)
    for i in range(3):
        alone = jax.jit(jax.value_and_grad(loss))(jax.tree.map(lambda a, i=i: a[i], members))
        jax.tree.map(lambda a, b, i=i: close(a[i], b), together, alone)


@pytest.mark.parametrize("case", [CASES[3], CASES[6], CASES[9]], ids=str)
def test_some_examples_at_a_time_are_all_at_once(case, monkeypatch):
    """Large patches are made for a part of the batch at a time: values, derivatives, members."""
    layer, params, _ = make(case)
    x = jnp.asarray(np.random.default_rng(1).normal(size=(6, *case[0], case[1])))

    def loss(params, x):
        y = layer(nn.Variables(params, {}), x)
        return jnp.vdot(jnp.sin(y), jnp.cos(jnp.arange(y.size)).reshape(y.shape))

    def results():
        v = jax.tree.map(jnp.cos, (params, x))
        gradient = jax.value_and_grad(lambda *a: loss(*a), (0, 1))  # not traced before
        members = jax.tree.map(lambda p: jnp.stack([p, 2 * p]), params)
        return jax.jit(
            lambda: (
                jax.jvp(gradient, (params, x), v),
                jax.vmap(gradient, (0, None))(members, x),
            )
        )

    whole = results()()
    monkeypatch.setattr(_convolve, "_CACHE", 1000)
    parts = results()
    assert "while" in parts.lower().as_text() or jax.default_backend() != "cpu"
    jax.tree.map(lambda a, b: close(a, b, 1e-11), parts(), whole)


def test_a_batch_over_devices_in_turns(monkeypatch):
    monkeypatch.setattr(_convolve, "_CACHE", 1000)
    layer, params, _ = make(CASES[3])
    x = np.random.default_rng(1).normal(size=(16, *CASES[3][0], CASES[3][1]))
    mesh = jax.make_mesh((jax.device_count(),), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    over = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    apply = jax.jit(lambda params, x: layer(nn.Variables(params, {}), x))
    expected = apply(params, jnp.asarray(x))
    close(apply(params, jax.device_put(x, over)), expected)


def test_no_convolution_is_left_to_the_loop_on_cpu():
    """In a loop body the back end runs a convolution's gradients entry by entry."""
    layer, params, x = make(CASES[3])

    def loss(params, x):
        return jnp.sum(layer(nn.Variables(params, {}), x) ** 2)

    def train(params, x):
        def descend(p, _):
            return (
                jax.tree.map(lambda p, g: p - 0.1 * g, p, jax.grad(loss)(p, x)),
                None,
            )

        return jax.lax.scan(descend, params, None, length=3)[0]

    params, x = jax.device_put((params, x), jax.local_devices(backend="cpu")[0])
    text = jax.jit(train).lower(params, x).compile().as_text()
    assert "while" in text and "dot" in text
    assert "convolution(" not in text


def test_patches_are_not_kept_for_the_backward_pass():
    layer, params, x = make(CASES[3])

    def loss(params, x):
        return jnp.sum(jnp.sin(layer(nn.Variables(params, {}), x)))

    _, pullback = jax.vjp(loss, params, x)
    outputs = layer(nn.Variables(params, {}), x).size
    assert (
        sum(leaf.size for leaf in jax.tree.leaves(pullback))
        <= 2 * outputs + x.size + params["w"].size + 9
    )


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_adds_up_in_float32(dtype):
    _, params, x = make(CASES[3])
    x, w = x.astype(dtype), params["w"].astype(dtype)
    geometry = {"stride": (1, 1), "dilation": (1, 1), "around": ((1, 1), (1, 1)), "groups": 1}
    exact = jax.jit(functools.partial(by_library, **geometry))(
        x.astype(jnp.float64), w.astype(jnp.float64)
    )
    y = jax.jit(functools.partial(by_patches, **geometry))(x, w)
    assert y.dtype == dtype
    np.testing.assert_allclose(y.astype(jnp.float64), exact, 0.51 * jnp.finfo(dtype).eps, 1e-5)


def test_answers_in_the_common_dtype_of_x_and_w():
    layer, params, x = make(CASES[3])

    def to(tree, dtype):
        return jax.tree.map(lambda a: a.astype(dtype), tree)

    def answer(p, x):
        return jax.eval_shape(layer, nn.Variables(p, {}), x).dtype

    assert answer(to(params, jnp.float32), x.astype(jnp.bfloat16)) == jnp.float32
    assert answer(to(params, jnp.bfloat16), x.astype(jnp.bfloat16)) == jnp.bfloat16
    assert answer(to(params, jnp.float32), x.astype(jnp.uint8)) == jnp.float32


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_keeps_an_empty_batch(groups):
    layer = conv(8, 3, groups=groups)
    variables = layer.init(jax.random.key(0), jnp.zeros((1, 5, 5, 4)))
    assert layer(variables, jnp.zeros((0, 5, 5, 4))).shape == (0, 5, 5, 8)


def test_starts_with_unit_variance():
    layer = conv(64, 3, groups=2, padding="valid")
    x = jax.random.normal(jax.random.key(1), (4, 20, 20, 32))
    variables = layer.init(jax.random.key(0), x)
    assert variables.params["w"].shape == (3, 3, 16, 64)
    np.testing.assert_allclose(jax.jit(layer)(variables, x).var(), 1, rtol=0.05)
    np.testing.assert_array_equal(variables.params["b"], np.zeros(64))


def test_a_single_integer_takes_its_rank_from_x():
    x = jnp.zeros((1, 5, 5, 5, 2))
    assert conv(3, 2).init(jax.random.key(0), x).params["w"].shape == (2, 2, 2, 2, 3)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_it_is_exported_for_a_batch_of_any_size(groups):
    layer = conv(8, 3, groups=groups, stride=2)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(5, 6, 7, 4)))
    variables = layer.init(jax.random.key(0), x)
    (batch,) = jax.export.symbolic_shape("batch")
    spec = jax.ShapeDtypeStruct((batch, *x.shape[1:]), x.dtype)
    program = jax.export.export(jax.jit(lambda x: layer(variables, x)), platforms=("cpu", "tpu"))
    np.testing.assert_allclose(program(spec).call(x), layer(variables, x), rtol=1e-10)


@pytest.mark.parametrize(
    ("arguments", "x", "message"),
    [
        ({"features": 0}, (2, 5, 5, 4), "features must be an integer"),
        ({"kernel": 0}, (2, 5, 5, 4), "kernel must be an integer"),
        ({"kernel": (3, 3, 3, 3)}, (2, 5, 5, 4), "one to three integers"),
        ({"stride": (1, 0)}, (2, 5, 5, 4), "each of stride must be an integer"),
        ({"dilation": (1, 2, 1)}, (2, 5, 5, 4), "dilation must hold one integer for each of the 2"),
        ({"padding": "full"}, (2, 5, 5, 4), 'padding must be "same", "valid"'),
        ({"padding": -1}, (2, 5, 5, 4), 'padding must be "same", "valid"'),
        ({"padding": ((1, 2, 3), 1)}, (2, 5, 5, 4), 'padding must be "same", "valid"'),
        ({"padding": (1,)}, (2, 5, 5, 4), "padding must hold one integer for each of the 2"),
        ({"groups": 3}, (2, 5, 5, 4), "groups must divide features"),
        ({"features": 9, "groups": 3}, (2, 5, 5, 4), "groups must divide the channels"),
        ({}, (5, 4), r"\(batch, \*spatial, channels\), got float64\[5, 4\]"),
        ({"kernel": (3, 3)}, (2, 5, 4), r"\(batch, height, width, channels\)"),
        ({"padding": "valid", "dilation": 3}, (2, 5, 5, 4), "window of 7 entries does not fit"),
    ],
)  # fmt: skip
def test_bad_arguments_say_what_is_wrong(arguments, x, message):
    with pytest.raises(ValueError, match=message):
        nn.serial(conv(**{"features": 8, "kernel": 3, **arguments})).init(
            jax.random.key(0), jnp.zeros(x)
        )


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ((2, 5, 5, 3), "x has 3 features on its last axis"),
        ((2, 5, 5, 5, 4), r"\(batch, height, width, channels\), got float64\[2, 5, 5, 5, 4\]"),
    ],
)
def test_an_x_that_w_was_not_made_for(x, message):
    layer = conv(8, 3)
    variables = layer.init(jax.random.key(0), jnp.zeros((2, 5, 5, 4)))
    with pytest.raises(ValueError, match=message):
        layer(variables, jnp.zeros(x))
    with pytest.raises(ValueError, match="parameters of another model"):
        conv(8, 2)(variables, jnp.zeros((2, 5, 5, 4)))

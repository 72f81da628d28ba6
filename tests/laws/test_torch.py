"""Parity with torch in float64: outputs, and gradients of parameters and inputs, to 1e-10.

torch's arrays are the reference; weights are copied over. Without torch the layers are compared
with the same equations in NumPy by the files of `tests/nn`, and these tests are skipped.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

torch = pytest.importorskip("torch", reason="torch is not installed: parity with it is unchecked")
F = torch.nn.functional


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def compare(ours, theirs, arrays, rtol=1e-10):
    """Compare `ours(arrays)` with `theirs(tensors)`, both a dict of arrays to one array."""
    weights = None

    def total(arrays: Any) -> Any:
        y = ours(arrays)
        return (y * weights).sum(), y

    tensors = {
        name: torch.tensor(a, requires_grad=np.issubdtype(a.dtype, np.floating))
        for name, a in arrays.items()
    }
    expected = theirs(tensors)
    weights = normal(*expected.shape, seed=9)
    (expected * torch.tensor(weights)).sum().backward()
    integers = {name: a for name, a in arrays.items() if np.issubdtype(a.dtype, np.integer)}
    floats = {name: jnp.asarray(a) for name, a in arrays.items() if name not in integers}
    run = jax.jit(jax.value_and_grad(lambda floats: total({**floats, **integers}), has_aux=True))
    (_, y), gradients = run(floats)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=rtol, atol=1e-12)
    for name, gradient in gradients.items():
        reference = tensors[name].grad.numpy()
        np.testing.assert_allclose(gradient, reference, rtol=rtol, atol=1e-11, err_msg=name)


def evaluate(layer, arrays, state=None):
    params = {name: a for name, a in arrays.items() if name != "x"}
    return layer(nn.Variables(params, state or {}), arrays["x"])


@pytest.mark.parametrize("bias", [True, False])
def test_dense(bias):
    arrays = {"x": normal(4, 5, 3), "w": normal(3, 7)} | ({"b": normal(7)} if bias else {})
    compare(
        lambda a: evaluate(nn.dense(7, bias=bias), a),
        lambda t: F.linear(t["x"], t["w"].T, t.get("b")),
        arrays,
    )


def test_embedding():
    compare(
        lambda a: evaluate(nn.embedding(9, 4), a),
        lambda t: F.embedding(t["x"], t["table"]),
        {"x": np.array([[1, 8, 0], [1, 1, 5]]), "table": normal(9, 4)},
    )


def test_layer_norm():
    compare(
        lambda a: evaluate(nn.layer_norm(epsilon=1e-3), a),
        lambda t: F.layer_norm(t["x"], (6,), t["scale"], t["bias"], eps=1e-3),
        {"x": normal(4, 5, 6) + 3, "scale": normal(6, seed=1), "bias": normal(6, seed=2)},
    )


NORM = {"x": normal(4, 5, 3, 6) + 3, "scale": normal(6, seed=1), "bias": normal(6, seed=2)}
MEAN, VAR = normal(6, seed=3), normal(6, seed=4) ** 2


@pytest.mark.parametrize("train", [True, False])
def test_batch_norm(train):
    mean, var = torch.tensor(MEAN), torch.tensor(VAR)
    layer = nn.batch_norm(momentum=0.7, epsilon=1e-3)

    def ours(a):
        params = {name: a[name] for name in ("scale", "bias")}
        state = {"mean": jnp.asarray(MEAN), "var": jnp.asarray(VAR)}
        return layer.apply(params, state, a["x"], nn.Context(train=train))

    def theirs(t):
        x = t["x"].permute(0, 3, 1, 2)
        y = F.batch_norm(
            x, mean, var, t["scale"], t["bias"], training=train, momentum=0.3, eps=1e-3
        )
        return y.permute(0, 2, 3, 1)

    compare(lambda a: ours(a)[0], theirs, NORM)
    _, state = ours(NORM)
    np.testing.assert_allclose(state["mean"], mean, rtol=1e-12)
    np.testing.assert_allclose(state["var"], var, rtol=1e-12)


def channels_first(x):
    return x.movedim(-1, 1)


@pytest.mark.parametrize(
    ("rank", "kernel", "options"),
    [
        (1, 3, {}),
        (1, 4, {"stride": 3, "bias": False}),
        (2, 3, {}),
        (2, (3, 2), {"stride": 2}),
        (2, 3, {"dilation": 2}),
        (2, 3, {"groups": 2}),
        (2, 2, {"stride": (1, 2), "dilation": (2, 1), "groups": 4}),
        (2, 1, {}),
        (3, 2, {"stride": 2}),
    ],
)
def test_conv_valid(rank, kernel, options):
    groups, bias = options.get("groups", 1), options.get("bias", True)
    size = (kernel,) * rank if isinstance(kernel, int) else kernel
    arrays = {"x": normal(2, *(9, 8, 7)[:rank], 4), "w": normal(*size, 4 // groups, 8, seed=1)}
    layer = nn.conv(8, kernel, padding="valid", **options)
    convolve = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]
    named = {name: value for name, value in options.items() if name != "bias"}

    def theirs(t):
        w = t["w"].movedim((-1, -2), (0, 1))
        return convolve(channels_first(t["x"]), w, t.get("b"), **named).movedim(1, -1)

    compare(lambda a: evaluate(layer, a), theirs, arrays | ({"b": normal(8)} if bias else {}))


@pytest.mark.parametrize(("kernel", "dilation"), [(3, 1), (5, 1), (3, 2), (2, 1)])
def test_conv_same(kernel, dilation):
    arrays = {"x": normal(2, 7, 6, 3), "w": normal(kernel, kernel, 3, 5, seed=1), "b": normal(5)}
    layer = nn.conv(5, kernel, dilation=dilation)

    def theirs(t):
        w = t["w"].permute(3, 2, 0, 1)
        x = channels_first(t["x"])
        extra = dilation * (kernel - 1)  # an odd one goes after, as in TensorFlow
        x = F.pad(x, (extra // 2, extra - extra // 2) * 2)
        y = F.conv2d(x, w, t["b"], dilation=dilation)
        return y.permute(0, 2, 3, 1)

    compare(lambda a: evaluate(layer, a), theirs, arrays)


@pytest.mark.parametrize(("window", "stride"), [(2, None), (3, 2), (2, 1), (3, None)])
@pytest.mark.parametrize("kind", ["max", "avg"])
def test_pool(kind, window, stride):
    layer = {"max": nn.max_pool, "avg": nn.avg_pool}[kind](window, stride=stride)
    pool = {"max": F.max_pool2d, "avg": F.avg_pool2d}[kind]
    compare(
        lambda a: evaluate(layer, a),
        lambda t: pool(channels_first(t["x"]), window, stride).movedim(1, -1),
        {"x": normal(2, 7, 6, 3)},
    )


def test_global_pools():
    x = {"x": normal(2, 7, 6, 3)}
    compare(lambda a: evaluate(nn.global_avg_pool(), a), lambda t: t["x"].mean((1, 2)), x)
    compare(lambda a: evaluate(nn.global_max_pool(), a), lambda t: t["x"].amax((1, 2)), x)


ACTIVATIONS = {
    "relu": F.relu,
    "gelu": lambda x: F.gelu(x, approximate="tanh"),
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "softmax": lambda x: F.softmax(x, -1),
    "tanh": torch.tanh,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name):
    x = {"x": 3 * normal(4, 7)}
    compare(lambda a: getattr(nn, name)(a["x"]), lambda t: ACTIVATIONS[name](t["x"]), x)


def test_cross_entropy_of_classes():
    compare(
        lambda a: nn.losses.cross_entropy(a["z"], a["labels"]),
        lambda t: F.cross_entropy(t["z"], t["labels"], reduction="none"),
        {"z": 5 * normal(6, 4), "labels": np.array([0, 3, 1, 1, 2, 0])},
    )


def test_cross_entropy_of_probabilities():
    p = np.random.default_rng(2).dirichlet(np.ones(4), 6)
    compare(
        lambda a: nn.losses.cross_entropy(a["z"], p),
        lambda t: F.cross_entropy(t["z"], torch.tensor(p), reduction="none"),
        {"z": 5 * normal(6, 4)},
    )


def test_squared_error():
    target = normal(6, 4, seed=1)
    compare(
        lambda a: nn.losses.squared_error(a["y"], target),
        lambda t: F.mse_loss(t["y"], torch.tensor(target), reduction="none").sum(1),
        {"y": normal(6, 4)},
    )


def test_lenet():
    model = nn.lenet()
    x = normal(3, 28, 28, 1)
    params = model.init(jax.random.key(0), x).params
    arrays = {"x": x} | {
        f"{layer}.{leaf}": np.asarray(a) for layer, p in params.items() for leaf, a in p.items()
    }

    def ours(a):
        tree = {layer: {leaf: a[f"{layer}.{leaf}"] for leaf in p} for layer, p in params.items()}
        return model(nn.Variables(tree, {}), a["x"])

    def theirs(t):
        h = channels_first(t["x"])
        for layer, padding in (("conv_0", "same"), ("conv_1", "valid")):
            w = t[f"{layer}.w"].permute(3, 2, 0, 1)
            h = F.max_pool2d(F.relu(F.conv2d(h, w, t[f"{layer}.b"], padding=padding)), 2)
        h = h.permute(0, 2, 3, 1).flatten(1)
        for layer in ("dense_0", "dense_1", "dense_2"):
            h = F.linear(h, t[f"{layer}.w"].T, t[f"{layer}.b"])
            h = F.relu(h) if layer != "dense_2" else h
        return h

    compare(ours, theirs, arrays)

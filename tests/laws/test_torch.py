"""Parity with torch in float64: outputs, and gradients of parameters and inputs, to 1e-10.

torch's arrays are the reference; weights are copied over. Without torch the layers are compared
with the same equations in NumPy by the files of `tests/nn`, and these tests are skipped.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

from .parity import channels_first, compare, evaluate, normal

torch = pytest.importorskip("torch", reason="torch is not installed: parity with it is unchecked")
F = torch.nn.functional


pytestmark = pytest.mark.usefixtures("float64")


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

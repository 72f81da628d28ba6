"""Parity of normalization with torch in float64, of activations and of weights."""

import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

from .parity import channels_first, compare, evaluate, normal

torch = pytest.importorskip("torch", reason="torch is not installed: parity with it is unchecked")
F = torch.nn.functional
P = torch.nn.utils.parametrizations

pytestmark = pytest.mark.usefixtures("float64")

AFFINE = {"scale": normal(6, seed=1), "bias": normal(6, seed=2)}
SHAPES = [(4, 5, 6), (4, 3, 2, 6), (2, 3, 2, 2, 6)]


@pytest.mark.parametrize("shape", [(4, 6), *SHAPES])
def test_group_norm(shape):
    compare(
        lambda a: evaluate(nn.group_norm(3, epsilon=1e-3), a),
        lambda t: F.group_norm(
            channels_first(t["x"]), 3, t["scale"], t["bias"], eps=1e-3
        ).movedim(1, -1),
        {"x": normal(*shape) + 3, **AFFINE},
    )  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_instance_norm(shape):
    compare(
        lambda a: evaluate(nn.instance_norm(epsilon=1e-3), a),
        lambda t: F.instance_norm(
            channels_first(t["x"]), weight=t["scale"], bias=t["bias"], eps=1e-3
        ).movedim(1, -1),
        {"x": normal(*shape) + 3, **AFFINE},
    )


def test_rms_norm():
    compare(
        lambda a: evaluate(nn.rms_norm(epsilon=1e-3), a),
        lambda t: F.rms_norm(t["x"], (6,), t["scale"], eps=1e-3),
        {"x": normal(4, 5, 6) + 3, "scale": AFFINE["scale"]},
    )


@pytest.mark.parametrize("size", [1, 2, 3, 5, 9])
def test_local_response_norm(size):
    """Torch divides α by the size of the window."""
    compare(
        lambda a: evaluate(nn.local_response_norm(size, alpha=0.3 / size, beta=0.6, k=1.5), a),
        lambda t: F.local_response_norm(
            channels_first(t["x"]), size, alpha=0.3, beta=0.6, k=1.5
        ).movedim(1, -1),
        {"x": normal(2, 3, 4, 7)},
    )


DENSE = {"x": normal(4, 5), "w": normal(5, 3, seed=1), "b": normal(3, seed=2)}
CONV = {"x": normal(2, 6, 5, 4), "w": normal(3, 2, 4, 7, seed=1), "b": normal(7, seed=2)}


def dense_in_torch():
    return torch.nn.Linear(5, 3, dtype=torch.float64)


def conv_in_torch():
    return torch.nn.Conv2d(4, 7, (3, 2), dtype=torch.float64)


CASES = {
    "dense": (lambda: nn.dense(3), dense_in_torch, DENSE, lambda w: w.T),
    "conv": (
        lambda: nn.conv(7, (3, 2), padding="valid"),
        conv_in_torch,
        CONV,
        lambda w: w.permute(3, 2, 0, 1),
    ),
}


def called(module, arrays, tensors):
    """Run a module of torch with its arrays replaced, channels last outside."""
    x = tensors["x"]
    spatial = x.ndim > 2
    y = torch.func.functional_call(module, arrays, channels_first(x) if spatial else x)
    return y.movedim(1, -1) if spatial else y


@pytest.mark.parametrize("case", CASES)
def test_weight_norm(case):
    make, other, arrays, theirs_from = CASES[case]
    layer, module = nn.weight_norm(make(), "w"), P.weight_norm(other(), dim=0)
    arrays = {"x": arrays["x"], "b": arrays["b"], "v": arrays["w"], "g": 1 + arrays["b"] ** 2}

    def ours(a):
        params = {"b": a["b"], "w": {"g": a["g"], "v": a["v"]}}
        return layer(nn.Variables(params, {}), a["x"])

    def theirs(t):
        v = theirs_from(t["v"])
        g = t["g"].reshape(-1, *(1,) * (v.ndim - 1))
        names = "parametrizations.weight.original0", "parametrizations.weight.original1"
        return called(module, dict(zip((*names, "bias"), (g, v, t["b"]), strict=True)), t)

    compare(ours, theirs, arrays)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_spectral_norm(case, train):
    make, other, arrays, theirs_from = CASES[case]
    layer, module = nn.spectral_norm(make(), "w"), P.spectral_norm(other()).train(train)
    u = normal(arrays["w"].shape[-1], seed=5)
    u /= np.linalg.norm(u)
    written = torch.tensor(u)

    def ours(a):
        params = {"b": a["b"], "w": a["w"]}
        return layer.apply(params, {"w": {"u": jnp.asarray(u)}}, a["x"], nn.Context(train=train))

    def theirs(t):
        w = theirs_from(t["w"])
        v = F.normalize(w.detach().flatten(1).T @ torch.tensor(u), dim=0)
        names = ("original", "0._u", "0._v")
        inside = dict(zip(names, (w, written, v), strict=True))
        arrays = {f"parametrizations.weight.{name}": a for name, a in inside.items()}
        return called(module, {**arrays, "bias": t["b"]}, t)

    compare(lambda a: ours(a)[0], theirs, arrays)
    np.testing.assert_allclose(ours(arrays)[1]["w"]["u"], written, rtol=1e-10)
    assert (np.asarray(written) != u).any() == train


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

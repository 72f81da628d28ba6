"""LeNet-5 of 1998: the counts the paper gives, its table I, its codes, and the forward pass."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn
from laminax.nn.models._lenet5 import _codes

from .numpy_images import conv

IMAGE = jax.ShapeDtypeStruct((1, 28, 28, 1), "float32")
TABLE_1 = """
X...XXX..XXXX.XX
XX...XXX..XXXX.X
XXX...XXX..X.XXX
.XXX..XXXX..X.XX
..XXX..XXXX.XX.X
...XXX..XXXX.XXX
"""


def test_layers_have_the_parameters_of_the_paper():
    table = nn.summary(nn.lenet5(), IMAGE)
    parameters = {row.path: row.parameters for row in table.rows}
    assert parameters == {"c1": 156, "s2": 12, "c3": 1516, "s4": 32, "c5": 48_120, "f6": 10_164}
    assert table.total.parameters == 60_000
    connections = {row.path: row.flops // 2 for row in table.rows}
    # The paper counts biases too: 122,304 connections in c1, 48,120 in c5.
    assert connections["c1"] + 28 * 28 * 6 == 122_304
    assert connections["c5"] + 120 == 48_120


def test_forward_pass_in_numpy():
    model = nn.lenet5()
    random = np.random.default_rng(0)
    x = random.uniform(size=(3, 28, 28, 1)).astype(np.float32)
    spec = jax.eval_shape(model.init, jax.random.key(0), x).params
    p = jax.tree.map(lambda a: random.uniform(-0.3, 0.3, a.shape), spec)

    def squash(a):
        return 1.7159 * np.tanh(2 / 3 * a)

    def subsample(x, p):
        windows = x.reshape(len(x), x.shape[1] // 2, 2, x.shape[2] // 2, 2, -1).sum((2, 4))
        return squash(windows * p["w"] + p["b"])

    retina = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0))) * 1.275 - 0.1
    h = subsample(squash(conv(retina, p["c1"]["w"], p["c1"]["b"])), p["s2"])
    rows = TABLE_1.split()
    kernel, connections = np.zeros((5, 5, 6, 16)), 0
    for above in range(16):
        for below in range(6):
            if rows[below][above] == "X":
                kernel[:, :, below, above] = p["c3"]["w"][:, :, connections]
                connections += 1
    assert connections == 60
    h = subsample(squash(conv(h, kernel, p["c3"]["b"])), p["s4"])
    h = squash(conv(h, p["c5"]["w"], p["c5"]["b"])).reshape(3, 120)
    h = squash(h @ p["f6"]["w"] + p["f6"]["b"])
    y = np.square(h[:, None] - _codes()).sum(-1)
    params = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), p)
    np.testing.assert_allclose(model(nn.Variables(params, {}), x), -y, rtol=1e-5)


def test_codes_are_pictures_that_can_be_told_apart():
    codes = _codes()
    assert codes.shape == (10, 7 * 12) and set(codes.flat) == {-1, 1}
    differing = (codes[:, None] != codes).sum(-1) + 84 * np.eye(10, dtype=int)
    assert differing.min() >= 14
    # What looks alike is close: a 3 and an 8 more than a 3 and a 4.
    assert differing[3, 8] < 20 < differing[3, 4]


def test_criterion_9_is_cross_entropy_with_a_class_of_rubbish():
    scores = -np.random.default_rng(0).uniform(0, 20, (4, 10)).astype(np.float32)
    labels, j = np.array([3, 0, 9, 9]), 7.0
    y = -scores.astype(np.float64)
    expected = y[np.arange(4), labels] + np.log(np.exp(-j) + np.exp(-y).sum(-1))
    padded = jnp.pad(jnp.asarray(scores), ((0, 0), (0, 1)), constant_values=-j)
    loss = nn.losses.cross_entropy(padded, jnp.asarray(labels))
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_weights_start_within_their_reach():
    params = jax.jit(nn.lenet5().init)(jax.random.key(0), IMAGE).params
    for name, inputs in (("c1", 25), ("c5", 400), ("f6", 120)):
        w = np.abs(params[name]["w"])
        assert 0.95 * 2.4 / inputs < w.max() <= 2.4 / inputs
        assert abs(w.mean() / (1.2 / inputs) - 1) < 0.2
    seen = np.array([sum(row[o] == "X" for row in TABLE_1.split()) for o in range(16)])
    inputs = 25 * np.repeat(seen, seen)
    w = np.abs(params["c3"]["w"]).max((0, 1)) * inputs
    assert w.max() <= 2.4 * (1 + 1e-6) and w.min() > 0.7 * 2.4


@pytest.mark.parametrize("shape", [(2, 32, 32, 1), (2, 28, 28, 3), (28, 28, 1)])
def test_another_size_is_refused(shape):
    with pytest.raises(ValueError, match=r"lenet5: x must be \(batch, 28, 28, 1\), got float32"):
        nn.lenet5().init(jax.random.key(0), jax.ShapeDtypeStruct(shape, "float32"))

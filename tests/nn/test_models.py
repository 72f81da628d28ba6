"""The models: parameters counted by hand, trees, and that they learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

IMAGES = jax.ShapeDtypeStruct((2, 28, 28, 1), "float32")


def tree(model, x=IMAGES):
    params = jax.eval_shape(model.init, jax.random.key(0), x).params
    return {name: entry["w"].shape for name, entry in params.items()}


def count(model, x=IMAGES):
    return nn.summary(model, x).total.parameters


def test_mlp_by_hand():
    model = nn.mlp(512, 512, 10)
    assert tree(model) == {"dense_0": (784, 512), "dense_1": (512, 512), "dense_2": (512, 10)}
    assert count(model) == 784 * 512 + 512 + 512 * 512 + 512 + 512 * 10 + 10 == 669_706


def test_mlp_is_what_it_says():
    model = nn.mlp(3, 2, activation=nn.tanh)
    x = np.random.default_rng(0).normal(size=(4, 2, 3)).astype(np.float32)
    variables = model.init(jax.random.key(0), x)
    first, last = variables.params["dense_0"], variables.params["dense_1"]
    hidden = np.tanh(x.reshape(4, 6) @ np.asarray(first["w"]) + np.asarray(first["b"]))
    np.testing.assert_allclose(
        model(variables, x),
        hidden @ np.asarray(last["w"]) + np.asarray(last["b"]),
        rtol=2e-5,
        atol=1e-6,
    )


def test_mlp_drops_hidden_units_in_training_alone():
    model = nn.mlp(50, 2, dropout=0.5)
    x = jnp.ones((2, 3))
    variables = model.init(jax.random.key(0), x)
    assert list(model.children) == ["flatten_0", "dense_0", "relu_0", "dropout_0", "dense_1"]
    train = nn.Context(jax.random.key(1), train=True)
    assert (model.apply(*variables, x, train)[0] != model(variables, x)).any()
    assert "dropout_0" not in nn.mlp(50, 2).children


def test_lenet_by_hand():
    assert tree(nn.lenet()) == {
        "conv_0": (5, 5, 1, 6),
        "conv_1": (5, 5, 6, 16),
        "dense_0": (400, 120),
        "dense_1": (120, 84),
        "dense_2": (84, 10),
    }
    assert count(nn.lenet()) == 156 + 2_416 + 48_120 + 10_164 + 850 == 61_706
    assert count(nn.lenet(26)) == 61_706 + 16 * 85


def test_cnn_by_hand():
    assert tree(nn.cnn()) == {
        "conv_0": (3, 3, 1, 32),
        "conv_1": (3, 3, 32, 64),
        "dense_0": (1600, 10),
    }
    assert count(nn.cnn()) == 320 + 18_496 + 16_010 == 34_826
    assert count(nn.cnn(4, classes=3)) == 40 + (13 * 13 * 4 * 3 + 3)


def test_models_read_as_they_were_written():
    assert repr(nn.mlp(512, 10, dropout=0.2)) == "mlp(512, 10, dropout=0.2)"
    assert repr(nn.cnn(8, 16)) == "cnn(8, 16)"
    assert nn.lenet().name == "lenet" and list(nn.serial(nn.lenet()).children) == ["lenet_0"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.mlp(), "mlp: needs the size of at least one layer"),
        (lambda: nn.mlp(3, 0), "mlp: each of features must be an integer of at least 1, got 0"),
        (lambda: nn.mlp(3, dropout=1.0), r"mlp: dropout must be a number in \[0, 1\), got 1.0"),
        (lambda: nn.lenet(0), "lenet: classes must be an integer of at least 1, got 0"),
        (lambda: nn.cnn(8, classes=0), "cnn: classes must be an integer of at least 1, got 0"),
        (lambda: nn.cnn(32, 0), "cnn: each of channels must be an integer of at least 1, got 0"),
    ],
)
def test_arguments_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("model", [nn.mlp(16, 2), nn.lenet(2), nn.cnn(4, 4, classes=2)], ids=str)
def test_it_learns_left_from_right(model):
    """Bright on the left is class 0, on the right class 1."""
    random = np.random.default_rng(0)
    labels = jnp.asarray(random.integers(0, 2, 32))
    x = random.uniform(size=(32, 12, 12, 1)).astype(np.float32)
    x[np.arange(32), :, :6] += np.asarray(labels == 0)[:, None, None, None]
    x[np.arange(32), :, 6:] += np.asarray(labels == 1)[:, None, None, None]
    params = model.init(jax.random.key(0), x).params

    def loss(params):
        return nn.losses.cross_entropy(model(nn.Variables(params, {}), x), labels).mean()

    def descend(params, _):
        value, gradient = jax.value_and_grad(loss)(params)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, gradient), value

    params, values = jax.jit(lambda p: jax.lax.scan(descend, p, length=60))(params)
    assert loss(params) < 0.3 * values[0]
    accuracy = nn.metrics.accuracy(model(nn.Variables(params, {}), x), labels)
    assert accuracy.mean() > 0.95

"""AlexNet: published counts, every layer's size, and the whole network in NumPy."""

import jax
import numpy as np
import pytest

from laminax import nn

from .numpy_images import adaptive_avg_pool, conv, dense, drawn, max_pool, relu

IMAGE = jax.ShapeDtypeStruct((1, 224, 224, 3), "float32")


def test_parameters_and_multiply_adds_at_full_size():
    table = nn.summary(nn.alexnet(), IMAGE)
    assert table.total.parameters == 61_100_840
    assert table.total.flops == 2 * 714_188_480


def test_sizes_are_those_of_the_table():
    rows = {row.path: row for row in nn.summary(nn.alexnet(), IMAGE).rows}
    outputs = {
        "conv_0": (55, 55, 64), "max_pool_0": (27, 27, 64), "conv_1": (27, 27, 192),
        "max_pool_1": (13, 13, 192), "conv_2": (13, 13, 384), "conv_3": (13, 13, 256),
        "conv_4": (13, 13, 256), "max_pool_2": (6, 6, 256), "flatten_0": (9216,),
        "dense_0": (4096,), "dense_1": (4096,), "dense_2": (1000,),
    }  # fmt: skip
    assert {path: rows[path].output.shape[1:] for path in outputs} == outputs
    parameters = [rows[path].parameters for path in ("conv_0", "conv_1", "dense_0")]
    assert parameters == [23_296, 307_392, 37_752_832]


def test_whole_network_in_numpy():
    model = nn.alexnet(classes=3, width=1)
    x = np.random.default_rng(0).normal(size=(2, 95, 63, 3)).astype(np.float32)
    variables = drawn(model, x)
    p = jax.tree.map(lambda a: np.asarray(a, np.float64), variables.params)
    y = x
    for i, (stride, padding) in enumerate([(4, 2), (1, 2), (1, 1), (1, 1), (1, 1)]):
        y = relu(conv(y, p[f"conv_{i}"]["w"], p[f"conv_{i}"]["b"], stride, padding))
        y = max_pool(y, 3, 2) if i in (0, 1, 4) else y
    y = adaptive_avg_pool(y, 6).reshape(2, -1)
    y = dense(relu(dense(relu(dense(y, p["dense_0"])), p["dense_1"])), p["dense_2"])
    np.testing.assert_allclose(jax.jit(model)(variables, x), y, rtol=1e-4, atol=1e-5)


def test_dropout_falls_on_the_inputs_of_both_hidden_layers():
    names = list(nn.alexnet().children)
    assert [names[names.index(f"dropout_{i}") + 1] for i in (0, 1)] == ["dense_0", "dense_1"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.alexnet(classes=0), "alexnet: classes must be an integer of at least 1, got 0"),
        (lambda: nn.alexnet(width=0.5), "alexnet: width must be an integer of at least 1, got 0.5"),
        (lambda: nn.alexnet(dropout=1), r"alexnet: dropout must be a number in \[0, 1\), got 1"),
    ],
)
def test_arguments_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_small_image_is_refused():
    with pytest.raises(ValueError, match="does not fit"):
        nn.alexnet().init(jax.random.key(0), jax.ShapeDtypeStruct((1, 32, 32, 3), "float32"))

"""U-Net: parameters counted by hand, the levels of its figure, and the network in NumPy."""

import jax
import numpy as np
import pytest

from laminax import nn

from .numpy_images import conv, drawn, max_pool, relu


def by_hand(rank, classes, depth, width, channels):
    """Count two convolutions a level each way, one after each upsampling, and the read-out."""
    total, inputs = 0, channels
    for level in range(depth + 1):
        features = width * 2**level
        total += 3**rank * inputs * features + features
        total += 3**rank * features * features + features
        if level < depth:
            total += 2**rank * 2 * features * features + features
            total += 3**rank * 2 * features * features + features
            total += 3**rank * features * features + features
        inputs = features
    return total + width * classes + classes


@pytest.mark.parametrize(
    ("rank", "classes", "depth", "width", "channels"),
    [(2, 2, 4, 64, 1), (2, 3, 2, 8, 3), (3, 2, 3, 16, 1), (1, 5, 1, 3, 2)],
)
def test_parameters_by_hand(rank, classes, depth, width, channels):
    model = nn.unet(classes, depth=depth, width=width)
    x = jax.ShapeDtypeStruct((1, *(16, 32, 16)[:rank], channels), "float32")
    total = nn.summary(model, x).total
    assert total.parameters == by_hand(rank, classes, depth, width, channels)
    assert total.output.shape == (*x.shape[:-1], classes)


def test_levels_are_those_of_the_figure():
    x = jax.ShapeDtypeStruct((1, 512, 512, 1), "float32")
    rows = {row.path: row.output.shape[1:] for row in nn.summary(nn.unet(2), x).rows}
    path = "top"
    for level in range(4):
        size, features = 512 // 2**level, 64 * 2**level
        assert rows[f"{path}/contract"] == rows[f"{path}/expand"] == (size, size, features)
        assert rows[f"{path}/up"] == (size, size, features)
        assert rows[f"{path}/pool"] == (size // 2, size // 2, features)
        path += "/below"
    assert rows[path] == (32, 32, 1024)


def test_whole_network_in_numpy():
    model = nn.unet(3, depth=2, width=2)
    x = np.random.default_rng(0).normal(size=(2, 8, 12, 2)).astype(np.float32)
    variables = drawn(model, x)
    params = jax.tree.map(lambda a: np.asarray(a, np.float64), variables.params)

    def twice(p, x):
        for i in (0, 1):
            x = relu(conv(x, p[f"conv_{i}"]["w"], p[f"conv_{i}"]["b"], padding=1))
        return x

    def level(p, x):
        if "below" not in p:
            return twice(p, x)
        h = twice(p["contract"], x)
        y = level(p["below"], max_pool(h, 2, 2)).repeat(2, 1).repeat(2, 2)
        y = np.pad(y, ((0, 0), (0, 1), (0, 1), (0, 0)))
        y = conv(y, p["up"]["conv_0"]["w"], p["up"]["conv_0"]["b"])
        return twice(p["expand"], np.concatenate([h, y], -1))

    expected = conv(level(params["top"], x), params["head"]["w"], params["head"]["b"])
    np.testing.assert_allclose(jax.jit(model)(variables, x), expected, rtol=1e-4, atol=1e-5)


def test_dropout_falls_on_the_lowest_level():
    layer = nn.unet(2, depth=3, width=2, dropout=0.5).children["top"]
    for _ in range(3):
        assert "dropout_0" not in layer.children["contract"].children
        layer = layer.children["below"]
    assert "dropout_0" in layer.children


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.unet(0), "unet: classes must be an integer of at least 1, got 0"),
        (lambda: nn.unet(2, depth=0), "unet: depth must be an integer of at least 1, got 0"),
        (lambda: nn.unet(2, width=-1), "unet: width must be an integer of at least 1, got -1"),
        (lambda: nn.unet(2, dropout=2), r"unet: dropout must be a number in \[0, 1\), got 2"),
    ],
)
def test_arguments_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("shape", [(1, 20, 16, 1), (1, 16, 16, 8, 1), (1, 4, 1)])
def test_sizes_that_cannot_be_halved_are_refused(shape):
    with pytest.raises(
        ValueError, match=r"must be a multiple of 2\^depth = 16, got .*; crop or pad"
    ):
        nn.unet(2).init(jax.random.key(0), jax.ShapeDtypeStruct(shape, "float32"))

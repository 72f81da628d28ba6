"""VGG: published counts, the blocks of table 1, and the whole network in NumPy."""

import jax
import numpy as np
import pytest

from laminax import nn

from .numpy_images import adaptive_avg_pool, conv, dense, drawn, max_pool, norm, relu

IMAGE = jax.ShapeDtypeStruct((1, 224, 224, 3), "float32")
BLOCKS = {11: (1, 1, 2, 2, 2), 13: (2,) * 5, 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


@pytest.mark.parametrize(
    ("depth", "parameters", "multiply_adds"),
    [
        (11, 132_863_336, 7_609_090_048),
        (13, 133_047_848, 11_308_466_176),
        (16, 138_357_544, 15_470_264_320),
        (19, 143_667_240, 19_632_062_464),
    ],
)
def test_parameters_and_multiply_adds_at_full_size(depth, parameters, multiply_adds):
    total = nn.summary(nn.vgg(depth), IMAGE).total
    assert total.parameters == parameters
    assert total.flops == 2 * multiply_adds
    convolutions = sum(BLOCKS[depth])
    assert depth == convolutions + 3
    normed = nn.summary(nn.vgg(depth, batch_norm=True), IMAGE).total
    features = [64 * m * n for m, n in zip((1, 2, 4, 8, 8), BLOCKS[depth], strict=True)]
    assert normed.parameters == parameters + 2 * sum(features)


@pytest.mark.parametrize(("depth", "batch_norm"), [(11, False), (16, True)])
def test_whole_network_in_numpy(depth, batch_norm):
    model = nn.vgg(depth, classes=3, width=2, batch_norm=batch_norm)
    x = np.random.default_rng(0).normal(size=(2, 70, 64, 3)).astype(np.float32)
    variables = drawn(model, x)
    p, s = jax.tree.map(lambda a: np.asarray(a, np.float64), variables)
    y, i = x, 0
    for number in BLOCKS[depth]:
        for _ in range(number):
            y = conv(y, p[f"conv_{i}"]["w"], p[f"conv_{i}"]["b"], padding=1)
            y = norm(y, p[f"batch_norm_{i}"], s[f"batch_norm_{i}"]) if batch_norm else y
            y, i = relu(y), i + 1
        y = max_pool(y, 2, 2)
    y = adaptive_avg_pool(y, 7).reshape(2, -1)
    y = dense(relu(dense(relu(dense(y, p["dense_0"])), p["dense_1"])), p["dense_2"])
    np.testing.assert_allclose(jax.jit(model)(variables, x), y, rtol=1e-4, atol=1e-5)


def test_dropout_falls_on_the_outputs_of_both_hidden_layers():
    names = list(nn.vgg(11).children)
    assert [names[names.index(f"dropout_{i}") - 2] for i in (0, 1)] == ["dense_0", "dense_1"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.vgg(12), "vgg: depth must be one of 11, 13, 16, 19, or .* got 12"),
        (lambda: nn.vgg((1, 0)), "vgg: each of depth must be an integer of at least 1, got 0"),
        (lambda: nn.vgg(classes=0), "vgg: classes must be an integer of at least 1, got 0"),
        (lambda: nn.vgg(width=0), "vgg: width must be an integer of at least 1, got 0"),
        (lambda: nn.vgg(dropout=-1), r"vgg: dropout must be a number in \[0, 1\), got -1"),
    ],
)
def test_arguments_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()

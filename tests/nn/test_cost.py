"""What a model costs, against counts by hand."""

import jax
import numpy as np
import pytest

from laminax import nn


def image(*shape):
    return jax.ShapeDtypeStruct((1, *shape), "float32")


@pytest.mark.parametrize(
    "model, x, expected",
    [
        (nn.mlp(512, 10), image(784), 784 * 512 + 512 * 10),
        (nn.conv(8, 3), image(6, 5, 4), 6 * 5 * 9 * 4 * 8),
        (nn.conv(8, 3, stride=2, padding="valid"), image(7, 7, 4), 9 * 9 * 4 * 8),
        (nn.depthwise_conv(3), image(8, 8, 4), 8 * 8 * 9 * 4),
        (nn.repeat(nn.dense(6), 5), image(6), 5 * 36),
        (nn.lstm(4), image(7, 3), 7 * 4 * 4 * (3 + 4)),
        (nn.attention(2), image(5, 8), 5 * 8 * 24 + 2 * 5 * 5 * 8 + 5 * 64),
    ],
    ids=str,
)
def test_multiply_adds_are_those_counted_by_hand(model, x, expected):
    assert nn.flops(model, x).multiply_adds == expected


def test_the_compiler_counts_two_a_multiply_add_and_what_is_elementwise():
    cost = nn.flops(nn.serial(nn.dense(32), nn.relu), jax.ShapeDtypeStruct((16, 8), "float32"))
    products = 2 * cost.multiply_adds
    np.testing.assert_allclose(cost.compiler, products + 2 * 16 * 32, rtol=0.01)

"""Receptive fields against what really changes: a NaN put at each position in turn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

LENGTH = 41


def measured(model, x):
    """Return size, stride and start of the last layer's field along axis 1, by NaNs."""
    params, state = model.init(jax.random.key(0), x)

    def spoiled(p):
        y = model(nn.Variables(params, state), jnp.ones(x.shape).at[:, p].set(jnp.nan))
        return jnp.isnan(y).any(tuple(i for i in range(y.ndim) if i != 1))

    reached = np.asarray(jax.vmap(spoiled)(jnp.arange(x.shape[1])))  # (position, output)
    middle = reached.shape[1] // 2
    first, last = (
        (np.flatnonzero(reached[:, i])[0], np.flatnonzero(reached[:, i])[-1])
        for i in (middle, middle + 1)
    )
    return first[1] - first[0] + 1, last[0] - first[0], first[0]


def derived(model, x):
    field = nn.inspect.receptive_field(model, x).rows[-1]
    middle = field.output.shape[1] // 2
    return field.size[0], field.stride[0], field.start[0] + field.stride[0] * middle


@pytest.mark.parametrize(
    "model",
    [
        nn.conv(2, 3),
        nn.conv(2, 4, padding="valid"),
        nn.serial(nn.conv(2, 5, stride=2), nn.relu, nn.conv(2, 3)),
        nn.serial(nn.conv(2, 3, dilation=4), nn.conv(2, 2, dilation=3)),
        nn.serial(nn.conv(2, 3), nn.max_pool(2), nn.conv(2, 3), nn.avg_pool(3, stride=2)),
        nn.serial(nn.repeat(nn.residual(nn.conv(1, 3), nn.gelu), 3), nn.conv(1, 3)),
        nn.serial(nn.residual(nn.conv(1, 7), shortcut=nn.conv(1, 3))),
        nn.serial(nn.conv(2, 1), nn.dense(3), nn.layer_norm(), nn.remat(nn.conv(2, 3))),
        nn.serial(lambda x: x[:, 3:-1:2], nn.conv(2, 3, padding="valid")),
        nn.serial(nn.conv(2, 3), lambda x: x.transpose(0, 2, 1), lambda x: x.transpose(0, 2, 1)),
        nn.serial(lambda x: jnp.concatenate([x, x], -1), nn.conv(2, 3)),
        nn.serial(lambda x: jnp.pad(x, ((0, 0), (2, 1), (0, 0))), nn.conv(2, 3, padding="valid")),
        nn.serial(lambda x: jnp.einsum("btf,fg->btg", x, jnp.ones((1, 2))), nn.conv(2, 3)),
    ],
    ids=str,
)
def test_the_field_is_what_changes_the_answer(model):
    x = jax.ShapeDtypeStruct((1, LENGTH, 1), jnp.float32)
    assert derived(model, x) == measured(model, x)


def test_a_window_after_repetition_reaches_as_far_as_its_furthest_phase():
    model = nn.serial(lambda x: jnp.repeat(x, 2, 1), nn.conv(1, 3))
    field = nn.inspect.receptive_field(model, jax.ShapeDtypeStruct((1, 8, 1), jnp.float32)).rows[-1]
    assert (field.size, field.stride) == ((2,), (0.5,))  # 3 of 2 equal ones meet 2 positions


def test_axes_are_followed_apart():
    x = jax.ShapeDtypeStruct((1, 20, 30, 2), jnp.float32)
    model = nn.serial(nn.conv(2, (3, 5), stride=(1, 2)), nn.max_pool((4, 1)))
    first, last = nn.inspect.receptive_field(model, x).rows
    assert (first.size, first.stride) == ((3, 5), (1, 2))
    assert (last.size, last.stride) == ((6, 5), (4, 2))


@pytest.mark.parametrize(
    "model",
    [
        nn.global_avg_pool(),
        nn.serial(nn.flatten(), nn.dense(2)),
        nn.serial(lambda x: jnp.cumsum(x, 1)),
        nn.serial(lambda x: x[:, ::-1] + x),
        nn.serial(lambda x: jnp.fft.fft(x, axis=1).real),
    ],
    ids=str,
)
def test_what_mixes_everything_or_is_not_understood_depends_on_everything(model):
    x = jax.ShapeDtypeStruct((1, 8, 1), jnp.float32)
    assert nn.inspect.receptive_field(model, x).rows[-1].size == (None,)


def test_vgg_16s_last_convolution_sees_196_positions():
    """Of Simonyan and Zisserman's network, whose fields are known: 196, and 212 after pooling."""
    stages = [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)]
    layers = [
        part
        for depth, width in stages
        for part in (*(nn.conv(width, 3) for _ in range(depth)), nn.max_pool(2))
    ]
    x = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    *_, conv, pool = nn.inspect.receptive_field(nn.serial(*layers), x).rows
    assert (conv.size, conv.stride) == ((196, 196), (16, 16))
    assert (pool.size, pool.stride) == ((212, 212), (32, 32))


def test_x_needs_an_axis_between():
    with pytest.raises(ValueError, match=r"receptive_field: x must be one array \(batch"):
        nn.inspect.receptive_field(nn.dense(2), jnp.zeros((2, 3)))

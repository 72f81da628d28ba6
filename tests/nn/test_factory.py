"""How layers are named and written: kinds and counts, functions as layers, reprs that run."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

KEY = jax.random.key(0)
X = jax.random.normal(jax.random.key(7), (2, 3))


def double(x):
    return 2 * x


class Shift:
    """A callable without a name."""

    def __call__(self, x):
        return x + 1


def test_positional_children_are_named_by_kind_and_count():
    layers = (nn.dense(1), nn.relu, nn.dense(2), nn.serial(), nn.relu, nn.repeat(nn.relu, 2))
    model = nn.serial(*layers, stem=nn.dense(3))
    assert list(model.children) == [
        "dense_0", "relu_0", "dense_1", "serial_0", "relu_1", "repeat_0", "stem",
    ]  # fmt: skip


def test_wrapped_children_are_named_as_what_they_wrap():
    data = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    wrapped = nn.remat(nn.dense(2)), nn.policy(nn.dense(2)), nn.constrain(nn.dense(2), data)
    assert list(nn.serial(*wrapped, nn.remat(nn.relu)).children) == [
        "dense_0", "dense_1", "dense_2", "relu_0",
    ]  # fmt: skip


def test_functions_are_named_by_their_name_and_others_fn():
    functions = double, lambda x: x, functools.partial(jnp.add, 1), Shift(), jnp.tanh
    model = nn.serial(*functions)
    assert list(model.children) == ["double_0", "fn_0", "fn_1", "fn_2", "tanh_0"]
    y = model(model.init(KEY, X), X)
    np.testing.assert_allclose(y, np.tanh(2 * np.asarray(X) + 2), rtol=1e-6)


def test_one_layer_written_twice_is_two_children():
    block = nn.dense(3)
    params = nn.serial(block, block).init(KEY, X).params
    assert np.abs(params["dense_0"]["w"] - params["dense_1"]["w"]).max() > 0.1


@pytest.mark.parametrize("combine", [nn.serial, nn.parallel, nn.residual])
@pytest.mark.parametrize("factory", [nn.batch_norm, nn.dense, nn.serial])
def test_a_factory_not_called_is_told_so(combine, factory):
    with pytest.raises(TypeError, match=rf"{factory.__name__} makes a layer.*forgot \(\)\?"):
        combine(nn.dense(2), factory)


def test_a_function_that_returns_a_layer_is_told_so_with_its_path():
    def block(x):
        return nn.dense(2)

    with pytest.raises(TypeError, match=r"block makes a layer.*forgot \(\)\?") as caught:
        nn.serial(up=nn.serial(block)).init(KEY, X)
    assert caught.value.__notes__[0].startswith("in layer 'up/block_0' (block)")


@pytest.mark.parametrize("result", [None, "text", 3.0, (1, None)])
def test_a_function_must_return_arrays(result):
    with pytest.raises(TypeError, match="fn: a function used as a layer must return arrays, got"):
        nn.serial(lambda x: result).init(KEY, X)


@pytest.mark.parametrize("child", [[nn.dense(2)], 3, None])
def test_what_is_neither_layer_nor_function_is_refused(child):
    with pytest.raises(TypeError, match="expected a Layer or a function of arrays, got"):
        nn.serial(child)


def test_a_name_with_a_slash_is_refused_wherever_it_comes_from():
    odd = nn.Layer(nn.relu, nn.relu, "a/b")
    with pytest.raises(ValueError, match=r"without .*'a/b_0'"):
        nn.serial(odd)


MODELS = [
    nn.serial(nn.dense(8), nn.relu, nn.dropout(0.2), nn.dense(3, bias=False)),
    nn.residual(nn.dense(3), nn.relu, shortcut=nn.dense(3)),
    nn.serial(
        nn.rename(nn.dense(3), "stem"),
        nn.repeat(nn.remat(nn.residual(nn.layer_norm(epsilon=1e-3), nn.dense(3), nn.relu)), 4),
        nn.policy(nn.serial(nn.batch_norm(momentum=0.5)), compute="bfloat16"),
        head=nn.parallel(nn.dense(2), value=nn.dense(1)),
    ),
]


@pytest.mark.parametrize("model", MODELS, ids=["serial", "residual", "nested"])
def test_a_repr_is_the_code_that_builds_the_same_model(model):
    again = eval(repr(model), vars(nn).copy())
    assert repr(again) == repr(model)
    jax.tree.map(np.testing.assert_array_equal, again.init(KEY, X), model.init(KEY, X))


def test_a_long_repr_takes_a_line_a_child():
    assert repr(MODELS[0]) == "serial(dense(8), relu, dropout(0.2), dense(3, bias=False))"
    assert repr(MODELS[2]) == (
        "serial(\n"
        "    rename(dense(3), 'stem'),\n"
        "    repeat(remat(residual(layer_norm(epsilon=0.001), dense(3), relu)), 4),\n"
        "    policy(serial(batch_norm(momentum=0.5)), compute='bfloat16'),\n"
        "    head=parallel(dense(2), value=dense(1)),\n"
        ")"
    )
    assert repr(nn.serial(lambda x: x, nn.remat(jnp.tanh))) == "serial(fn, remat(tanh))"


def test_a_factory_of_ones_own_names_and_writes_itself():
    @nn.factory
    def mlp(*sizes, act=nn.relu):
        return nn.serial(*(layer for size in sizes for layer in (nn.dense(size), act)))

    model = nn.serial(mlp(4, 3, act=jnp.tanh), mlp(2))
    assert repr(model) == "serial(mlp(4, 3, act=tanh), mlp(2))"
    assert list(model.init(KEY, X).params) == ["mlp_0", "mlp_1"]

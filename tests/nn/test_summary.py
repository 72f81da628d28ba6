"""The summary's table against counts made by hand, and the count of multiply-adds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn
from laminax.nn.inspect._flops import multiply_adds


def spec(*shape, dtype="float32"):
    return jax.ShapeDtypeStruct(shape, dtype)


def rows(table):
    return {row.path: row for row in table.rows}


def test_dense_by_hand():
    (row,) = nn.summary(nn.dense(5), spec(4, 3)).rows
    assert row == ("dense", "dense(5)", spec(4, 5), 3 * 5 + 5, 4 * 20, 2 * 4 * 3 * 5, 1)


def test_conv_by_hand():
    model = nn.conv(6, 3, stride=2, padding="valid", groups=2)
    (row,) = nn.summary(model, spec(2, 9, 9, 4)).rows
    assert row.output.shape == (2, 4, 4, 6)
    assert row.parameters == 3 * 3 * 2 * 6 + 6
    assert row.flops == 2 * (2 * 4 * 4 * 6) * (3 * 3 * 2)


def test_lenet_by_hand():
    table = nn.summary(nn.lenet(), spec(1, 28, 28, 1))
    flops = {path: row.flops for path, row in rows(table).items() if row.flops}
    assert flops == {
        "conv_0": 2 * 28 * 28 * 6 * 25,
        "conv_1": 2 * 10 * 10 * 16 * 25 * 6,
        "dense_0": 2 * 400 * 120,
        "dense_1": 2 * 120 * 84,
        "dense_2": 2 * 84 * 10,
    }
    assert table.total.flops == sum(flops.values())
    assert table.total.parameters == 61_706 == sum(row.parameters for row in table.rows)
    assert table.total.bytes == 4 * 61_706


def test_a_parent_includes_its_children_and_wrappers_add_no_level():
    block = nn.remat(nn.serial(nn.dense(3), nn.policy(nn.dense(4))))
    table = rows(nn.summary(nn.serial(nn.dense(2), body=block), spec(5, 7)))
    assert list(table) == ["dense_0", "body", "body/dense_0", "body/dense_1"]
    inside = [table["body/dense_0"], table["body/dense_1"]]
    assert table["body"].parameters == sum(row.parameters for row in inside) == 9 + 16
    assert table["body"].flops == sum(row.flops for row in inside) == 2 * 5 * (2 * 3 + 3 * 4)


def test_repeat_counts_all_its_layers():
    model = nn.repeat(nn.serial(nn.dense(3), nn.repeat(nn.residual(nn.dense(3)), 2)), 5)
    table = nn.summary(nn.serial(deep=model), spec(4, 3))
    found = {path: (row.times, row.parameters, row.flops) for path, row in rows(table).items()}
    one, cost = 12, 2 * 4 * 9
    assert found == {
        "deep": (5, 15 * one, 15 * cost),
        "deep/dense_0": (5, 5 * one, 5 * cost),
        "deep/repeat_0": (10, 10 * one, 10 * cost),
        "deep/repeat_0/dense_0": (10, 10 * one, 10 * cost),
    }
    assert "×10" in str(table)
    assert table.total[3:6] == rows(table)["deep"][3:6]


def test_parameters_are_those_of_init():
    model = nn.serial(nn.dense(6), nn.batch_norm(), nn.repeat(nn.residual(nn.dense(6)), 3))
    x = jnp.zeros((2, 4))
    variables = model.init(jax.random.key(0), x)
    table = nn.summary(model, x)
    assert table.total.parameters == sum(leaf.size for leaf in jax.tree.leaves(variables.params))
    assert table.total.bytes == sum(leaf.nbytes for leaf in jax.tree.leaves(variables.params))
    assert table.state == 12 and "12 values of state" in str(table)


def test_a_model_that_no_machine_could_hold_is_summarized():
    table = nn.summary(nn.serial(nn.dense(10**6), nn.dense(10**6)), spec(8, 10**6))
    assert table.total.parameters == 2 * (10**12 + 10**6)
    assert table.total.flops == 2 * 2 * 8 * 10**12
    assert "7.28 TiB" in str(table) and "32T FLOPs" in str(table)


def test_nothing_is_allocated():
    before = len(jax.live_arrays())
    nn.summary(nn.mlp(128, 10), spec(1, 64))
    assert len(jax.live_arrays()) == before


def test_text_is_aligned():
    model = nn.serial(nn.dense(512), nn.relu, tail=nn.serial(nn.dense(10)))
    text = str(nn.summary(model, spec(1, 784)))
    assert text == repr(nn.summary(model, spec(1, 784)))
    assert text.splitlines() == [
        "path       layer       output    parameters     bytes  FLOPs",
        "────────────────────────────────────────────────────────────",
        "dense_0    dense(512)  (1, 512)     401,920  1.53 MiB   803k",
        "relu_0     relu        (1, 512)           0       0 B      0",
        "tail       serial      (1, 10)        5,130    20 KiB  10.2k",
        "  dense_0  dense(10)   (1, 10)        5,130    20 KiB  10.2k",
        "────────────────────────────────────────────────────────────",
        "407,050 parameters (1.55 MiB), 813k FLOPs for x = float32[1, 784]",
    ]


def test_html_is_a_table_with_its_text_escaped():
    def odd(x):
        return 2 * x

    model = nn.serial(nn.rename(odd, "<b>"), nn.dense(3))
    page = nn.summary(model, spec(1, 2))._repr_html_()
    assert page.startswith("<table><tr><th>path</th>") and page.count("<tr>") == 3
    assert "&lt;b&gt;" in page and "<b>" not in page


def test_a_dtype_is_shown_unless_float32():
    model = nn.serial(
        nn.policy(nn.dense(3), output=jnp.bfloat16), both=nn.parallel(nn.relu, nn.tanh)
    )
    text = str(nn.summary(model, spec(1, 2)))
    assert "bfloat16[1, 3]" in text and "(bfloat16[1, 3], bfloat16[1, 3])" in text


def test_side_inputs_are_given_by_name():
    layer = nn.Layer(
        lambda key, x, **side: nn.Variables({}, {}),
        lambda params, state, x, ctx: (x @ ctx.side["memory"], state),
        "read",
    )
    table = nn.summary(nn.serial(layer), spec(2, 3), memory=spec(3, 5))
    assert table.rows[0].output.shape == (2, 5) and table.total.flops == 2 * 2 * 3 * 5


def test_a_wrong_input_raises_as_apply_would():
    with pytest.raises(ValueError, match="at least 2 axes"):
        nn.summary(nn.serial(nn.batch_norm()), spec(3))


def matmul(a):
    return a @ a


SQUARE = spec(4, 4)


@pytest.mark.parametrize(
    ("function", "products"),
    [
        (lambda a: jnp.einsum("bij,bjk->bik", a[None].repeat(3, 0), a[None].repeat(3, 0)), 3),
        (lambda a: jax.lax.scan(lambda c, _: (c @ a, None), a, length=7)[0], 7),
        (lambda a: jax.lax.fori_loop(0, 5, lambda i, c: c @ a, a), 5),
        (lambda a: jax.lax.cond(a[0, 0] > 0, matmul, lambda a: a @ a @ a, a), 2),
        (lambda a: jax.lax.platform_dependent(a, cpu=lambda a: a @ a @ a, default=matmul), 1),
        (lambda a: jax.checkpoint(matmul)(a), 1),
        (lambda a: jax.jit(matmul)(a), 1),
        (lambda a: jax.vmap(lambda row: row @ a)(a), 1),
        (lambda a: jax.grad(lambda a: (a @ a).sum())(a), 3),
        (lambda a: jax.nn.relu(a) + jnp.exp(a), 0),
    ],
)
def test_multiply_adds_inside_every_kind_of_program(function, products):
    assert multiply_adds(function, SQUARE) == products * 4**3


def test_multiply_adds_of_custom_derivatives():
    forward, backward = jax.custom_jvp(matmul), jax.custom_vjp(matmul)
    forward.defjvp(lambda p, t: (p[0] @ p[0], t[0]))
    backward.defvjp(lambda a: (a @ a, None), lambda _, g: (g @ g @ g,))
    assert multiply_adds(lambda a: forward(a), SQUARE) == 4**3
    assert multiply_adds(lambda a: backward(a), SQUARE) == 4**3
    gradient = jax.grad(lambda a: backward(a).sum())
    assert multiply_adds(gradient, SQUARE) == 3 * 4**3, "the backward pass as it is written"


def test_multiply_adds_agree_with_the_compiler_on_a_product():
    a, b = spec(8, 16), spec(16, 32)
    compiled = jax.jit(jnp.matmul).lower(a, b).compile().cost_analysis()
    np.testing.assert_allclose(2 * multiply_adds(jnp.matmul, a, b), compiled["flops"], rtol=1e-3)

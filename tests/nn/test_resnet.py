"""Residual and plain networks: published counts, and the whole network in NumPy."""

import jax
import numpy as np
import pytest

from laminax import nn

from .numpy_images import conv, dense, drawn, max_pool, norm, relu

LARGE = jax.ShapeDtypeStruct((1, 224, 224, 3), "float32")
SMALL = jax.ShapeDtypeStruct((1, 32, 32, 3), "float32")


@pytest.mark.parametrize(
    ("model", "x", "parameters", "multiply_adds"),
    [
        (nn.plain(18), LARGE, 11_515_688, 1_794_805_760),
        (nn.plain(34), LARGE, 21_623_848, 3_644_493_824),
        (nn.resnet(18), LARGE, 11_689_512, 1_814_073_344),
        (nn.resnet(34), LARGE, 21_797_672, 3_663_761_408),
        (nn.resnet(50), LARGE, 25_557_032, 4_089_184_256),
        (nn.resnet(101), LARGE, 44_549_160, 7_801_405_440),
        (nn.resnet(152), LARGE, 60_192_808, 11_513_626_624),
        (nn.cifar_resnet(20), SMALL, 269_722, 40_551_040),
        (nn.cifar_resnet(56), SMALL, 853_018, 125_485_696),
    ],
    ids=str,
)
def test_parameters_and_multiply_adds_at_full_size(model, x, parameters, multiply_adds):
    total = nn.summary(model, x).total
    assert total.parameters == parameters
    assert total.flops == 2 * multiply_adds


def test_shortcuts_cost_what_they_say():
    """Option B projects into stages 2 to 4; option A, and a plain network, cost nothing."""
    projections = sum(a * 2 * a + 2 * 2 * a for a in (64, 128, 256))
    assert 21_797_672 - 21_623_848 == projections == 173_824
    products = sum(size**2 * a * 2 * a for size, a in ((28, 64), (14, 128), (7, 256)))
    assert products == 3_663_761_408 - 3_644_493_824


@pytest.mark.parametrize(
    ("depth", "blocks", "inside"),
    [(34, (3, 4, 6, 3), 2), (50, (3, 4, 6, 3), 3), (101, (3, 4, 23, 3), 3)],
)
def test_stages_are_those_of_table_1(depth, blocks, inside):
    params = jax.eval_shape(nn.resnet(depth).init, jax.random.key(0), LARGE).params
    assert depth == 2 + inside * sum(blocks)
    for i, number in enumerate(blocks):
        stage = params[f"stage_{i + 1}"]
        rest = stage["rest"]["residual_0"]
        assert rest["conv_0"]["w"].shape[0] == number - 1
        assert sum(name.startswith("conv") for name in rest) == inside
        assert ("shortcut" in stage["first"]["residual_0"]) == (i > 0 or inside == 3)


@pytest.mark.parametrize(
    ("model", "size"),
    [
        (nn.resnet((1, 3), classes=3, width=2), 37),
        (nn.resnet(50, classes=3, width=1), 32),
        (nn.plain((2, 1), classes=3, width=2), 32),
        (nn.cifar_resnet(14, classes=3, width=2), 11),
    ],
    ids=str,
)
def test_whole_network_in_numpy(model, size):
    x = np.random.default_rng(0).normal(size=(2, size, size, 3)).astype(np.float32)
    variables = drawn(model, x)
    double = jax.tree.map(lambda a: np.asarray(a, np.float64), variables)
    np.testing.assert_allclose(
        jax.jit(model)(variables, x), reference(model.name, *double, x), rtol=1e-4, atol=1e-4
    )


def reference(kind, params, state, x):
    small = kind == "cifar_resnet"
    stem, statistics = params["stem"], state["stem"]
    y = conv(x, stem["conv_0"]["w"], stride=1 if small else 2, padding=1 if small else 3)
    y = relu(norm(y, stem["batch_norm_0"], statistics["batch_norm_0"]))
    y = y if small else max_pool(y, 3, 2, padding=1)
    for i in range(sum(name.startswith("stage") for name in params)):
        stage, statistics = params[f"stage_{i + 1}"], state[f"stage_{i + 1}"]
        y = block(kind, stage["first"], statistics["first"], y, stride=2 if i else 1)
        rest = stage.get("rest", {}), statistics.get("rest", {})
        for j in range(len((jax.tree.leaves(rest) or [()])[0])):
            p, s = jax.tree.map(lambda a, j=j: a[j], rest)
            y = block(kind, p, s, y, stride=1)
    return dense(y.mean((1, 2)), params["head"])


def block(kind, params, state, x, stride):
    params, state = (p.get("residual_0", p) for p in (params, state))
    number = sum(name.startswith("conv") for name in params)
    y = x
    for i in range(number):
        w = params[f"conv_{i}"]["w"]
        strided = stride if i == number - 2 else 1  # of two the first, of three the middle one
        y = conv(y, w, stride=strided, padding=w.shape[0] // 2)
        y = norm(y, params[f"batch_norm_{i}"], state[f"batch_norm_{i}"])
        y = relu(y) if i < number - 1 else y
    if "shortcut" in params:
        p, s = params["shortcut"], state["shortcut"]
        x = norm(conv(x, p["conv_0"]["w"], stride=stride), p["batch_norm_0"], s["batch_norm_0"])
    elif kind == "cifar_resnet":
        x = x[:, ::stride, ::stride]
        x = np.concatenate([x, np.zeros((*x.shape[:3], y.shape[-1] - x.shape[-1]))], -1)
    return relu(y if kind == "plain" else x + y)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.resnet(20), "resnet: depth must be one of 18, 34, 50, 101, 152, or .* got 20"),
        (lambda: nn.resnet("50"), "resnet: depth must be one of .* got '50'"),
        (lambda: nn.plain(50), "plain: depth must be one of 18, 34, or .* got 50"),
        (lambda: nn.resnet(()), r"resnet: depth must be one of .* got \(\)"),
        (lambda: nn.plain((2, 0)), "plain: each of depth must be an integer of at least 1, got 0"),
        (lambda: nn.cifar_resnet(18), r"cifar_resnet: depth must be 6 n \+ 2 .* got 18"),
        (lambda: nn.cifar_resnet(2), r"cifar_resnet: depth must be 6 n \+ 2 .* got 2"),
        (lambda: nn.resnet(18, width=0), "resnet: width must be an integer of at least 1, got 0"),
        (lambda: nn.plain(classes=0), "plain: classes must be an integer of at least 1, got 0"),
    ],
)
def test_arguments_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()

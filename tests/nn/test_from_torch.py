"""Weights by torch's names and axes, as NumPy arrays: where each goes, and what is refused."""

import jax
import numpy as np
import pytest

from laminax import nn

from .numpy_images import drawn

IMAGE = jax.ShapeDtypeStruct((1, 64, 64, 3), "float32")


def paths(tree):
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def named(kind, theirs, arrays):
    """Return the state dict entries of one layer made from ours, by torch's conventions."""
    if kind == "norm":
        names = {"weight": "scale", "bias": "bias", "running_mean": "mean", "running_var": "var"}
        return {f"{theirs}.{name}": arrays[ours] for name, ours in names.items()}
    order = (3, 2, 0, 1) if kind == "conv" else (1, 0)
    found = {f"{theirs}.weight": np.ascontiguousarray(arrays["w"].transpose(order))}
    return found | ({f"{theirs}.bias": arrays["b"]} if "b" in arrays else {})


def alexnet_state(params):
    state = {}
    for i, n in enumerate((0, 3, 6, 8, 10)):
        state |= named("conv", f"features.{n}", params[f"conv_{i}"])
    for i, n in enumerate((1, 4, 6)):
        state |= named("dense", f"classifier.{n}", params[f"dense_{i}"])
    # torch flattens channels first.
    first = params["dense_0"]["w"].reshape(6, 6, -1, params["dense_0"]["w"].shape[1])
    state["classifier.1.weight"] = first.transpose(3, 2, 0, 1).reshape(first.shape[3], -1)
    return state


def resnet_state(variables):
    """Name the arrays of a network of basic blocks (1, 3), as torchvision does."""
    params, state = variables

    def pair(convolution, norm, p, s, i):
        names = f"conv_{i}", f"batch_norm_{i}"
        return named("conv", convolution, p[names[0]]) | named(
            "norm", norm, p[names[1]] | s[names[1]]
        )

    found = pair("conv1", "bn1", params["stem"], state["stem"], 0)
    for stage, number in ((1, 1), (2, 3)):
        for block in range(number):
            p, s = params[f"stage_{stage}"], state[f"stage_{stage}"]
            part = "rest" if block else "first"
            p, s = p[part]["residual_0"], s[part]["residual_0"]
            if block:
                p, s = jax.tree.map(lambda a, i=block - 1: a[i], (p, s))
            name = f"layer{stage}.{block}"
            for i in (0, 1):
                found |= pair(f"{name}.conv{i + 1}", f"{name}.bn{i + 1}", p, s, i)
            if "shortcut" in p:
                down = f"{name}.downsample"
                found |= pair(f"{down}.0", f"{down}.1", p["shortcut"], s["shortcut"], 0)
    return found | named("dense", "fc", params["head"])


ALEXNET = nn.alexnet(classes=3, width=1)
RESNET = nn.resnet((1, 3), classes=3, width=2)


def assert_same(a, b):
    assert paths(a).keys() == paths(b).keys()
    for path, leaf in paths(a).items():
        assert leaf.dtype == np.float32
        np.testing.assert_array_equal(leaf, paths(b)[path], err_msg=path)


def test_alexnet_goes_where_it_belongs():
    variables = drawn(ALEXNET, IMAGE)
    imported, table = nn.from_torch(ALEXNET, alexnet_state(variables.params))
    assert isinstance(imported, nn.Variables)
    assert_same(imported, variables)
    assert len(table.moved) == 16 and not table.ignored


def test_resnet_stacks_the_blocks_that_repeat():
    variables = drawn(RESNET, IMAGE)
    counters = {"bn1.num_batches_tracked": np.array(7)}
    imported, table = nn.from_torch(RESNET, resnet_state(variables) | counters)
    assert_same(imported, variables)
    assert table.ignored == ("bn1.num_batches_tracked",)
    row = next(row for row in table.moved if row.theirs == "layer2.2.conv1.weight")
    assert row.ours == "params/stage_2/rest/residual_0/conv_0/w[1]"
    assert (row.their_shape, row.axes, row.our_shape) == ((4, 4, 3, 3), "OIHW → HWIO", (3, 3, 4, 4))


def test_channels_are_read_from_the_first_convolution():
    gray = jax.ShapeDtypeStruct((1, 64, 64, 1), "float32")
    variables = drawn(ALEXNET, gray)
    imported, _ = nn.from_torch(ALEXNET, alexnet_state(variables.params))
    assert_same(imported, variables)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_vgg_takes_every_name_of_torchvision(batch_norm):
    model = nn.vgg(11, classes=3, width=1, batch_norm=batch_norm)
    numbers = (0, 4, 8, 11, 15, 18, 22, 25) if batch_norm else (0, 3, 6, 8, 11, 13, 16, 18)
    variables = drawn(model, IMAGE)
    params, state = variables
    weights = {}
    for i, n in enumerate(numbers):
        weights |= named("conv", f"features.{n}", params[f"conv_{i}"])
        if batch_norm:
            name = f"batch_norm_{i}"
            weights |= named("norm", f"features.{n + 1}", params[name] | state[name])
    for i, n in enumerate((0, 3, 6)):
        weights |= named("dense", f"classifier.{n}", params[f"dense_{i}"])
    first = params["dense_0"]["w"].reshape(7, 7, 8, 64)
    weights["classifier.0.weight"] = first.transpose(3, 2, 0, 1).reshape(64, -1)
    assert_same(nn.from_torch(model, weights).variables, variables)


def test_all_that_does_not_fit_is_named_at_once():
    state = alexnet_state(drawn(ALEXNET, IMAGE).params)
    state["features.3.weight"] = state["features.3.weight"][:, :, :3]
    state["classifier.6.bias"] = np.zeros(5, np.float32)
    del state["features.0.bias"], state["classifier.4.weight"]
    state |= {"fc.weight": np.zeros(2), "head": np.zeros(3)}
    with pytest.raises(ValueError, match="is not one of alexnet") as raised:
        nn.from_torch(ALEXNET, state)
    lines = str(raised.value).split("\n")
    assert lines[1] == "  missing: features.0.bias; classifier.4.weight"
    assert lines[2] == "  unexpected: fc.weight; head"
    assert lines[3] == (
        "  of another shape: features.3.weight (3, 1, 3, 5), expected (3, 1, 5, 5); "
        "classifier.6.bias (5,), expected (3,)"
    )


def test_a_dense_layer_of_equal_sides_in_place_of_its_transpose_is_still_turned():
    """Shapes cannot tell, the layout must."""
    variables = drawn(ALEXNET, IMAGE)
    state = alexnet_state(variables.params)
    imported = nn.from_torch(ALEXNET, state).variables
    np.testing.assert_array_equal(
        imported.params["dense_1"]["w"], np.asarray(state["classifier.4.weight"]).T
    )


@pytest.mark.parametrize(
    ("model", "state", "error", "message"),
    [
        (nn.lenet(), {}, ValueError, "no layout is known for 'lenet', only for alexnet"),
        (nn.serial(ALEXNET), {}, ValueError, "no layout is known for 'serial'.*without layers"),
        (ALEXNET, [1.0], TypeError, r"must be a dict of arrays by name, got list.*state_dict\(\)"),
        (ALEXNET, {"epoch": 3}, TypeError, "'epoch' must be an array, got int"),
    ],
)
def test_what_is_no_state_dict_is_refused(model, state, error, message):
    with pytest.raises(error, match=message):
        nn.from_torch(model, state)


def test_table_prints_and_shows():
    table = nn.from_torch(ALEXNET, alexnet_state(drawn(ALEXNET, IMAGE).params)).table
    lines = str(table).split("\n")
    assert lines[0].split() == ["torch", "shape", "axes", "laminax", "shape"]
    assert lines[2].split("  ")[0] == "features.0.weight"
    assert "O(CHW) → (HWC)O" in str(table)
    total = nn.summary(ALEXNET, IMAGE).total.parameters
    assert lines[-1] == f"16 arrays, {total:,} values"
    assert repr(table) == str(table)
    assert table._repr_html_().count("<tr>") == 17

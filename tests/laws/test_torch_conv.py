"""Parity with torch in float64 of convolutions, pooling, upsampling and bilinear maps, to 1e-10."""

import pytest

from laminax import nn

from .parity import channels_first, compare, evaluate, normal

torch = pytest.importorskip("torch", reason="torch is not installed: parity with it is unchecked")
F = torch.nn.functional


pytestmark = pytest.mark.usefixtures("float64")

SIZES = (5, 4, 3)


@pytest.mark.parametrize(
    ("rank", "kernel", "options"),
    [
        (1, 3, {}),
        (1, 4, {"stride": 3, "bias": False}),
        (2, 3, {}),
        (2, (3, 2), {"stride": 2}),
        (2, 3, {"dilation": 2}),
        (2, 3, {"groups": 2}),
        (2, 2, {"stride": (1, 2), "dilation": (2, 1), "groups": 4}),
        (2, 1, {}),
        (3, 2, {"stride": 2}),
    ],
)
def test_conv_valid(rank, kernel, options):
    groups, bias = options.get("groups", 1), options.get("bias", True)
    size = (kernel,) * rank if isinstance(kernel, int) else kernel
    arrays = {"x": normal(2, *(9, 8, 7)[:rank], 4), "w": normal(*size, 4 // groups, 8, seed=1)}
    layer = nn.conv(8, kernel, padding="valid", **options)
    convolve = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]
    named = {name: value for name, value in options.items() if name != "bias"}

    def theirs(t):
        w = t["w"].movedim((-1, -2), (0, 1))
        return convolve(channels_first(t["x"]), w, t.get("b"), **named).movedim(1, -1)

    compare(lambda a: evaluate(layer, a), theirs, arrays | ({"b": normal(8)} if bias else {}))


@pytest.mark.parametrize(("kernel", "dilation"), [(3, 1), (5, 1), (3, 2), (2, 1)])
def test_conv_same(kernel, dilation):
    arrays = {"x": normal(2, 7, 6, 3), "w": normal(kernel, kernel, 3, 5, seed=1), "b": normal(5)}
    layer = nn.conv(5, kernel, dilation=dilation)

    def theirs(t):
        w = t["w"].permute(3, 2, 0, 1)
        x = channels_first(t["x"])
        extra = dilation * (kernel - 1)  # an odd one goes after, as in TensorFlow
        x = F.pad(x, (extra // 2, extra - extra // 2) * 2)
        y = F.conv2d(x, w, t["b"], dilation=dilation)
        return y.permute(0, 2, 3, 1)

    compare(lambda a: evaluate(layer, a), theirs, arrays)


@pytest.mark.parametrize(("window", "stride"), [(2, None), (3, 2), (2, 1), (3, None)])
@pytest.mark.parametrize("kind", ["max", "avg"])
def test_pool(kind, window, stride):
    layer = {"max": nn.max_pool, "avg": nn.avg_pool}[kind](window, stride=stride)
    pool = {"max": F.max_pool2d, "avg": F.avg_pool2d}[kind]
    compare(
        lambda a: evaluate(layer, a),
        lambda t: pool(channels_first(t["x"]), window, stride).movedim(1, -1),
        {"x": normal(2, 7, 6, 3)},
    )


def test_global_pools():
    x = {"x": normal(2, 7, 6, 3)}
    compare(lambda a: evaluate(nn.global_avg_pool(), a), lambda t: t["x"].mean((1, 2)), x)
    compare(lambda a: evaluate(nn.global_max_pool(), a), lambda t: t["x"].amax((1, 2)), x)


def test_depthwise_conv():
    arrays = {"x": normal(2, 7, 6, 3), "w": normal(3, 2, 1, 6, seed=1), "b": normal(6)}
    compare(
        lambda a: evaluate(nn.depthwise_conv((3, 2), 2, stride=2, padding=1), a),
        lambda t: F.conv2d(
            channels_first(t["x"]), t["w"].permute(3, 2, 0, 1), t["b"], 2, 1, groups=3
        ).movedim(1, -1),
        arrays,
    )


def test_separable_conv():
    def ours(a):
        params = {"depthwise": {"w": a["d"]}, "pointwise": {"w": a["w"], "b": a["b"]}}
        return nn.separable_conv(4, 3, stride=2, padding=1)(nn.Variables(params, {}), a["x"])

    def theirs(t):
        x = F.conv2d(channels_first(t["x"]), t["d"].permute(3, 2, 0, 1), None, 2, 1, groups=3)
        return F.conv2d(x, t["w"].permute(3, 2, 0, 1), t["b"]).movedim(1, -1)

    arrays = {"x": normal(2, 7, 6, 3), "d": normal(3, 3, 1, 3), "w": normal(1, 1, 3, 4)}
    compare(ours, theirs, arrays | {"b": normal(4)})


@pytest.mark.parametrize(
    ("rank", "kernel", "stride", "padding", "groups"),
    [
        (1, 3, 1, "valid", 1),
        (1, 5, 3, 2, 2),
        (2, 2, 2, "same", 1),
        (2, 4, 2, "same", 1),
        (2, 4, 2, 1, 2),
        (2, 3, 2, "valid", 4),
        (2, 3, 1, "same", 2),
        (2, 2, 3, "valid", 1),
        (3, 3, 2, 1, 1),
        (3, 2, 2, "valid", 2),
    ],
)
def test_conv_transpose(rank, kernel, stride, padding, groups):
    w = normal(*(kernel,) * rank, 4 // groups, 8, seed=1)
    arrays = {"x": normal(2, *SIZES[:rank], 4), "w": w, "b": normal(8)}
    layer = nn.conv_transpose(8, kernel, stride, padding=padding, groups=groups)
    function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[rank - 1]
    cut = {"valid": 0, "same": (kernel - stride) // 2}.get(padding, padding)

    def theirs(t):  # torch has (in, out / groups, *kernel)
        w = t["w"].movedim((-2, -1), (0, 1)).unflatten(1, (groups, -1))
        w = w.movedim(1, 0).flatten(0, 1)
        y = function(channels_first(t["x"]), w, t["b"], stride, cut, groups=groups)
        return y.movedim(1, -1)

    compare(lambda a: evaluate(layer, a), theirs, arrays)


def test_conv_transpose_output_padding():
    arrays = {"x": normal(2, 5, 4, 3), "w": normal(3, 3, 3, 2, seed=1), "b": normal(2)}

    def theirs(t):
        w = t["w"].permute(2, 3, 0, 1)
        y = F.conv_transpose2d(channels_first(t["x"]), w, t["b"], 2, 1, output_padding=1)
        return y.movedim(1, -1)

    layer = nn.conv_transpose(2, 3, 2, padding=((1, 0), (1, 0)))
    compare(lambda a: evaluate(layer, a), theirs, arrays)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("method", ["nearest", "linear"])
def test_upsample(rank, method):
    factor = (3, 2, 4)[:rank]
    mode = "nearest" if method == "nearest" else ("linear", "bilinear", "trilinear")[rank - 1]
    aligned = {} if method == "nearest" else {"align_corners": False}

    def theirs(t):
        scale = tuple(map(float, factor))
        x = channels_first(t["x"])
        return F.interpolate(x, scale_factor=scale, mode=mode, **aligned).movedim(1, -1)

    x = {"x": normal(2, *SIZES[:rank], 3)}
    compare(lambda a: evaluate(nn.upsample(factor, method), a), theirs, x)


@pytest.mark.parametrize("size", [(3,), (7,), (3, 2), (4, 7), (2, 3, 2)])
@pytest.mark.parametrize("kind", ["avg", "max"])
def test_adaptive_pool(kind, size):
    layer = {"max": nn.adaptive_max_pool, "avg": nn.adaptive_avg_pool}[kind](size)
    pool = getattr(F, f"adaptive_{kind}_pool{len(size)}d")
    compare(
        lambda a: evaluate(layer, a),
        lambda t: pool(channels_first(t["x"]), size).movedim(1, -1),
        {"x": normal(2, *SIZES[: len(size)], 3)},
    )


def test_subsample():
    compare(
        lambda a: evaluate(nn.subsample((2, 3)), a),
        lambda t: 6 * F.avg_pool2d(channels_first(t["x"]), (2, 3)).movedim(1, -1) * t["w"] + t["b"],
        {"x": normal(2, 7, 6, 3), "w": normal(3, seed=1), "b": normal(3, seed=2)},
    )


def test_max_pool_of_a_residual_network():
    compare(
        lambda a: evaluate(nn.max_pool(3, stride=2, padding=1), a),
        lambda t: F.max_pool2d(channels_first(t["x"]), 3, 2, 1).movedim(1, -1),
        {"x": normal(2, 7, 8, 3)},
    )


@pytest.mark.parametrize("bias", [True, False])
def test_bilinear(bias):
    def ours(a):
        params = {name: a[name] for name in ("w", "b") if name in a}
        return nn.bilinear(5, bias=bias)(nn.Variables(params, {}), (a["x"], a["z"]))

    arrays = {"x": normal(2, 6, 3), "z": normal(2, 6, 4, seed=1), "w": normal(3, 4, 5, seed=2)}
    compare(
        ours,
        lambda t: F.bilinear(t["x"], t["z"], t["w"].permute(2, 0, 1).contiguous(), t.get("b")),
        arrays | ({"b": normal(5, seed=3)} if bias else {}),
    )


def test_maxout():
    compare(
        lambda a: evaluate(nn.maxout(4, 3), a),
        lambda t: (torch.einsum("...i,ikf->...kf", t["x"], t["w"]) + t["b"]).amax(-2),
        {"x": normal(2, 6, 3), "w": normal(3, 3, 4, seed=1), "b": normal(3, 4, seed=2)},
    )

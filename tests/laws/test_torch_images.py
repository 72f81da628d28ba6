"""Image models against torch: imported weights give its logits, gradients and running statistics.

The modules have torchvision's names, so `from_torch` brings weights over, and gradients alike.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

from .parity import channels_first, compare, normal

torch = pytest.importorskip("torch", reason="torch is not installed: parity with it is unchecked")
from . import torch_images  # noqa: E402  (it needs torch)

F = torch.nn.functional


def alexnet(classes, width):
    return nn.alexnet(classes=classes, width=width, dropout=0.0)


def vgg(depth, classes, width, batch_norm):
    return nn.vgg(depth, classes=classes, width=width, batch_norm=batch_norm, dropout=0.0)


PAIRS = {
    "alexnet": (alexnet(3, 1), lambda: torch_images.alexnet(3, 1), 95),
    "vgg": (vgg(11, 3, 1, False), lambda: torch_images.vgg(11, 3, 1, False), 64),
    "vgg_batch_norm": (vgg(11, 3, 1, True), lambda: torch_images.vgg(11, 3, 1, True), 64),
    "resnet": (
        nn.resnet((1, 3), classes=3, width=2),
        lambda: torch_images.ResNet((1, 3), 1, 3, 2),
        37,
    ),
    "bottleneck": (
        nn.resnet(50, classes=3, width=1),
        lambda: torch_images.ResNet((3, 4, 6, 3), 4, 3, 1),
        40,
    ),
}


def pair(name):
    ours, make, size = PAIRS[name]
    torch.manual_seed(0)
    theirs = torch_images.shuffled(make())
    return ours, theirs, normal(4, size, size, 3)


@pytest.mark.parametrize("name", PAIRS)
def test_imported_weights_give_the_logits_of_torch(name):
    ours, theirs, x = pair(name)
    x = x.astype(np.float32)
    variables, _ = nn.from_torch(ours, theirs.state_dict())
    with torch.no_grad():
        expected = theirs.eval()(channels_first(torch.tensor(x))).numpy()
    np.testing.assert_allclose(
        jax.jit(ours)(variables, x), expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max()
    )


@pytest.mark.slow
def test_imported_weights_of_a_resnet_18_at_full_size():
    torch.manual_seed(0)
    theirs = torch_images.shuffled(torch_images.ResNet((2, 2, 2, 2), 1, 1000, 64))
    model, x = nn.resnet(18), normal(2, 224, 224, 3).astype(np.float32)
    variables, table = nn.from_torch(model, theirs.state_dict())
    assert sum(int(np.prod(row.our_shape)) for row in table.moved) == 11_689_512 + 9_600
    assert len(table.ignored) == 20
    with torch.no_grad():
        expected = theirs.eval()(channels_first(torch.tensor(x))).numpy()
    np.testing.assert_allclose(
        jax.jit(model)(variables, x), expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max()
    )


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    ("name", "train"),
    [
        ("alexnet", False),
        ("vgg", False),
        ("vgg_batch_norm", True),
        ("resnet", True),
        ("resnet", False),
        ("bottleneck", False),
    ],
)
def test_gradients_and_statistics(name, train):
    ours, theirs, x = pair(name)
    theirs = theirs.double().train(train)
    weights = {key: a.clone() for key, a in theirs.state_dict().items()}
    params, state = nn.from_torch(ours, weights).variables
    images = torch.tensor(x, requires_grad=True)
    expected = theirs(channels_first(images))
    cotangent = normal(*expected.shape, seed=9)
    (expected * torch.tensor(cotangent)).sum().backward()

    def total(at):
        y, new = ours.apply(at[0], state, at[1], nn.Context(train=train))
        return (y * cotangent).sum(), (y, new)

    (_, (y, new)), gradient = jax.jit(jax.value_and_grad(total, has_aux=True))(
        (params, jnp.asarray(x))
    )
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(gradient[1], images.grad.numpy(), rtol=1e-10, atol=1e-11)
    gradients = {key: p.grad for key, p in theirs.named_parameters()}
    reference = nn.from_torch(ours, {**theirs.state_dict(), **gradients}).variables
    for got, wanted in ((gradient[0], reference.params), (new, reference.state)):
        for (path, a), b in zip(
            jax.tree_util.tree_leaves_with_path(got), jax.tree.leaves(wanted), strict=True
        ):
            scale = 1e-10 * max(1.0, float(np.abs(b).max()))
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=scale, err_msg=str(path))


def against_torch(model, x, theirs):
    """Compare a model with `theirs(leaves, x)`, a function of torch tensors by path."""
    with jax.enable_x64(True):
        spec = jax.eval_shape(model.init, jax.random.key(0), x)
    leaves, structure = jax.tree_util.tree_flatten_with_path(spec)
    names = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves]
    arrays = {}
    for i, (name, (_, leaf)) in enumerate(zip(names, leaves, strict=True)):
        inputs = int(np.prod(leaf.shape[:-1])) if name.endswith("/w") else 25
        offset = 1.0 if name.endswith(("scale", "var")) else 0.0
        arrays[name] = offset + normal(*leaf.shape, seed=i) / np.sqrt(max(inputs, 10))

    def ours(a):
        return model(jax.tree.unflatten(structure, [a[name] for name in names]), a["x"])

    compare(ours, lambda t: theirs(t, t["x"]), {"x": x, **arrays})


def convolve(t, path, x, **options):
    kernel = t[f"{path}/w"].movedim((-1, -2), (0, 1))
    return (F.conv2d if kernel.ndim == 4 else F.conv3d)(x, kernel, t.get(f"{path}/b"), **options)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("sizes", [(8, 4), (4, 2, 4)])
def test_unet(sizes):
    rank = len(sizes)

    def twice(t, path, x):
        for i in (0, 1):
            x = F.relu(convolve(t, f"{path}/conv_{i}", x, padding=1))
        return x

    def level(t, path, x):
        if f"{path}/conv_0/w" in t:
            return twice(t, path, x)
        h = twice(t, f"{path}/contract", x)
        pooled = (F.max_pool2d if rank == 2 else F.max_pool3d)(h, 2)
        y = F.interpolate(level(t, f"{path}/below", pooled), scale_factor=2)
        y = convolve(t, f"{path}/up/conv_0", F.pad(y, (0, 1) * rank))
        return twice(t, f"{path}/expand", torch.cat([h, y], 1))

    def theirs(t, x):
        return convolve(t, "params/head", level(t, "params/top", channels_first(x))).movedim(1, -1)

    against_torch(nn.unet(2, depth=1, width=2), normal(2, *sizes, 2), theirs)


@pytest.mark.usefixtures("float64")
def test_lenet5():
    from laminax.nn.models._lenet5 import _SEEN, _codes

    def squash(a):
        return 1.7159 * torch.tanh(2 / 3 * a)

    def subsample(t, path, x):
        gain, offset = (t[f"{path}/{leaf}"][None, :, None, None] for leaf in ("w", "b"))
        return squash(F.avg_pool2d(x, 2, divisor_override=1) * gain + offset)

    def theirs(t, x):
        x = F.pad(1.275 * channels_first(x) - 0.1, (2, 2, 2, 2), value=-0.1)
        h = subsample(t, "params/s2", squash(convolve(t, "params/c1", x)))
        maps, k = [], 0
        for seen in _SEEN:
            kernels = t["params/c3/w"][..., k : k + len(seen)].permute(2, 0, 1)[None]
            maps.append(F.conv2d(h[:, list(seen)], kernels))
            k += len(seen)
        h = squash(torch.cat(maps, 1) + t["params/c3/b"][None, :, None, None])
        h = squash(convolve(t, "params/c5", subsample(t, "params/s4", h))).flatten(1)
        h = squash(F.linear(h, t["params/f6/w"].T, t["params/f6/b"]))
        return -(h[:, None] - torch.tensor(_codes())).square().sum(-1)

    against_torch(nn.lenet5(), np.random.default_rng(0).uniform(size=(2, 28, 28, 1)), theirs)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("kind", ["cifar_resnet", "plain"])
def test_networks_without_projections(kind):
    small = kind == "cifar_resnet"

    def normed(t, path, x, i, **options):
        x, name = convolve(t, f"params/{path}/conv_{i}", x, **options), f"{path}/batch_norm_{i}"
        statistics = t[f"state/{name}/mean"], t[f"state/{name}/var"]
        mean, var = (a[None, :, None, None] for a in statistics)
        scale, bias = (
            t[f"params/{name}/{leaf}"][None, :, None, None] for leaf in ("scale", "bias")
        )
        return (x - mean) / torch.sqrt(var + 1e-5) * scale + bias

    def block(t, path, x, stride):
        path = f"{path}/residual_0" if small else path
        y = F.relu(normed(t, path, x, 0, stride=stride, padding=1))
        y = normed(t, path, y, 1, padding=1)
        if small:
            x = x[:, :, ::stride, ::stride]
            y = y + F.pad(x, (0, 0, 0, 0, 0, y.shape[1] - x.shape[1]))
        return F.relu(y)

    def theirs(t, x):
        x = channels_first(x)
        first = {"padding": 1} if small else {"stride": 2, "padding": 3}
        x = F.relu(normed(t, "stem", x, 0, **first))
        x = x if small else F.max_pool2d(x, 3, 2, 1)
        for stage in range(1, 4 if small else 3):
            x = block(t, f"stage_{stage}/first", x, 1 if stage == 1 else 2)
        return F.linear(x.mean((2, 3)), t["params/head/w"].T, t["params/head/b"])

    model = (
        nn.cifar_resnet(8, classes=3, width=2) if small else nn.plain((1, 1), classes=3, width=2)
    )
    against_torch(model, normal(2, 9, 9, 2), theirs)


@pytest.mark.usefixtures("float64")
def test_lenet():
    model = nn.lenet()
    x = normal(3, 28, 28, 1)
    params = model.init(jax.random.key(0), x).params
    arrays = {"x": x} | {
        f"{layer}.{leaf}": np.asarray(a) for layer, p in params.items() for leaf, a in p.items()
    }

    def ours(a):
        tree = {layer: {leaf: a[f"{layer}.{leaf}"] for leaf in p} for layer, p in params.items()}
        return model(nn.Variables(tree, {}), a["x"])

    def theirs(t):
        h = channels_first(t["x"])
        for layer, padding in (("conv_0", "same"), ("conv_1", "valid")):
            w = t[f"{layer}.w"].permute(3, 2, 0, 1)
            h = F.max_pool2d(F.relu(F.conv2d(h, w, t[f"{layer}.b"], padding=padding)), 2)
        h = h.permute(0, 2, 3, 1).flatten(1)
        for layer in ("dense_0", "dense_1", "dense_2"):
            h = F.linear(h, t[f"{layer}.w"].T, t[f"{layer}.b"])
            h = F.relu(h) if layer != "dense_2" else h
        return h

    compare(ours, theirs, arrays)

"""Autoencoders against torch in float64: outputs, losses and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

from .parity import channels_first, compare, normal

torch = pytest.importorskip("torch")
functional = torch.nn.functional

pytestmark = pytest.mark.usefixtures("float64")


def nested(arrays):
    """Return `{"encoder/dense_0/w": a}` as a tree of parameters, without x."""
    tree = {}
    for path, a in arrays.items():
        if path != "x":
            *folders, name = path.split("/")
            at = tree
            for folder in folders:
                at = at.setdefault(folder, {})
            at[name] = a
    return tree


def arrays_of(model, x, seed=0):
    params = jax.eval_shape(model.init, jax.random.key(0), x).params
    flat = jax.tree_util.tree_leaves_with_path(params)
    made = {
        jax.tree_util.keystr(path, simple=True, separator="/"): normal(*leaf.shape, seed=seed + i)
        for i, (path, leaf) in enumerate(flat)
    }
    return {**made, "x": x}


def run(model):
    return lambda arrays: model(nn.Variables(nested(arrays), {}), arrays["x"])


def affine(t, x, path):
    return x @ t[f"{path}/w"] + t[f"{path}/b"]


def test_deep():
    model = nn.autoencoder(6, 5, 3, activation=nn.tanh)

    def theirs(t):
        z = affine(t, torch.tanh(affine(t, t["x"], "encoder/dense_0")), "encoder/dense_1")
        return affine(t, torch.tanh(affine(t, z, "decoder/dense_0")), "decoder/dense_1")

    compare(run(model), theirs, arrays_of(model, normal(4, 6, seed=50)))


def test_tied():
    model = nn.autoencoder(6, 5, 3, activation=nn.sigmoid, tied=True)

    def theirs(t):
        z = affine(t, torch.sigmoid(affine(t, t["x"], "encoder/dense_0")), "encoder/dense_1")
        h = z @ t["encoder/dense_1/w"].T + t["decoder/dense_0/b"]
        return torch.sigmoid(h) @ t["encoder/dense_0/w"].T + t["decoder/dense_1/b"]

    compare(run(model), theirs, arrays_of(model, normal(4, 6, seed=50)))


def test_convolutional():
    model = nn.conv_autoencoder(2, 3, 4, activation=nn.tanh)

    def kernel(t, path):
        return t[f"{path}/w"].permute(3, 2, 0, 1), t[f"{path}/b"]

    def down(t, x, i):  # "same" at stride 2 on even sizes pads below and to the right
        path = f"encoder/conv_{i}"
        return functional.conv2d(functional.pad(x, (0, 1, 0, 1)), *kernel(t, path), stride=2)

    def up(t, x, i):
        wide = functional.interpolate(x, scale_factor=2, mode="nearest")
        return functional.conv2d(wide, *kernel(t, f"decoder/serial_{i}/conv_0"), padding=1)

    def theirs(t):
        z = down(t, torch.tanh(down(t, channels_first(t["x"]), 0)), 1)
        return up(t, torch.tanh(up(t, z, 0)), 1).movedim(1, -1)

    compare(run(model), theirs, arrays_of(model, normal(2, 8, 4, 2, seed=50)))


def test_k_sparse():
    def theirs(t):
        values, places = t["x"].topk(3)
        return torch.zeros_like(t["x"]).scatter(-1, places, values)

    compare(run(nn.k_sparse(3)), theirs, {"x": normal(4, 7)})


def test_kl_sparsity():
    layer, rho = nn.kl_sparsity(0.5, target=0.1), 0.1

    def ours(arrays):
        state = {"aux_loss": jnp.zeros(())}
        return layer.apply({}, state, arrays["x"], nn.Context(train=True))[1]["aux_loss"]

    def theirs(t):
        mean, target = t["x"].mean(0), torch.tensor(rho, dtype=torch.float64)
        pair = [torch.distributions.Bernoulli(probs=p) for p in (target.expand(5), mean)]
        return 0.5 * torch.distributions.kl_divergence(*pair).sum()

    compare(ours, theirs, {"x": np.random.default_rng(0).uniform(0.05, 0.95, size=(6, 5))})


@pytest.mark.parametrize("decoder", ["bernoulli", "gaussian"])
def test_vae(decoder):
    heads = {
        "bernoulli": nn.dense(5),
        "gaussian": nn.parallel(mean=nn.dense(5), log_variance=nn.dense(5)),
    }
    model = nn.vae(2, encoder=nn.serial(nn.dense(4), nn.tanh), decoder=heads[decoder])
    nats = {"bernoulli": nn.losses.binary_cross_entropy, "gaussian": nn.losses.gaussian_nll}
    target = np.random.default_rng(1).integers(0, 2, (6, 5)).astype(float)
    noise = jax.random.normal(nn.Context(jax.random.key(3)).child("sample").key, (6, 2), "float64")
    noise = torch.tensor(np.array(noise))

    def ours(arrays):
        params = nested(arrays)
        output, _ = model.apply(params, {}, arrays["x"], nn.Context(jax.random.key(3)))
        return nn.variational.negative_elbo(
            output, jnp.asarray(target), reconstruction=nats[decoder], beta=1.5
        )

    def theirs(t):
        h = torch.tanh(affine(t, t["x"], "encoder/features/dense_0"))
        mean = affine(t, h, "encoder/posterior/mean")
        spread = torch.exp(affine(t, h, "encoder/posterior/log_variance") / 2)
        z, x = mean + spread * noise, torch.tensor(target)
        if decoder == "bernoulli":
            likelihood = torch.distributions.Bernoulli(logits=affine(t, z, "decoder"))
        else:
            scale = torch.exp(affine(t, z, "decoder/log_variance") / 2)
            likelihood = torch.distributions.Normal(affine(t, z, "decoder/mean"), scale)
        posterior, prior = (
            torch.distributions.Normal(mean, spread),
            torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean)),
        )
        kl = torch.distributions.kl_divergence(posterior, prior).sum(1)
        return 1.5 * kl - likelihood.log_prob(x).sum(1)

    compare(ours, theirs, arrays_of(model, normal(6, 5, seed=50)))

"""Parity of activations and losses with torch in float64: outputs and gradients, to 1e-10."""

import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn
from laminax.nn import losses

from .parity import compare, normal

torch = pytest.importorskip("torch", reason="torch is not installed: parity with it is unchecked")
F = torch.nn.functional

pytestmark = pytest.mark.usefixtures("float64")

LABELS = np.array([0, 3, 1, 1, 2, 0])
BINARY = np.array([[0, 1, 1], [1, 0, 0], [1, 1, 1], [0, 0, 0], [0, 1, 0], [1, 0, 1]])
LARGE = 1e4 * np.sign(normal(6, 4))
ACTIVATIONS = {
    "elu": F.elu,
    "gelu": lambda x: F.gelu(x, approximate="tanh"),
    "heaviside": lambda x: torch.heaviside(x.detach(), torch.ones_like(x)) + 0 * x,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.1),
    "log_softmax": lambda x: F.log_softmax(x, -1),
    "relu": F.relu,
    "selu": F.selu,
    "sigmoid": torch.sigmoid,
    "sign": torch.sign,
    "silu": F.silu,
    "softmax": lambda x: F.softmax(x, -1),
    "softplus": lambda x: torch.logaddexp(x, torch.zeros_like(x)),
    "tanh": torch.tanh,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("x", [3 * normal(4, 7), 40 * normal(4, 7), LARGE], ids=["3", "40", "1e4"])
def test_activation(name, x):
    ours = nn.leaky_relu(0.1) if name == "leaky_relu" else getattr(nn, name)
    compare(lambda a: ours(a["x"]), lambda t: ACTIVATIONS[name](t["x"]), {"x": x})


def rows(values):
    """Return the sum of each example's values, as our losses of arrays do."""
    return values.flatten(1).sum(1)


def same(ours, theirs, z, target):
    """Compare a loss of a prediction z with a target that has no gradient."""
    fixed = torch.tensor(target)
    compare(lambda a: ours(a["z"], jnp.asarray(target)), lambda t: theirs(t["z"], fixed), {"z": z})


@pytest.mark.parametrize("z", [5 * normal(6, 4), LARGE], ids=["5", "1e4"])
def test_cross_entropy(z):
    theirs = lambda z, y: F.cross_entropy(z, y, reduction="none")  # noqa: E731
    same(losses.cross_entropy, theirs, z, LABELS)
    same(losses.cross_entropy, theirs, z, np.random.default_rng(2).dirichlet(np.ones(4), 6))


def test_log_loss():
    theirs = lambda z, y: F.nll_loss(torch.log_softmax(z, -1), y, reduction="none")  # noqa: E731
    same(lambda z, y: losses.log_loss(nn.softmax(z), y), theirs, 2 * normal(6, 4), LABELS)


@pytest.mark.parametrize("z", [5 * normal(6, 3), 1e4 * normal(6, 3)], ids=["5", "1e4"])
def test_binary_cross_entropy(z):
    def theirs(z, y):
        return rows(F.binary_cross_entropy_with_logits(z, y.double(), reduction="none"))

    same(losses.binary_cross_entropy, theirs, z, BINARY)
    same(losses.binary_cross_entropy, theirs, z, np.random.default_rng(2).uniform(size=(6, 3)))


def test_binary_log_loss():
    def theirs(z, y):
        return rows(F.binary_cross_entropy(torch.sigmoid(z), y.double(), reduction="none"))

    same(lambda z, y: losses.binary_log_loss(nn.sigmoid(z), y), theirs, normal(6, 3), BINARY)


def test_focal_without_focus_is_cross_entropy():
    theirs = lambda z, y: F.cross_entropy(z, y, reduction="none")  # noqa: E731
    same(lambda z, y: losses.focal(z, y, gamma=0.0), theirs, 5 * normal(6, 4), LABELS)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal(gamma):
    def theirs(z, y):
        log_p = torch.log_softmax(z, -1).gather(1, y[:, None])[:, 0]
        return -((1 - log_p.exp()) ** gamma) * log_p

    same(lambda z, y: losses.focal(z, y, gamma=gamma), theirs, 2 * normal(6, 4), LABELS)


def test_hinge():
    theirs = lambda z, y: rows(torch.relu(1 - (2 * y - 1) * z))  # noqa: E731
    same(losses.hinge, theirs, 2 * normal(6, 3), BINARY)


def test_multiclass_hinge_of_two_classes():
    # torch sums over the rivals and divides by the classes; of two, one is the rival.
    theirs = lambda z, y: 2 * F.multi_margin_loss(z, y, reduction="none")  # noqa: E731
    same(losses.multiclass_hinge, theirs, normal(6, 2), LABELS % 2)


REGRESSION = {
    "squared_error": lambda y, t: rows(F.mse_loss(y, t, reduction="none")),
    "half_squared_error": lambda y, t: rows(F.mse_loss(y, t, reduction="none")) / 2,
    "absolute_error": lambda y, t: rows(F.l1_loss(y, t, reduction="none")),
    "euclidean_error": lambda y, t: torch.linalg.vector_norm(y - t, dim=(1, 2)),
    "huber": lambda y, t: rows(F.huber_loss(y, t, reduction="none")),
}


@pytest.mark.parametrize("name", REGRESSION)
def test_regression(name):
    same(getattr(losses, name), REGRESSION[name], 2 * normal(6, 4, 2), normal(6, 4, 2, seed=1))


def test_huber_of_another_delta():
    theirs = lambda y, t: rows(F.huber_loss(y, t, reduction="none", delta=0.3))  # noqa: E731
    same(lambda y, t: losses.huber(y, t, delta=0.3), theirs, normal(6, 4), normal(6, 4, seed=1))


def test_kl_divergence():
    p = np.random.default_rng(2).dirichlet(np.ones(4), 6)
    p[0] = [0, 0.5, 0.5, 0]
    theirs = lambda z, p: F.kl_div(torch.log_softmax(z, -1), p, reduction="none").sum(1)  # noqa: E731
    same(losses.kl_divergence, theirs, 3 * normal(6, 4), p)


def test_gaussian_kl():
    def theirs(t):
        there = torch.distributions.Normal(t["mean"], (t["log_v"] / 2).exp())
        here = torch.distributions.Normal(torch.zeros(4).double(), torch.ones(4).double())
        return torch.distributions.kl_divergence(there, here).sum(1)

    arrays = {"mean": normal(6, 4), "log_v": 2 * normal(6, 4, seed=1)}
    compare(lambda a: losses.gaussian_kl(a["mean"], a["log_v"]), theirs, arrays)


def test_gaussian_nll():
    y = normal(6, 4, seed=2)

    def theirs(t):
        v = t["log_v"].exp()
        return rows(F.gaussian_nll_loss(t["mean"], torch.tensor(y), v, full=True, reduction="none"))

    arrays = {"mean": normal(6, 4), "log_v": normal(6, 4, seed=1)}
    compare(lambda a: losses.gaussian_nll((a["mean"], a["log_v"]), y), theirs, arrays)


@pytest.mark.parametrize("blank", [0, 3])
def test_ctc(blank):
    labels = np.array([[1, 2, 2], [2, 2, 1], [1, 1, 1], [4, 1, 2], [1, 2, 4]])
    lengths, label_lengths = np.array([8, 7, 6, 5, 8]), np.array([3, 3, 3, 1, 0])

    def theirs(t):
        log_p = torch.log_softmax(t["z"], -1).transpose(0, 1)
        counts = torch.tensor(lengths), torch.tensor(label_lengths)
        return F.ctc_loss(log_p, torch.tensor(labels), *counts, blank=blank, reduction="none")

    compare(
        lambda a: losses.ctc(a["z"], (labels, lengths, label_lengths), blank=blank),
        theirs,
        {"z": 2 * normal(5, 8, 5)},
    )


def test_triplet():
    arrays = {"a": normal(6, 4), "p": normal(6, 4, seed=1), "n": normal(6, 4, seed=2)}
    compare(
        lambda a: losses.triplet(a["a"], a["p"], a["n"], margin=0.7),
        lambda t: F.triplet_margin_loss(
            t["a"], t["p"], t["n"], margin=0.7, eps=0, reduction="none"
        ),
        arrays,
    )


def test_contrastive():
    same_kind = np.array([1, 0, 0, 1, 0, 1])

    def theirs(t):
        d, y = torch.linalg.vector_norm(t["a"] - t["b"], dim=1), torch.tensor(same_kind)
        return (y * d**2 + (1 - y) * torch.relu(2.5 - d) ** 2) / 2

    arrays = {"a": normal(6, 4), "b": normal(6, 4, seed=1)}
    compare(lambda a: losses.contrastive((a["a"], a["b"]), same_kind, margin=2.5), theirs, arrays)


def test_info_nce():
    def theirs(t):
        similarity = F.cosine_similarity(t["q"][:, None], t["k"][None], dim=-1)
        return F.cross_entropy(similarity / 0.2, torch.arange(6), reduction="none")

    arrays = {"q": normal(6, 4), "k": normal(6, 4, seed=1)}
    compare(lambda a: losses.info_nce(a["q"], a["k"], temperature=0.2), theirs, arrays)


def test_class_weights():
    weights = np.array([0.3, 1.0, 2.0, 0.0])

    def ours(a):
        total, count = losses.class_weighted(losses.cross_entropy, weights)(a["z"], LABELS)
        return total.sum() / count.sum()

    compare(
        ours,
        lambda t: F.cross_entropy(t["z"], torch.tensor(LABELS), weight=torch.tensor(weights)),
        {"z": 3 * normal(6, 4)},
    )


def test_smoothing():
    theirs = lambda z, y: F.cross_entropy(z, y, label_smoothing=0.2, reduction="none")  # noqa: E731
    same(losses.smoothed(losses.cross_entropy, 0.2), theirs, 3 * normal(6, 4), LABELS)


def test_mask_of_tokens():
    labels = np.array([[0, 2, 1, -100], [3, -100, -100, -100], [1, 1, -100, -100]])

    def ours(a):
        total, count = losses.masked(losses.cross_entropy)(a["z"], (labels, labels >= 0))
        return total.sum() / count.sum()

    compare(
        ours,
        lambda t: F.cross_entropy(t["z"].flatten(0, 1), torch.tensor(labels).flatten()),
        {"z": 3 * normal(3, 4, 5)},
    )

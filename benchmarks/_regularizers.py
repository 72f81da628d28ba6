"""What is compared against overfitting: ways to train the same network, each of some strength."""

import dataclasses
import math
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from laminax import nn, optim, train

HIDDEN, CLASSES, STEPS = 128, 10, 600
RATE = optim.cosine(3e-3, STEPS)
BASELINE = "none"


class Recipe(NamedTuple):
    """One way to train."""

    model: nn.Layer
    objective: train.Objective
    optimizer: optax.GradientTransformation
    held_out: int = 0  # examples, by whose loss the best epoch is told; 0: the last one is kept


class Method(NamedTuple):
    """A way to train that depends on one number."""

    recipe: Callable[[Any, jax.Array], Recipe]  # of the strength and a key
    what: str = ""  # what the strength is
    strengths: tuple[float, ...] = (0.0,)
    traced: bool = False  # whether the strength may be a tracer


def scaled(x: jax.Array) -> jax.Array:
    """Pixels in [0, 1]."""
    return x.astype(jnp.float32) / 255


def network(
    *before: Any,
    init: Any = jax.nn.initializers.lecun_normal(),
    norm: Any = (),
    activation: Any = nn.relu,
    after: Any = (),
) -> nn.Layer:
    """One hidden layer, with room before it, inside it and behind it."""
    hidden = [nn.flatten(), nn.dense(HIDDEN, init=init), *norm, activation, *after]
    return nn.serial(scaled, *before, *hidden, nn.dense(CLASSES))


def plain(
    model: nn.Layer | None = None,
    optimizer: optax.GradientTransformation | None = None,
    loss: Any = nn.losses.cross_entropy,
    held_out: int = 0,
) -> Recipe:
    """The baseline but for what is given."""
    model = network() if model is None else model
    optimizer = optim.adam(RATE) if optimizer is None else optimizer
    return Recipe(model, train.supervised(model, loss), optimizer, held_out)


def with_noisy_labels(recipe: Recipe, rate: float) -> Recipe:
    """In training, some labels give way to random ones."""
    noise = nn.label_noise(rate, CLASSES)

    def loss(params: Any, state: Any, batch: Any, ctx: nn.Context) -> Any:
        x, y = batch
        y, _ = noise.apply({}, {}, y, ctx)
        return recipe.objective.loss(params, state, (x, y), ctx)

    return recipe._replace(objective=dataclasses.replace(recipe.objective, loss=loss))


def mixup(recipe: Recipe, alpha: Any) -> Recipe:
    """In training, each example is mixed with another one of the batch.

        x ← λ x + (1 − λ) x′,    y ← λ y + (1 − λ) y′,    λ ~ Beta(α, α)

    y are one-hot.

    Source: Zhang et al., mixup: beyond empirical risk minimization, 2018.
    """

    def loss(params: Any, state: Any, batch: Any, ctx: nn.Context) -> Any:
        if ctx.train:
            x, y = batch
            key = jax.random.fold_in(ctx.key_for("mixup"), zlib.crc32(b"mixup"))
            batch = mixed(key, (x.astype(jnp.float32), jax.nn.one_hot(y, CLASSES)), alpha)
        return recipe.objective.loss(params, state, batch, ctx)

    return recipe._replace(objective=dataclasses.replace(recipe.objective, loss=loss))


def mixed(key: jax.Array, batch: Any, alpha: Any) -> Any:
    """λ a + (1 − λ) a′ of each array a, with a λ and a partner for each example."""
    partners, shares = jax.random.split(key)
    size = jax.tree.leaves(batch)[0].shape[0]
    order = jax.random.permutation(partners, size)
    share = jax.random.beta(shares, alpha, alpha, (size,))

    def blend(a: jax.Array) -> jax.Array:
        s = share.reshape(-1, *(1,) * (a.ndim - 1))
        return s * a + (1 - s) * a[order]

    return jax.tree.map(blend, batch)


def _penalized(transform: Callable[[Any], Any]) -> Callable[[Any, jax.Array], Recipe]:
    """Adam after a penalty's gradient."""
    return lambda s, key: plain(optimizer=optim.chain(transform(s), optim.adam(RATE)))


def _inside(layer: Callable[[Any], Any], **how: Any) -> Callable[[Any, jax.Array], Recipe]:
    """A layer behind the hidden units."""
    return lambda s, key: plain(network(after=[layer(s)], **how))


def _before(layer: Callable[[Any], Any]) -> Callable[[Any, jax.Array], Recipe]:
    """A layer before all others."""
    return lambda s, key: plain(network(layer(s)))


def _normalized(norm: Callable[[Any], Any]) -> Callable[[Any, jax.Array], Recipe]:
    """A norm before the hidden units' activation."""
    return lambda s, key: plain(network(norm=[norm(s)]))


def _sparse_start(nonzeros: float, key: jax.Array) -> Recipe:
    k = int(nonzeros)
    return plain(network(init=nn.initializers.sparse(k, math.sqrt(2 / k))))


def _ladder(low: float, factor: float, n: int = 4) -> tuple[float, ...]:
    return tuple(float(f"{low * factor**i:.2g}") for i in range(n))


W = "*/w"
SHARES = (0.2, 0.4, 0.6, 0.8)

METHODS = {
    BASELINE: Method(lambda s, key: plain()),
    "L1": Method(_penalized(lambda s: optim.l1(s, W)), "λ", _ladder(1e-5, 4), True),
    "proximal L1": Method(
        lambda s, key: plain(optimizer=optim.proximal_l1(optim.adam(RATE), s, W)),
        "λ",
        _ladder(4e-3, 4),
        True,
    ),
    "L2": Method(_penalized(lambda s: optim.l2(s, W)), "λ", _ladder(1e-4, 4), True),
    "elastic net": Method(
        _penalized(lambda s: optim.elastic(s, 10 * s, W)), "λ₁ = λ₂ / 10", _ladder(1e-5, 4), True
    ),
    "decoupled decay": Method(
        lambda s, key: plain(optimizer=optim.adamw(RATE, weight_decay=s, decayed=W)),
        "λ",
        _ladder(0.1, 4),
        True,
    ),
    "max-norm": Method(
        lambda s, key: plain(optimizer=optim.chain(optim.adam(RATE), optim.max_norm(s, W))),
        "c",
        _ladder(1.0, 1.5),
        True,
    ),
    "dropout": Method(_inside(nn.dropout), "p", SHARES),
    "DropConnect": Method(lambda s, key: plain(nn.drop_connect(network(), W, s)), "p", SHARES),
    "early stopping": Method(
        lambda s, key: plain(held_out=int(s)), "held out of the 500", (25, 50, 100)
    ),
    "input noise": Method(_before(nn.gaussian_noise), "σ", _ladder(0.1, 2)),
    "masking noise": Method(_before(nn.masking_noise), "p", SHARES),
    "label noise": Method(lambda s, key: with_noisy_labels(plain(), s), "p", SHARES),
    "weight noise": Method(
        lambda s, key: plain(nn.weight_noise(network(), W, s)), "σ", _ladder(0.025, 2)
    ),
    "random freezing": Method(lambda s, key: plain(nn.freeze_random(network(), W, s)), "p", SHARES),
    "gradient noise": Method(
        lambda s, key: plain(optimizer=optim.chain(optim.gradient_noise(key, s), optim.adam(RATE))),
        "η",
        _ladder(1e-7, 100),
        True,
    ),
    "label smoothing": Method(
        lambda s, key: plain(loss=nn.losses.smoothed(nn.losses.cross_entropy, s)),
        "ε",
        _ladder(0.1, 2),
    ),
    "mixup": Method(lambda s, key: mixup(plain(), s), "α", _ladder(0.1, 3), True),
    "activity L1": Method(_inside(nn.l1_sparsity), "λ", _ladder(1e-4, 5)),
    "k-sparse": Method(_inside(lambda s: nn.k_sparse(int(s))), "k", (16, 32, 64, 96)),
    "sigmoid units": Method(lambda s, key: plain(network(activation=nn.sigmoid))),
    "KL sparsity, sigmoid units": Method(
        _inside(nn.kl_sparsity, activation=nn.sigmoid), "λ", _ladder(2.5e-3, 5)
    ),
    "sparse initialization": Method(_sparse_start, "nonzeros of 784", (15, 50, 150)),
    "batch norm": Method(_normalized(lambda s: nn.batch_norm())),
    "layer norm": Method(_normalized(lambda s: nn.layer_norm())),
    "group norm": Method(_normalized(lambda s: nn.group_norm(int(s))), "groups", (4, 16, 32)),
    "RMS norm": Method(_normalized(lambda s: nn.rms_norm())),
    "random shift": Method(_before(lambda s: nn.random_shift(int(s))), "pixels", (1, 2, 3)),
    "average of parameters": Method(
        lambda s, key: plain(optimizer=optim.chain(optim.adam(RATE), optim.ema(s))),
        "decay",
        (0.9, 0.97, 0.99, 0.997),
        True,
    ),
}

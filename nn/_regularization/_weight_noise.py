"""Weights disturbed in training: dropped, noisy, or frozen at random, afresh at each call.

drop_connect   w · m / (1 - p),       m ~ Bernoulli(1 - p)
weight_noise   w + σ ε,               ε ~ N(0, 1)
freeze_random  w, and ∂w = m · ∂w     m ~ Bernoulli(1 - p)
"""

import jax
import jax.numpy as jnp

from .._core._checks import fraction
from .._core._factory import LayerLike, wrapper
from .._core._layer import Context, Layer
from .._core._reparametrize import Memory, Reparametrization, reparametrized
from ._dropout import bernoulli, dropped
from ._noise import deviation, noisy


@wrapper
def drop_connect(layer: LayerLike, pattern: str, rate: float, /) -> Layer:
    """DropConnect: w · m / (1 - p) with m ~ Bernoulli(1 - p) in training, w in evaluation.

    The mask is one for the whole batch, drawn at each call; evaluation takes the mean of w, in
    place of the paper's Gaussian about the mean of its outputs. The rate is met to 2⁻¹⁷.

    Source: Wan et al., Regularization of neural networks using DropConnect, 2013.

    Args:
        layer: what to wrap.
        pattern: the paths of the weights, in which `*` is any text: "*/w".
        rate: p, the probability that a weight is set to zero, in [0, 1).

    Raises:
        TypeError: a pattern that is no string.
        ValueError: a rate outside [0, 1); a pattern that matches nothing; training without a key.

    >>> from laminax import nn
    >>> model = nn.drop_connect(nn.dense(100, bias=False), "w", 0.5)
    >>> ctx = nn.Context(jax.random.key(0), train=True)
    >>> y, _ = model.apply({"w": jnp.ones((1, 100))}, {}, jnp.ones((3, 1)), ctx)
    >>> set(y.ravel().tolist()) == {0.0, 2.0}
    True
    """
    p = fraction("drop_connect", "rate", rate)

    def join(w: jax.Array, memory: Memory, ctx: Context) -> tuple[jax.Array, Memory]:
        return dropped("drop_connect", p, w, ctx), memory

    return reparametrized(layer, pattern, Reparametrization("drop_connect", join, draws=True))


@wrapper
def weight_noise(layer: LayerLike, pattern: str, std: float, /) -> Layer:
    """Noise on weights: w + σ ε with ε ~ N(0, 1) for each weight in training, w in evaluation.

    The noise is one for the whole batch, drawn at each call.

    Source: An, The effects of adding noise during backpropagation training on a generalization
    performance, 1996.

    Args:
        layer: what to wrap.
        pattern: the paths of the weights, in which `*` is any text: "*/w".
        std: σ, in the units of w, at least 0.

    Raises:
        TypeError: a pattern that is no string.
        ValueError: a std below 0 or not finite; a pattern that matches nothing; training without
            a key.

    >>> from laminax import nn
    >>> model = nn.weight_noise(nn.dense(1000, bias=False), "w", 0.1)
    >>> ctx = nn.Context(jax.random.key(0), train=True)
    >>> y, _ = model.apply({"w": jnp.ones((1, 1000))}, {}, jnp.ones((1, 1)), ctx)
    >>> bool(abs(y.std() - 0.1) < 0.01)
    True
    """
    sigma = deviation("weight_noise", std)

    def join(w: jax.Array, memory: Memory, ctx: Context) -> tuple[jax.Array, Memory]:
        return noisy("weight_noise", sigma, w, ctx), memory

    return reparametrized(layer, pattern, Reparametrization("weight_noise", join, draws=True))


@wrapper
def freeze_random(layer: LayerLike, pattern: str, rate: float, /) -> Layer:
    """Dilution that keeps all weights at work: each has no gradient with probability p.

    y is that of the layer; of the matched weights a random subset, one for the whole batch, drawn
    at each call, is constant to the gradient. What an optimizer adds beside the gradient, such as
    momentum or weight decay, moves these weights all the same.

    Args:
        layer: what to wrap.
        pattern: the paths of the weights, in which `*` is any text: "*/w".
        rate: p, the probability that a weight is frozen, in [0, 1).

    Raises:
        TypeError: a pattern that is no string.
        ValueError: a rate outside [0, 1); a pattern that matches nothing; training without a key.

    >>> from laminax import nn
    >>> model = nn.freeze_random(nn.dense(100, bias=False), "w", 0.5)
    >>> ctx = nn.Context(jax.random.key(0), train=True)
    >>> loss = lambda params: model.apply(params, {}, jnp.ones((1, 1)), ctx)[0].sum()
    >>> gradient = jax.grad(loss)({"w": jnp.ones((1, 100))})
    >>> set(gradient["w"].ravel().tolist()) == {0.0, 1.0}
    True
    """
    p = fraction("freeze_random", "rate", rate)

    def join(w: jax.Array, memory: Memory, ctx: Context) -> tuple[jax.Array, Memory]:
        if not ctx.train or p == 0:
            return w, memory
        frozen = bernoulli(ctx.key_for("freeze_random"), p, w.shape)
        return jnp.where(frozen, jax.lax.stop_gradient(w), w), memory

    return reparametrized(layer, pattern, Reparametrization("freeze_random", join, draws=True))

"""Corruption of the input, in training alone: what a denoising autoencoder learns to undo."""

from typing import Any

import jax
import jax.numpy as jnp

from .._core._checks import fraction
from .._core._factory import factory
from .._core._layer import Context, Layer, Params, State, Variables, pointwise
from ._dropout import bernoulli


@factory
def masking_noise(rate: float) -> Layer:
    """Masking noise: y = x · m with m ~ Bernoulli(1 - p) in training, y = x in evaluation.

    Unlike dropout it does not scale what it keeps: a pixel is lost, and the others stay as they
    were. The rate is met to 2⁻¹⁷.

    Source: Vincent et al., Extracting and composing robust features with denoising autoencoders,
    2008.

    Args:
        rate: p, the probability that an entry is set to zero, in [0, 1).

    Raises:
        ValueError: a rate outside [0, 1); training without a key.

    >>> from laminax import nn
    >>> denoising = nn.serial(nn.masking_noise(0.25), nn.autoencoder(784, 500))
    >>> ctx = nn.Context(key=jax.random.key(0), train=True)
    >>> y, _ = nn.masking_noise(0.25).apply({}, {}, jnp.ones(1000), ctx)
    >>> set(y.tolist()), bool(abs(y.mean() - 0.75) < 0.05)
    ({0.0, 1.0}, True)
    """
    p = fraction("masking_noise", "rate", rate)

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        return Variables({}, {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        if not ctx.train or p == 0:
            return x, state
        lost = bernoulli(ctx.key_for("masking_noise"), p, x.shape)
        return jnp.where(lost, jnp.zeros((), x.dtype), x), state

    return pointwise(init, apply)

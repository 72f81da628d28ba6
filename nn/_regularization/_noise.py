"""Noise on what passes through in training: Gaussian on activations, uniform on class labels."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from .._core._checks import fraction, positive
from .._core._factory import factory
from .._core._layer import Context, Layer, Params, State, Variables, pointwise
from .._core._specs import describe
from ._dropout import bernoulli


@factory
def gaussian_noise(std: float) -> Layer:
    """Additive noise: y = x + σ ε with ε ~ N(0, 1) for each value in training, y = x in evaluation.

    Source: Bishop, Training with noise is equivalent to Tikhonov regularization, 1995.

    Args:
        std: σ, in the units of x, at least 0.

    Raises:
        ValueError: a std below 0 or not finite; training without a key.

    >>> from laminax import nn
    >>> ctx = nn.Context(key=jax.random.key(0), train=True)
    >>> y, _ = nn.gaussian_noise(0.1).apply({}, {}, jnp.zeros(1000), ctx)
    >>> bool(abs(y.std() - 0.1) < 0.01)
    True
    """
    sigma = deviation("gaussian_noise", std)

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        return Variables({}, {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        return noisy("gaussian_noise", sigma, x, ctx), state

    return pointwise(init, apply)


@factory
def label_noise(rate: float, classes: int) -> Layer:
    """Noise on labels: with probability p a label gives way to a class drawn uniformly from all.

    x holds integers in [0, classes); so does y, which is x in evaluation. The class drawn may be
    the old one: a share p (classes - 1) / classes of the labels is wrong.

    Source: Xie et al., DisturbLabel: regularizing CNN on the loss layer, 2016.

    Args:
        rate: p, in [0, 1).
        classes: how many classes there are.

    Raises:
        ValueError: a rate outside [0, 1); classes < 1; training without a key.
        TypeError: labels that are no integers.

    >>> from laminax import nn
    >>> ctx = nn.Context(key=jax.random.key(0), train=True)
    >>> y, _ = nn.label_noise(0.5, 10).apply({}, {}, jnp.zeros(1000, jnp.int32), ctx)
    >>> bool(abs((y != 0).mean() - 0.45) < 0.05)
    True
    """
    p = fraction("label_noise", "rate", rate)
    positive("label_noise", "classes", classes)

    def check(x: Any) -> None:
        if not jnp.issubdtype(getattr(x, "dtype", type(None)), jnp.integer):
            raise TypeError(
                f"label_noise: labels must be integers in [0, {classes}), got {describe(x)}; "
                "for noise on real numbers use gaussian_noise"
            )

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        check(x)
        return Variables({}, {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        check(x)
        if not ctx.train or p == 0:
            return x, state
        whether, which = jax.random.split(ctx.key_for("label_noise"))
        drawn = jax.random.randint(which, x.shape, 0, classes).astype(x.dtype)
        return jnp.where(bernoulli(whether, p, x.shape), drawn, x), state

    return pointwise(init, apply)


def deviation(kind: str, std: Any) -> float:
    """Return `std`, a finite number of at least 0."""
    if isinstance(std, bool) or not isinstance(std, int | float) or not 0 <= std < math.inf:
        raise ValueError(f"{kind}: std must be a finite number of at least 0, got {std!r}")
    return float(std)


def noisy(kind: str, std: float, x: jax.Array, ctx: Context) -> jax.Array:
    """Return x + σ ε in training, else x."""
    if not ctx.train or std == 0:
        return x
    return x + jnp.asarray(std, x.dtype) * jax.random.normal(ctx.key_for(kind), x.shape, x.dtype)

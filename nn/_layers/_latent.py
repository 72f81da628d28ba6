"""Latent variables: draws that a gradient passes through."""

from typing import Any

import jax
import jax.numpy as jnp

from .._core._checks import promote
from .._core._factory import factory
from .._core._layer import Context, Layer, Params, State, Variables, pointwise
from .._core._specs import describe


@factory
def gaussian_sample() -> Layer:
    """A reparametrized draw: x = (μ, log σ²), y = μ + σ ε with ε ~ N(0, I).

    Draws wherever the context has a key, in evaluation too; without one, evaluation gives y = μ.

    Source: Kingma and Welling, Auto-encoding variational Bayes, 2014.

    Raises:
        ValueError: μ and log σ² that differ in shape; training without a key.

    >>> from laminax import nn
    >>> x = jnp.full(1000, 3.0), jnp.full(1000, jnp.log(0.25))
    >>> y, _ = nn.gaussian_sample().apply({}, {}, x, nn.Context(jax.random.key(0)))
    >>> bool(abs(y.mean() - 3) < 0.05), bool(abs(y.std() - 0.5) < 0.05)
    (True, True)
    """

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        return Variables({}, {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        if not isinstance(x, tuple) or len(x) != 2 or x[0].shape != x[1].shape:
            raise ValueError(
                "gaussian_sample: x must be (mean, log_variance) of one shape, got "
                f"{describe(x)}; the layer before must return both"
            )
        mean, log_variance = promote(*x)
        if ctx.key is None and not ctx.train:
            return mean, state
        noise = jax.random.normal(ctx.key_for("gaussian_sample"), mean.shape, mean.dtype)
        return mean + jnp.exp(log_variance / 2) * noise, state

    return pointwise(init, apply)

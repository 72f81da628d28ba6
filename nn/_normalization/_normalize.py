"""The equation of normalization: y = γ (x - μ) / √(σ² + ε) + β.

Statistics are computed in at least float32, y in the common dtype of x and the parameters.
"""

import jax
import jax.numpy as jnp

from .._core._checks import default_float, promote
from .._core._layer import Params


def scale_and_bias(size: int) -> Params:
    """Return γ = 1 and β = 0."""
    return {"scale": jnp.ones(size, default_float()), "bias": jnp.zeros(size, default_float())}


def moments(x: jax.Array, axes: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    """Return μ and σ² over `axes`, which are kept with size 1."""
    x = at_least_float32(x)
    mean = x.mean(axes, keepdims=True)
    # The two-pass form: E[x²] - E[x]² cancels where the mean is large.
    return mean, jnp.square(x - mean).mean(axes, keepdims=True)


def normalized(
    x: jax.Array, mean: jax.Array, var: jax.Array, params: Params, epsilon: float
) -> jax.Array:
    """Return y, without β where the parameters have none; all broadcasts against x.

    The moments are in at least float32, and so is what is computed.
    """
    scale, *bias = (params[name] for name in ("scale", "bias") if name in params)
    dtype = promote(x, scale, *bias)[0].dtype
    align = lambda a: a.reshape((1,) * (x.ndim - a.ndim) + a.shape)  # noqa: E731
    x, mean, var, scale, *bias = promote(x, *map(align, (mean, var, scale, *bias)))
    y = (x - mean) * (jax.lax.rsqrt(var + epsilon) * scale)
    return (y + bias[0] if bias else y).astype(dtype)


def at_least_float32(x: jax.Array) -> jax.Array:
    """Return x in float32, or in its own dtype where that is wider."""
    with jax.numpy_dtype_promotion("standard"):
        return jnp.asarray(x, jnp.promote_types(x.dtype, jnp.float32))

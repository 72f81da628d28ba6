"""The initializers that JAX lacks, for weights (..., inputs, outputs).

The axes before the last two are a kernel's window; a unit's incoming weights lie along all axes but
the last.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn.initializers import Initializer

from .._core._checks import default_float, positive


def uniform(low: float, high: float) -> Initializer:
    """Uniform on [low, high): variance (high - low)² / 12.

    Unlike JAX's `uniform(scale)`, which is never negative, it says both ends.

    Args:
        low: the least value.
        high: the bound that no value reaches.

    Raises:
        ValueError: high ≤ low.

    >>> from laminax import nn
    >>> w = nn.initializers.uniform(-0.5, 0.5)(jax.random.key(0), (1000,))
    >>> bool(w.min() >= -0.5), bool(w.max() < 0.5), bool(abs(w.var() - 1 / 12) < 0.01)
    (True, True, True)
    """
    if not high > low:
        raise ValueError(
            f"uniform: high must be above low, got low={low!r}, high={high!r}; "
            "for a range about zero give uniform(-a, a)"
        )

    def init(key: jax.Array, shape: Any, dtype: Any = None, out_sharding: Any = None) -> jax.Array:
        return jax.random.uniform(
            key, shape, dtype or default_float(), low, high, out_sharding=out_sharding
        )

    return init


def identity(gain: float = 1.0) -> Initializer:
    """Identity map: y_j = gain · x_j for every j that x and y share, 0 beyond.

    For a kernel (..., inputs, outputs) the identity stands at the center of the window, so that a
    "same" convolution hands its input on.

    Source: Le, Jaitly and Hinton, A simple way to initialize recurrent networks of rectified linear
    units, 2015.

    Args:
        gain: the factor.

    Raises:
        ValueError: a shape of fewer than two axes.

    >>> from laminax import nn
    >>> nn.initializers.identity(0.5)(jax.random.key(0), (2, 3))
    Array([[0.5, 0. , 0. ],
           [0. , 0.5, 0. ]], dtype=float32)
    """

    def init(key: jax.Array, shape: Any, dtype: Any = None, out_sharding: Any = None) -> jax.Array:
        _at_least_two_axes("identity", shape)
        dtype = dtype or default_float()
        center = tuple((size - 1) // 2 for size in shape[:-2])
        eye = jnp.eye(shape[-2], shape[-1], dtype=dtype) * jnp.asarray(gain, dtype)
        return _placed(jnp.zeros(shape, dtype).at[center].set(eye), out_sharding)

    return init


def sparse(nonzeros: int = 15, stddev: float = 1.0) -> Initializer:
    """Sparse: each unit has exactly k non-zero incoming weights, drawn from N(0, stddev²).

    Its input has variance k · stddev² however many inputs there are, and units start different.

    Source: Martens, Deep learning via Hessian-free optimization, 2010.

    Args:
        nonzeros: k, of the incoming weights of each unit.
        stddev: their standard deviation.

    Raises:
        ValueError: k < 1, or more than a unit has inputs; a shape of fewer than two axes.

    >>> from laminax import nn
    >>> w = nn.initializers.sparse(3)(jax.random.key(0), (10, 4))
    >>> (w != 0).sum(0).tolist()
    [3, 3, 3, 3]
    """
    positive("sparse", "nonzeros", nonzeros)

    def init(key: jax.Array, shape: Any, dtype: Any = None, out_sharding: Any = None) -> jax.Array:
        _at_least_two_axes("sparse", shape)
        inputs, dtype = math.prod(shape[:-1]), dtype or default_float()
        if nonzeros > inputs:
            raise ValueError(
                f"sparse: nonzeros must be at most the inputs of a unit, got {nonzeros} of "
                f"{inputs} in shape {tuple(shape)}; give fewer"
            )
        where, values = jax.random.split(key)
        first = jnp.broadcast_to((jnp.arange(inputs) < nonzeros)[:, None], (inputs, shape[-1]))
        keep = jax.random.permutation(where, first, axis=0, independent=True).reshape(shape)
        w = jax.random.normal(values, shape, dtype) * jnp.asarray(stddev, dtype)
        return _placed(jnp.where(keep, w, 0), out_sharding)

    return init


def _placed(w: jax.Array, sharding: Any) -> jax.Array:
    return w if sharding is None else jax.device_put(w, sharding)


def _at_least_two_axes(kind: str, shape: Any) -> None:
    if len(shape) < 2:
        raise ValueError(
            f"{kind}: shape must be (..., inputs, outputs), got {tuple(shape)}; "
            "it is for weights, not for biases"
        )

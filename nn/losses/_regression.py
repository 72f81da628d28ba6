"""Losses of numbers against numbers, with the error e = ŷ - y, summed over an example.

squared_error        ℓ = Σ_i e_i²
half_squared_error   ℓ = ½ Σ_i e_i²
absolute_error       ℓ = Σ_i |e_i|
euclidean_error      ℓ = √(Σ_i e_i²), the norm of a reconstruction's error
huber                ℓ = Σ_i ½ e_i² where |e_i| ≤ δ, else δ (|e_i| - ½ δ)

No mean is taken over the values of an example. Computed in at least float32; every function raises
where shapes differ, even where they would broadcast.
"""

from typing import Any

import jax
import jax.numpy as jnp

from .._core._targets import check_same_shape, size, summed, wide


def squared_error(prediction: Any, target: Any) -> jax.Array:
    """Squared error of an example, summed over all its values: ℓ = Σ_i (ŷ_i - y_i)².

    Args:
        prediction: (batch, ...), floating.
        target: of the same shape.

    Returns:
        (batch,), in the square of the target's unit.

    Raises:
        ValueError: shapes that differ, even where they would broadcast; no batch axis.
        TypeError: a prediction that is not floating.

    >>> from laminax import nn
    >>> nn.losses.squared_error(jnp.array([[1.0, 2.0], [0.0, 0.5]]), jnp.zeros((2, 2)))
    Array([5.  , 0.25], dtype=float32)
    """
    return summed(jnp.square(_error("squared_error", prediction, target)))


def half_squared_error(prediction: Any, target: Any) -> jax.Array:
    """Half the squared error, ℓ = ½ Σ_i (ŷ_i - y_i)², whose gradient is the error itself.

    Args:
        prediction: (batch, ...), floating.
        target: of the same shape.

    Returns:
        (batch,), in the square of the target's unit.

    Raises:
        ValueError: shapes that differ, even where they would broadcast; no batch axis.
        TypeError: a prediction that is not floating.

    >>> from laminax import nn
    >>> nn.losses.half_squared_error(jnp.array([[1.0, 2.0]]), jnp.zeros((1, 2)))
    Array([2.5], dtype=float32)
    """
    return summed(jnp.square(_error("half_squared_error", prediction, target))) / 2


def absolute_error(prediction: Any, target: Any) -> jax.Array:
    """Absolute error, the L1 norm of the error of an example: ℓ = Σ_i |ŷ_i - y_i|.

    Args:
        prediction: (batch, ...), floating.
        target: of the same shape.

    Returns:
        (batch,), in the target's unit.

    Raises:
        ValueError: shapes that differ, even where they would broadcast; no batch axis.
        TypeError: a prediction that is not floating.

    >>> from laminax import nn
    >>> nn.losses.absolute_error(jnp.array([[1.0, -2.0]]), jnp.zeros((1, 2)))
    Array([3.], dtype=float32)
    """
    return summed(size(_error("absolute_error", prediction, target)))


def euclidean_error(prediction: Any, target: Any) -> jax.Array:
    """Euclidean norm of the error of an example, ℓ = √(Σ_i (ŷ_i - y_i)²): a reconstruction's.

    Its gradient where nothing is wrong is zero.

    Args:
        prediction: (batch, ...), floating.
        target: of the same shape.

    Returns:
        (batch,), in the target's unit.

    Raises:
        ValueError: shapes that differ, even where they would broadcast; no batch axis.
        TypeError: a prediction that is not floating.

    >>> from laminax import nn
    >>> nn.losses.euclidean_error(jnp.array([[3.0, 4.0], [0.0, 0.0]]), jnp.zeros((2, 2)))
    Array([5., 0.], dtype=float32)
    """
    return norm(_error("euclidean_error", prediction, target))


def huber(prediction: Any, target: Any, *, delta: float = 1.0) -> jax.Array:
    """Huber loss: ℓ = Σ_i ½ e_i² where |e_i| ≤ δ, else δ (|e_i| - ½ δ): square near, L1 far.

    Source: Huber, Robust estimation of a location parameter, 1964.

    Args:
        prediction: (batch, ...), floating.
        target: of the same shape.
        delta: δ > 0, the error at which the one turns into the other.

    Returns:
        (batch,), in the square of the target's unit.

    Raises:
        ValueError: shapes that differ, even where they would broadcast; no batch axis; δ ≤ 0.
        TypeError: a prediction that is not floating.

    >>> from laminax import nn
    >>> nn.losses.huber(jnp.array([[0.5, 3.0]]), jnp.zeros((1, 2)))
    Array([2.625], dtype=float32)
    """
    if not delta > 0:
        raise ValueError(f"huber: delta must be above 0, got {delta!r}; the error where L1 begins")
    e = size(_error("huber", prediction, target))
    near = jnp.minimum(e, delta)
    return summed(near * (e - near / 2))


def norm(x: jax.Array) -> jax.Array:
    """Return the Euclidean norm (batch,) of each example, with gradient zero at zero."""
    square = summed(jnp.square(x))
    zero = square == 0
    return jnp.where(zero, 0, jnp.sqrt(jnp.where(zero, 1, square)))


def _error(kind: str, prediction: Any, target: Any) -> jax.Array:
    check_same_shape(kind, prediction, target)
    return wide(prediction, target) - wide(target, prediction)

"""Rows drawn with replacement, each as often as its weight says: P(row = i) = w_i / Σ_j w_j.

A draw finds, by one uniform number, the block of about √n rows whose share of the sum it falls
into, and by another the row in that block: sums of few terms, exact enough in float32 at any n.
"""

from functools import partial
from math import isqrt
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from numpy.typing import NDArray

from ._stream import check_stream


def class_weights(y: NDArray[Any], classes: int | None = None) -> NDArray[np.float32]:
    """Weight of each class that makes all count alike: n / (k · count of the class), k classes.

    `class_weights(y)[y]` are the examples' weights for `weighted_index`; to weigh the loss instead,
    give the classes' to `nn.losses.class_weighted`. A class that y does not hold has weight 0.

    Args:
        y: labels (n,), integers from 0, of the training split.
        classes: their number; by default the largest label and one.

    Raises:
        TypeError: labels that are not integers.
        ValueError: no labels, or such outside [0, classes).

    >>> class_weights(np.array([0, 0, 0, 0, 1])).tolist()
    [0.625, 2.5]

    Source: King and Zeng, Logistic regression in rare events data, 2001.
    """
    y = np.asarray(y)
    if not np.issubdtype(y.dtype, np.integer):
        raise TypeError(f"class_weights: y must be integer labels, got {y.dtype}{list(y.shape)}")
    if y.ndim != 1 or not len(y):
        raise ValueError(f"class_weights: y must be labels (n,), at least one, got {list(y.shape)}")
    found = int(y.max()) + 1
    classes = found if classes is None else classes
    if y.min() < 0 or found > classes:
        raise ValueError(
            f"class_weights: labels must lie in [0, {classes}), got {int(y.min())} to {found - 1}"
        )
    counts = np.bincount(y, minlength=classes)
    weights = len(y) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return np.where(counts > 0, weights, 0).astype(np.float32)


def weighted_index(
    key: jax.Array, step: ArrayLike, batch_size: int, weights: ArrayLike
) -> jax.Array:
    """Rows of the training batch at `step`, drawn with replacement: int32 (batch_size,).

    Row i is drawn with probability w_i / Σ_j w_j; one of weight 0 never is. A pure function of key
    and step, so a run taken up again at any step goes on as it would have. There are no epochs:
    in n draws about a third of equally likely rows is missed.

    Args:
        key: typed key of the data stream.
        step: training step, 0 ≤ step < 2³².
        batch_size: B, at least 1.
        weights: (n,), finite, none negative and not all 0; sampled evenly over the classes by
            `class_weights(y)[y]`.

    Raises:
        TypeError: `key` is not one typed key; weights that are no floats.
        ValueError: weights that cannot be; sizes out of range.

    >>> weights = np.array([0.0, 1.0, 3.0], np.float32)
    >>> rows = weighted_index(jax.random.key(0), 0, 4000, weights)
    >>> (np.bincount(rows) / 1000).round(1).tolist()
    [0.0, 1.0, 3.0]
    """
    _check_weights(weights)
    weights = jnp.asarray(weights)
    check_stream("weighted_index", key, batch_size, len(weights))
    rows: jax.Array = _drawn(key, jnp.asarray(step, jnp.uint32), batch_size, weights)
    return rows


@partial(jax.jit, static_argnums=2, inline=True)
def _drawn(key: jax.Array, step: jax.Array, batch_size: int, weights: jax.Array) -> jax.Array:
    width = isqrt(len(weights) - 1) + 1
    blocks = -(-len(weights) // width)
    padded = jnp.pad(weights.astype(jnp.float32), (0, blocks * width - len(weights)))
    within = jnp.cumsum(padded.reshape(blocks, width), 1)
    before = jnp.cumsum(within[:, -1])
    drawn = jax.random.uniform(jax.random.fold_in(key, step), (2, batch_size), jnp.float32)
    block = _found(jnp.broadcast_to(before, (batch_size, blocks)), drawn[0])
    row = block * width + _found(within[block], drawn[1])
    return row


def _found(sums: jax.Array, drawn: jax.Array) -> jax.Array:
    """Return the place in each row of rising sums (batch, n) that a number in [0, 1) falls into."""
    # A float32 below 1, so that its product with the sum is rounded to less than the sum.
    return jnp.sum(sums <= (drawn * sums[:, -1])[:, None], 1, dtype=jnp.int32)


def _check_weights(weights: ArrayLike) -> None:
    if isinstance(weights, jax.core.Tracer):
        return
    known = np.asarray(weights)
    if not jnp.issubdtype(known.dtype, jnp.floating):
        raise TypeError(
            f"weighted_index: weights must be floats (n,), got {known.dtype}{list(known.shape)}; "
            "of labels make them by class_weights(y)[y]"
        )
    if known.ndim != 1 or not len(known):
        raise ValueError(
            f"weighted_index: weights must be (n,), one a row, got shape {list(known.shape)}"
        )
    if not (np.isfinite(known).all() and (known >= 0).all() and known.sum() > 0):
        raise ValueError(
            "weighted_index: weights must be finite, none negative and not all 0, got "
            f"{known.min()} to {known.max()}"
        )

"""Contrastive losses: near in the embedding what belongs together, far what does not.

contrastive   ℓ = ½ d² for a pair of one kind, ½ max(0, m - d)² for a pair of two
triplet       ℓ = max(0, d(anchor, positive) - d(anchor, negative) + m)
info_nce      ℓ_i = -log softmax_j(cos(q_i, k_j) / τ)_i
nt_xent       the mean over both views of an example, told from all 2N - 2 other views of the batch

d is the Euclidean distance. In the last two a row is contrasted with the others of its batch: the
answer depends on them, so a micro-batch is a smaller contest than its batch.
"""

from typing import Any

import jax
import jax.numpy as jnp

from .._core._specs import describe
from .._core._targets import check_binary, check_floating, wide
from ._regression import norm


def contrastive(pair: Any, same: Any, *, margin: float = 1.0) -> jax.Array:
    """Contrastive loss of pairs: ½ d² where they are the same, ½ max(0, m - d)² where they are not.

    Source: Hadsell, Chopra and LeCun, Dimensionality reduction by learning an invariant mapping,
    2006.

    Args:
        pair: two embeddings, each (batch, features), floating.
        same: (batch,): 1 for a pair of one kind, 0 for a pair of two.
        margin: m > 0, the distance beyond which two kinds are far enough.

    Returns:
        (batch,), in at least float32.

    Raises:
        ValueError: shapes that differ; known `same` outside [0, 1]; a margin ≤ 0.
        TypeError: embeddings that are no pair, or not floating.

    >>> from laminax import nn
    >>> pair = jnp.array([[0.3], [0.3]]), jnp.array([[0.5], [0.5]])
    >>> loss = nn.losses.contrastive(pair, jnp.array([1, 0]))
    >>> [round(value, 3) for value in loss.tolist()]
    [0.02, 0.32]
    """
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise TypeError(f"contrastive: pair must be two embeddings, got {describe(pair)}")
    first, second = _embeddings("contrastive", *pair)
    _check_above_zero("contrastive", "margin", margin)
    d = norm(first - second)
    y = check_binary("contrastive", d, same)
    return (y * jnp.square(d) + (1 - y) * jnp.square(jnp.maximum(margin - d, 0))) / 2


def triplet(anchor: Any, positive: Any, negative: Any, *, margin: float = 1.0) -> jax.Array:
    """Triplet loss: ℓ = max(0, d(anchor, positive) - d(anchor, negative) + m).

    Source: Balntas et al., Learning local feature descriptors with triplets and shallow
    convolutional neural networks, 2016.

    Args:
        anchor: (batch, features), floating.
        positive: of the anchor's kind, of the same shape.
        negative: of another kind, of the same shape.
        margin: m > 0, by how much the negative is to be farther.

    Returns:
        (batch,), in at least float32.

    Raises:
        ValueError: shapes that differ; a margin ≤ 0.
        TypeError: embeddings that are not floating.

    >>> from laminax import nn
    >>> a, p, n = jnp.array([[0.0]]), jnp.array([[0.5]]), jnp.array([[-1.25]])
    >>> nn.losses.triplet(a, p, n)
    Array([0.25], dtype=float32)
    """
    a, p, n = _embeddings("triplet", anchor, positive, negative)
    _check_above_zero("triplet", "margin", margin)
    return jnp.maximum(norm(a - p) - norm(a - n) + margin, 0)


def info_nce(queries: Any, keys: Any, *, temperature: float = 0.1) -> jax.Array:
    """InfoNCE: each query's own key told from all keys of the batch, by cosine.

    ℓ_i = -log softmax_j(cos(q_i, k_j) / τ)_i, in nats. Both ways at once, as for images and their
    captions, is the mean of info_nce(q, k) and info_nce(k, q).

    Source: van den Oord, Li and Vinyals, Representation learning with contrastive predictive
    coding, 2018.

    Args:
        queries: (batch, features), floating.
        keys: of the same shape; key i belongs to query i.
        temperature: τ > 0.

    Returns:
        (batch,), in at least float32.

    Raises:
        ValueError: shapes that differ; τ ≤ 0.
        TypeError: embeddings that are not floating.

    >>> from laminax import nn
    >>> q = jnp.eye(2)
    >>> loss = nn.losses.info_nce(q, 3 * q, temperature=1.0)  # log(1 + exp(-1))
    >>> [round(nats, 3) for nats in loss.tolist()]
    [0.313, 0.313]
    """
    q, k = map(_unit, _embeddings("info_nce", queries, keys))
    _check_above_zero("info_nce", "temperature", temperature)
    own: jax.Array = jnp.diagonal(jax.nn.log_softmax(q @ k.T / temperature))
    return -own


def nt_xent(first: Any, second: Any, *, temperature: float = 0.5) -> jax.Array:
    """Normalized temperature-scaled cross-entropy of two views of each example, by cosine.

    Each of the 2N views is told its partner from the 2N - 1 others, in nats; an example's loss is
    the mean of its two views'.

    Source: Chen et al., A simple framework for contrastive learning of visual representations,
    2020.

    Args:
        first: embeddings of one view (batch, features), floating.
        second: of the other, of the same shape.
        temperature: τ > 0.

    Returns:
        (batch,), in at least float32.

    Raises:
        ValueError: shapes that differ; τ ≤ 0.
        TypeError: embeddings that are not floating.

    >>> from laminax import nn
    >>> z = jnp.eye(2)
    >>> loss = nn.losses.nt_xent(z, z, temperature=1.0)  # log(1 + 2 exp(-1))
    >>> [round(nats, 3) for nats in loss.tolist()]
    [0.551, 0.551]
    """
    a, b = map(_unit, _embeddings("nt_xent", first, second))
    _check_above_zero("nt_xent", "temperature", temperature)
    n = a.shape[0]
    views = jnp.concatenate([a, b])
    itself = jnp.eye(2 * n, dtype=bool)
    log_p = jax.nn.log_softmax(jnp.where(itself, -jnp.inf, views @ views.T / temperature))
    both: jax.Array = jnp.diagonal(log_p, n) + jnp.diagonal(log_p, -n)
    return -both / 2


def _unit(x: jax.Array) -> jax.Array:
    # A zero vector stays zero, and its gradient finite.
    return x / jnp.maximum(norm(x), 1e-8)[:, None]


def _embeddings(kind: str, *arrays: Any) -> list[jax.Array]:
    for x in arrays:
        check_floating(kind, "an embedding", x)
        if len(x.shape) != 2 or x.shape != arrays[0].shape:
            raise ValueError(
                f"{kind}: embeddings must be (batch, features) of one shape, got {describe(arrays)}"
            )
    return [wide(x, *arrays) for x in arrays]


def _check_above_zero(kind: str, name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{kind}: {name} must be above 0, got {value!r}")

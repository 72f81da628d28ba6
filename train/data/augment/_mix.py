"""Examples mixed in pairs, and their labels in the same proportion.

With λ ~ Beta(α, α), an own one for each example, and partners drawn by a permutation of the batch:

    mixup    x̃ = λ x + (1 - λ) x',          ỹ = λ y + (1 - λ) y'
    cutmix   x̃ = x' in a box, x elsewhere,   ỹ = a y + (1 - a) y',   a the share of x left
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ._draw import checked_images, checked_positive, like, wide

Batch = tuple[Any, Any]


def mixup(key: jax.Array, batch: Batch, alpha: ArrayLike = 0.2) -> Batch:
    """Mix each example with another: λ x + (1 - λ) x', and their labels alike.

    Args:
        key: decides partners and shares.
        batch: (x, y): x of any shape (batch, ...), its dtype is kept and integers rounded; y the
            labels as probabilities (batch, classes), floating: `jax.nn.one_hot(labels, classes)`.
        alpha: α > 0; the larger, the more even the mixture.

    Raises:
        TypeError: labels that are not floating.
        ValueError: leading axes that differ; an α of 0 or below.

    >>> import numpy as np
    >>> x, y = np.ones((4, 3), np.float32), jax.nn.one_hot(np.array([0, 1, 2, 1]), 3)
    >>> x, y = mixup(jax.random.key(0), (x, y))
    >>> y.sum(1).round(5).tolist()
    [1.0, 1.0, 1.0, 1.0]

    Source: Zhang et al., mixup: beyond empirical risk minimization, 2018.
    """
    x, y = _checked("mixup", batch)
    of_partner, of_share = jax.random.split(key)
    partner = jax.random.permutation(of_partner, len(x))
    share = _share("mixup", of_share, alpha, len(x))
    return like(x, _blended(wide(x), share, partner)), like(y, _blended(wide(y), share, partner))


def cutmix(key: jax.Array, batch: Batch, alpha: ArrayLike = 1.0) -> Batch:
    """Paste a box of another image into each, and mix their labels by the areas.

    The box has the sides of the image times √(1 - λ) and lies around a pixel drawn evenly; what
    would lie outside is left off, and the labels count what is left.

    Args:
        key: decides partners, sizes and places.
        batch: (x, y): images (batch, height, width, channels) of any dtype, which is kept, and
            labels as in `mixup`.
        alpha: α > 0.

    Raises:
        TypeError: labels that are not floating; x is no images.
        ValueError: leading axes that differ; an α of 0 or below.

    >>> import numpy as np
    >>> x, y = np.ones((4, 8, 8, 3), np.uint8), jax.nn.one_hot(np.array([0, 1, 2, 1]), 3)
    >>> x, y = cutmix(jax.random.key(0), (x, y))
    >>> x.dtype, y.sum(1).round(5).tolist()
    (dtype('uint8'), [1.0, 1.0, 1.0, 1.0])

    Source: Yun et al., CutMix: regularization strategy to train strong classifiers with
    localizable features, 2019.
    """
    x, y = _checked("cutmix", batch)
    x = checked_images("cutmix", x)
    of_partner, of_share, of_place = jax.random.split(key, 3)
    partner = jax.random.permutation(of_partner, len(x))
    side = jnp.sqrt(1.0 - _share("cutmix", of_share, alpha, len(x)))
    place = jax.random.uniform(of_place, (2, len(x)), jnp.float32)
    rows, columns = (
        _span(length, place[i], side) for i, length in enumerate((x.shape[1], x.shape[2]))
    )
    inside = rows[:, :, None] & columns[:, None, :]
    left = 1.0 - inside.mean((1, 2), dtype=wide(y).dtype)
    mixed = jnp.where(inside[..., None], x[partner], x)
    return mixed, like(y, _blended(wide(y), left, partner))


def _span(length: int, place: jax.Array, side: jax.Array) -> jax.Array:
    """Return which of the pixels [0, length) a box covers, (batch, length)."""
    center = jnp.floor(place * length)[:, None]
    half = 0.5 * jnp.floor(side * length)[:, None]
    at = jnp.arange(length, dtype=place.dtype)[None] + 0.5
    return (at >= center - half) & (at < center + half)


def _share(where: str, key: jax.Array, alpha: ArrayLike, batch: int) -> jax.Array:
    alpha = checked_positive(where, "alpha", alpha).astype(jnp.float32)
    return jax.random.beta(key, alpha, alpha, (batch,), jnp.float32)


def _blended(a: jax.Array, share: jax.Array, partner: jax.Array) -> jax.Array:
    weight = share.astype(a.dtype).reshape(-1, *[1] * (a.ndim - 1))
    return weight * a + (1.0 - weight) * a[partner]


def _checked(where: str, batch: Batch) -> tuple[jax.Array, jax.Array]:
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise TypeError(
            f"{where}: the batch must be (x, y), got {type(batch).__name__}; side inputs cannot be "
            "mixed, so put them back afterwards"
        )
    x, y = map(jnp.asarray, batch)
    if not jnp.issubdtype(y.dtype, jnp.floating):
        raise TypeError(
            f"{where}: y must be probabilities (batch, classes), got {y.dtype}{list(y.shape)}; use "
            "jax.nn.one_hot(labels, classes)"
        )
    if x.shape[:1] != y.shape[:1] or not x.ndim:
        raise ValueError(
            f"{where}: x and y must have the same leading axis, got {list(x.shape)} and "
            f"{list(y.shape)}"
        )
    return x, y

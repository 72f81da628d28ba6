"""Gradient clipping, the first transform of a chain: `chain(clip_by_norm(1.0), adam(1e-3))`.

    clip_by_norm    g ← g · min(1, c / ‖g‖₂), the norm over all leaves together
    clip_by_value   g ← min(max(g, −c), c), element by element

Both work in float32 or wider and return the gradient in its own dtype.
"""

import optax
from jax.typing import ArrayLike

from ._checks import check_positive
from ._widen import widened


def clip_by_norm(max_norm: ArrayLike) -> optax.GradientTransformationExtraArgs:
    """Shorten the gradient to at most `max_norm`, keeping its direction: g ← g · min(1, c / ‖g‖₂).

    ‖g‖₂ is the norm over all leaves together, taken in float32 or wider. Raises ValueError for a
    norm that is not above 0 and finite.

    >>> import jax.numpy as jnp
    >>> transform, gradient = clip_by_norm(1.0), {"w": jnp.array([3.0]), "b": jnp.array([4.0])}
    >>> updates, _ = transform.update(gradient, transform.init(gradient))
    >>> round(updates["w"].item(), 4), round(updates["b"].item(), 4)
    (0.6, 0.8)

    Source: Pascanu et al., On the difficulty of training recurrent neural networks, 2013.
    """
    check_positive("clip_by_norm", "max_norm", max_norm, "1.0")
    return widened(lambda cast: optax.clip_by_global_norm(cast(max_norm)))


def clip_by_value(limit: ArrayLike) -> optax.GradientTransformationExtraArgs:
    """Hold every element of the gradient within [−limit, limit]; its direction may change.

    Raises ValueError for a limit that is not above 0 and finite.

    >>> import jax.numpy as jnp
    >>> transform, gradient = clip_by_value(1.0), jnp.array([3.0, -4.0, 0.5])
    >>> transform.update(gradient, transform.init(gradient))[0].tolist()
    [1.0, -1.0, 0.5]

    Source: Mikolov, Statistical language models based on neural networks, 2012.
    """
    check_positive("clip_by_value", "limit", limit, "1.0")
    return widened(lambda cast: optax.clip(cast(limit)))

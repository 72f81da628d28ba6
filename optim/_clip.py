"""Gradient clipping, the first transform of a chain: `chain(clip_by_norm(1.0), adam(1e-3))`.

    clip_by_norm    g ← g · min(1, c / ‖g‖₂), the norm over all matched leaves together
    clip_by_value   g ← min(max(g, −c), c), element by element
    adaptive_clip   g ← g · min(1, c max(‖w‖₂, ε) / ‖g‖₂), of each output unit

All work in float32 or wider and return the gradient in its own dtype.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from ._builder import matched
from ._checks import check_positive
from ._stacked import Stacked, layerwise, unit_norm
from ._widen import widened


def clip_by_norm(
    limit: ArrayLike, patterns: str | Sequence[str] = "*"
) -> optax.GradientTransformationExtraArgs:
    """Shorten the gradient to at most the norm c, keeping its direction: g ← g · min(1, c / ‖g‖₂).

    `limit` is c > 0. ‖g‖₂ is the norm over all leaves together whose path one of the `patterns`
    matches, taken in float32 or wider; the other leaves neither count nor change, be they NaN.
    Where some parameters are frozen, name those that train; within a group of `select` the norm is
    of that group alone. Raises ValueError for a limit that is not above 0 and finite, or from
    `init` for a pattern that matches no parameter.

    >>> import jax.numpy as jnp
    >>> transform, gradient = clip_by_norm(1.0), {"w": jnp.array([3.0]), "b": jnp.array([4.0])}
    >>> updates, _ = transform.update(gradient, transform.init(gradient))
    >>> round(updates["w"].item(), 4), round(updates["b"].item(), 4)
    (0.6, 0.8)

    Source: Pascanu et al., On the difficulty of training recurrent neural networks, 2013.
    """
    check_positive("clip_by_norm", "limit", limit, "1.0")
    return matched("clip_by_norm", patterns, lambda cast: optax.clip_by_global_norm(cast(limit)))


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


def adaptive_clip(
    limit: ArrayLike = 0.01,
    patterns: str | Sequence[str] = "*",
    *,
    eps: ArrayLike = 1e-3,
    stacked: Stacked = None,
) -> optax.GradientTransformationExtraArgs:
    """Shorten the gradient of each output unit to at most c times its weights' norm.

    g ← g · min(1, c max(‖w‖, ε) / ‖g‖), the norms over all axes but the last of matrices (in, out)
    and kernels (..., out), over the whole of vectors. `limit` is c > 0, `eps` is ε > 0, from which
    on units of zeros can grow; only parameters whose path one of the `patterns` matches are
    clipped, usually all but the last layer's. `stacked` gives the number of leading layer axes of
    each parameter, as `nn.stacked(model)` does. Raises ValueError for a number out of range, from
    `init` for a pattern that matches no parameter, or from `update` without `params`.

    >>> import jax.numpy as jnp
    >>> transform, w = adaptive_clip(0.1), jnp.array([[3.0, 3.0], [4.0, 4.0]])
    >>> gradient = jnp.array([[0.0, 0.25], [5.0, 0.25]])  # only the first unit's is too long
    >>> transform.update(gradient, transform.init(w), w)[0].tolist()
    [[0.0, 0.25], [0.5, 0.25]]

    Source: Brock et al., High-performance large-scale image recognition without normalization,
    2021.
    """
    check_positive("adaptive_clip", "limit", limit, "0.01")
    check_positive("adaptive_clip", "eps", eps, "1e-3")

    def shortened(g: jax.Array, w: jax.Array, limit: ArrayLike, eps: ArrayLike) -> jax.Array:
        longest, length = limit * jnp.maximum(unit_norm(w), eps), unit_norm(g)
        return g * (longest / jnp.maximum(length, longest))

    return matched(
        "adaptive_clip",
        patterns,
        lambda cast: layerwise(
            "adaptive_clip", stacked, lambda g, w: shortened(g, w, cast(limit), cast(eps))
        ),
    )

"""Rates adapted to each layer by the norms of its parameters and of its step, for large batches.

For each parameter w (each layer's slice where `stacked` says so) with the gradient g:

    lars    v ← μ v + η τ ‖w‖ / (‖g‖ + λ ‖w‖) · (g + λ w);          w ← w − v
    lamb    r = m̂ / (√v̂ + ε) + λ w of adam's means;                w ← w − η ‖w‖ / ‖r‖ · r

Where ‖w‖ or the norm below it is 0 the ratio is 1 (times no τ).

Rates are numbers or schedules; every number may be a JAX tracer. State is float32 or wider, updates
keep the gradients' dtype.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from ._adam import scale_by_adam
from ._builder import optimizer
from ._checks import check_fraction, check_nonnegative, check_positive
from ._schedules import Schedule
from ._stacked import Stacked, layerwise


def lars(
    rate: ArrayLike | Schedule,
    decay: ArrayLike = 0.9,
    *,
    trust: ArrayLike = 1e-3,
    weight_decay: ArrayLike = 0.0,
    stacked: Stacked = None,
) -> optax.GradientTransformationExtraArgs:
    """Momentum with a rate for each layer: v ← μ v + η τ ‖w‖ / (‖g‖ + λ ‖w‖) (g + λ w); w ← w − v.

    A step's norm is thereby about η τ of the parameter's. `decay` is μ in [0, 1), `trust` is τ > 0,
    `weight_decay` is λ ≥ 0; `stacked` gives the number of leading layer axes of each parameter, as
    `nn.stacked(model)` does. Biases and scales of norms are usually left out:
    `select({"*/w": lars(1.0), "*": momentum_velocity(0.1)})`. Raises ValueError for a rate that is
    not above 0 and finite, a constant out of range, or from `update` without `params`.

    >>> import jax.numpy as jnp
    >>> optimizer, w = lars(1.0, trust=0.1), jnp.array([3.0, 4.0])
    >>> updates, _ = optimizer.update(jnp.array([7.0, 0.0]), optimizer.init(w), w)
    >>> [round(u, 4) for u in updates.tolist()]  # 0.1 · 5
    [-0.5, 0.0]

    Source: You, Gitman and Ginsburg, Large batch training of convolutional networks, 2017.
    """
    check_fraction("lars", "decay", decay, "0.9")
    check_positive("lars", "trust", trust, "1e-3")
    check_nonnegative("lars", "weight_decay", weight_decay, "1e-4")

    def scaled(g: jax.Array, w: jax.Array, trust: ArrayLike, strength: ArrayLike) -> jax.Array:
        ratio = _ratio(trust * _norm(w), _norm(g) + strength * _norm(w))
        return (g + strength * w) * ratio

    return optimizer(
        "lars",
        rate,
        lambda cast: layerwise(
            "lars", stacked, lambda g, w: scaled(g, w, cast(trust), cast(weight_decay))
        ),
        after=[lambda cast: optax.trace(cast(decay))],
    )


def lamb(
    rate: ArrayLike | Schedule,
    b1: ArrayLike = 0.9,
    b2: ArrayLike = 0.999,
    eps: ArrayLike = 1e-6,
    *,
    weight_decay: ArrayLike = 0.0,
    stacked: Stacked = None,
) -> optax.GradientTransformationExtraArgs:
    """AdamW with a rate for each layer: r = m̂ / (√v̂ + ε) + λ w; w ← w − η ‖w‖ / ‖r‖ r.

    A step's norm is η of the parameter's. `b1`, `b2` are β₁, β₂ in [0, 1), `eps` is ε > 0,
    `weight_decay` is λ ≥ 0; `stacked` gives the number of leading layer axes of each parameter, as
    `nn.stacked(model)` does. Biases and scales of norms are usually left out:
    `select({"*/w": lamb(1e-3), "*": adam(1e-3)})`. Raises ValueError for a rate that is not above 0
    and finite, a constant out of range, or from `update` without `params`.

    >>> import jax.numpy as jnp
    >>> optimizer, w = lamb(0.1), jnp.array([3.0, 4.0])
    >>> updates, _ = optimizer.update(jnp.array([7.0, 0.0]), optimizer.init(w), w)
    >>> [round(u, 4) for u in updates.tolist()]  # 0.1 · 5
    [-0.5, -0.0]

    Source: You et al., Large batch optimization for deep learning: training BERT in 76 minutes,
    2020.
    """
    check_nonnegative("lamb", "weight_decay", weight_decay, "0.01")

    def scaled(r: jax.Array, w: jax.Array) -> jax.Array:
        return r * _ratio(_norm(w), _norm(r))

    return optimizer(
        "lamb",
        rate,
        scale_by_adam("lamb", b1, b2, eps),
        lambda cast: layerwise("lamb", stacked, lambda r, w: scaled(r + cast(weight_decay) * w, w)),
    )


def _norm(leaf: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.sum(jnp.square(jnp.abs(leaf))))


def _ratio(above: Any, below: Any) -> jax.Array:
    """Above / below, 1 where either is 0: a layer of zeros, or without a gradient, is as usual."""
    usable = (above > 0) & (below > 0)
    return jnp.where(usable, above / jnp.where(usable, below, 1.0), 1.0)

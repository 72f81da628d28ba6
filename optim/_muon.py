"""Muon: momentum whose step is made orthogonal, for the matrices of hidden layers."""

import math

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from ._builder import decay_weights, optimizer
from ._checks import check_fraction, check_positive, check_steps
from ._paths import paths
from ._schedules import Schedule
from ._stacked import Stacked, layer_axes, layerwise

# Of the quintic that pushes singular values towards 1, by Jordan et al.: steepest at 0.
_QUINTIC = (3.4445, -4.7750, 2.0315)


def muon(
    rate: ArrayLike | Schedule,
    decay: ArrayLike = 0.95,
    *,
    weight_decay: ArrayLike = 0.0,
    steps: ArrayLike = 5,
    eps: ArrayLike = 1e-7,
    stacked: Stacked = None,
) -> optax.GradientTransformationExtraArgs:
    """Momentum made orthogonal: m ← μ m + g; W ← W − η (√max(1, out / in) O(g + μ m) + λ W).

    O(X) ≈ U Vᵀ of X = U S Vᵀ, all singular values near 1 (0.7 to 1.2), by `steps` Newton-Schulz
    steps X ← a X + (b A + c A²) X, A = X Xᵀ, from X / (‖X‖ + ε). `decay` is μ in [0, 1),
    `weight_decay` is λ ≥ 0; `stacked` gives the number of leading layer axes of each parameter, as
    `nn.stacked(model)` does. Every parameter must be a matrix (in, out) or a kernel (..., out),
    taken as a matrix; give the others, the embedding and the last layer to another optimizer:
    `select({"hidden/*/w": muon(0.02), "*": adamw(1e-3)})`. Raises ValueError for a rate that is not
    above 0 and finite, a constant out of range, or (from `init`) a parameter that is no matrix.

    >>> import jax.numpy as jnp
    >>> optimizer, w = muon(1.0), jnp.eye(2)
    >>> updates, _ = optimizer.update(jnp.array([[3.0, 1.0], [0.0, 2.0]]), optimizer.init(w), w)
    >>> singular = jnp.linalg.svd(updates, compute_uv=False)
    >>> bool((singular > 0.6).all() and (singular < 1.3).all())
    True

    Source: Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024.
    """
    check_fraction("muon", "decay", decay, "0.95")
    check_steps("muon", "steps", steps, "5")
    check_positive("muon", "eps", eps, "1e-7")

    def step(x: jax.Array, eps: ArrayLike) -> jax.Array:
        matrix = x.reshape(-1, x.shape[-1])
        stretch = math.sqrt(max(1.0, matrix.shape[1] / matrix.shape[0]))
        return stretch * _orthogonal(matrix, steps, eps).reshape(x.shape)

    inner = optimizer(
        "muon",
        rate,
        lambda cast: optax.trace(cast(decay), nesterov=True),
        lambda cast: layerwise("muon", stacked, lambda x, w: step(x, cast(eps))),
        decay_weights("muon", weight_decay, "*"),
    )

    def init(params: optax.Params) -> optax.OptState:
        _check_matrices(params, stacked)
        return inner.init(params)

    return optax.GradientTransformationExtraArgs(init, inner.update)


def _orthogonal(x: jax.Array, steps: ArrayLike, eps: ArrayLike) -> jax.Array:
    a, b, c = _QUINTIC
    wide = x.shape[0] <= x.shape[1]
    x = x if wide else x.T  # the smaller product A
    x = x / (jnp.sqrt(jnp.sum(jnp.square(x))) + eps)

    def improve(_: jax.Array, x: jax.Array) -> jax.Array:
        gram = x @ x.T
        return a * x + (b * gram + c * gram @ gram) @ x

    x = jax.lax.fori_loop(0, steps, improve, x)
    return x if wide else x.T


def _check_matrices(params: optax.Params, stacked: Stacked) -> None:
    axes = layer_axes("muon", stacked, params)
    for path, leaf, layers in zip(paths(params), jax.tree.leaves(params), axes, strict=True):
        if leaf.ndim - layers < 2:
            raise ValueError(
                f"muon: {path} has shape {leaf.shape} with {layers} leading layer axes; expected a "
                'matrix or a kernel; give it to another optimizer: select({"*/w": muon(0.02), "*": '
                "adamw(1e-3)})."
            )

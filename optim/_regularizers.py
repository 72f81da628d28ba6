"""Penalties and constraints on the parameters, for those whose path a pattern matches.

Before the optimizer, as the gradient of a penalty:  `chain(l2(1e-4, "*/w"), momentum(0.1))`

    l2        g ← g + λ w                  of ½ λ ‖w‖²
    l1        g ← g + λ sign(w)            of λ ‖w‖₁; at w = 0 the subgradient 0
    elastic   g ← g + λ₁ sign(w) + λ₂ w    of their sum

Around the optimizer, or after it, on the parameters that its step leads to:

    proximal_l1   w ← sign(w) max(|w| − η λ, 0)
    max_norm      w ← w · min(1, c / ‖w‖₂), of each output unit

A penalty's gradient passes through the optimizer: under adam it is scaled like the rest, unlike
the decoupled decay of adamw. l1 makes weights small, only `proximal_l1` makes them exactly 0.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from ._builder import masks, matched
from ._checks import check_nonnegative, check_params, check_positive
from ._loss_scale import check_no_scale
from ._rate import rate as rate_of
from ._stacked import Stacked, layerwise, unit_norm


def l2(
    strength: ArrayLike, patterns: str | Sequence[str] = "*"
) -> optax.GradientTransformationExtraArgs:
    """Weight decay coupled to the gradient, that of the penalty ½ λ ‖w‖²: g ← g + λ w.

    Stands before the optimizer. `strength` is λ ≥ 0. Raises ValueError for a strength out of range,
    from `init` for a pattern that matches no parameter, or from `update` without `params`.

    >>> import jax.numpy as jnp
    >>> transform, params = l2(0.5, "*/w"), {"dense": {"w": jnp.array([2.0]), "b": jnp.ones(1)}}
    >>> zeros = {"dense": {"w": jnp.zeros(1), "b": jnp.zeros(1)}}
    >>> updates, _ = transform.update(zeros, transform.init(params), params)
    >>> updates["dense"]["w"].item(), updates["dense"]["b"].item()
    (1.0, 0.0)

    Source: Hoerl and Kennard, Ridge regression: biased estimation for nonorthogonal problems, 1970.
    """
    check_nonnegative("l2", "strength", strength, "1e-4")
    return _penalty("l2", patterns, l1=0.0, l2=strength)


def l1(
    strength: ArrayLike, patterns: str | Sequence[str] = "*"
) -> optax.GradientTransformationExtraArgs:
    """The subgradient of the penalty λ ‖w‖₁: g ← g + λ sign(w).

    Stands before the optimizer. `strength` is λ ≥ 0. Weights come near 0 and go around it; for ones
    that are 0 see `proximal_l1`. Raises ValueError for a strength out of range, from `init` for a
    pattern that matches no parameter, or from `update` without `params`.

    >>> import jax.numpy as jnp
    >>> transform, w = l1(0.5), jnp.array([2.0, -3.0, 0.0])
    >>> transform.update(jnp.zeros(3), transform.init(w), w)[0].tolist()
    [0.5, -0.5, 0.0]

    Source: Tibshirani, Regression shrinkage and selection via the lasso, 1996.
    """
    check_nonnegative("l1", "strength", strength, "1e-4")
    return _penalty("l1", patterns, l1=strength, l2=0.0)


def elastic(
    l1: ArrayLike, l2: ArrayLike, patterns: str | Sequence[str] = "*"
) -> optax.GradientTransformationExtraArgs:
    """The subgradient of the elastic net λ₁ ‖w‖₁ + ½ λ₂ ‖w‖²: g ← g + λ₁ sign(w) + λ₂ w.

    Stands before the optimizer. `l1` is λ₁ ≥ 0, `l2` is λ₂ ≥ 0. Raises ValueError for a strength
    out of range, from `init` for a pattern that matches no parameter, or from `update` without
    `params`.

    >>> import jax.numpy as jnp
    >>> transform, w = elastic(0.5, 0.25), jnp.array([2.0, -4.0])
    >>> transform.update(jnp.zeros(2), transform.init(w), w)[0].tolist()
    [1.0, -1.5]

    Source: Zou and Hastie, Regularization and variable selection via the elastic net, 2005.
    """
    check_nonnegative("elastic", "l1", l1, "1e-4")
    check_nonnegative("elastic", "l2", l2, "1e-4")
    return _penalty("elastic", patterns, l1=l1, l2=l2)


def proximal_l1(
    optimizer: optax.GradientTransformation,
    strength: ArrayLike,
    patterns: str | Sequence[str] = "*",
) -> optax.GradientTransformationExtraArgs:
    """The penalty λ ‖w‖₁ by its proximal step after the optimizer's: weights that are exactly 0.

    With w the parameters after the optimizer's step and η its rate at that step,
    w ← sign(w) max(|w| − η λ, 0). Around `sgd` it is ISTA. `strength` is λ ≥ 0. Raises ValueError
    for a strength out of range, from `init` for a pattern that matches no parameter or an optimizer
    without a rate or with a loss scale, or from `update` without `params`.

    >>> import jax.numpy as jnp
    >>> from laminax.optim import apply_updates, sgd
    >>> optimizer, w = proximal_l1(sgd(0.5), 1.0), jnp.array([2.0, -0.25])
    >>> updates, _ = optimizer.update(jnp.zeros(2), optimizer.init(w), w)
    >>> apply_updates(w, updates).tolist()
    [1.5, 0.0]

    Source: Daubechies, Defrise and De Mol, An iterative thresholding algorithm for linear inverse
    problems with a sparsity constraint, 2004.
    """
    check_nonnegative("proximal_l1", "strength", strength, "1e-4")
    inner = optax.with_extra_args_support(optimizer)

    def init(params: optax.Params) -> optax.OptState:
        masks("proximal_l1", patterns)(params)
        state = inner.init(params)
        check_no_scale("proximal_l1", state)
        if rate_of(state) is None:
            raise ValueError(
                "proximal_l1: the optimizer keeps no rate, which the threshold is a multiple of; "
                "expected one with scale_by_rate in it, such as sgd(0.1)."
            )
        return state

    def update(
        updates: optax.Updates,
        state: optax.OptState,
        params: optax.Params | None = None,
        **extra: Any,
    ) -> tuple[optax.Updates, optax.OptState]:
        check_params("proximal_l1", params)
        updates, state = inner.update(updates, state, params, **extra)
        eta: Any = rate_of(state)
        shrink = matched(
            "proximal_l1",
            patterns,
            lambda cast: layerwise(
                "proximal_l1", None, lambda u, w: _shrunk(w + u, eta * cast(strength)) - w
            ),
        )
        return shrink.update(updates, shrink.init(params), params)[0], state

    return optax.GradientTransformationExtraArgs(init, update)


def max_norm(
    limit: ArrayLike, patterns: str | Sequence[str] = "*", *, stacked: Stacked = None
) -> optax.GradientTransformationExtraArgs:
    """Hold the norm of each output unit's weights at c or below: w ← w · min(1, c / ‖w‖).

    Stands after the optimizer, where the updates are what is added to the parameters; the norms are
    over all axes but the last of matrices (in, out) and kernels (..., out), over the whole of
    vectors. `limit` is c > 0, for the parameters that one of the `patterns` matches,
    usually `"*/w"`; `stacked` gives the number of leading layer axes of each parameter,
    as `nn.stacked(model)` does. Raises ValueError for a limit out of range, from `init` for a
    pattern that matches no parameter, or from `update` without `params`.

    >>> import jax.numpy as jnp
    >>> from laminax.optim import apply_updates, chain, sgd
    >>> optimizer, w = chain(sgd(1.0), max_norm(2.5)), jnp.array([[3.0, 0.5], [4.0, 0.25]])
    >>> updates, _ = optimizer.update(jnp.zeros((2, 2)), optimizer.init(w), w)
    >>> apply_updates(w, updates).tolist()
    [[1.5, 0.5], [2.0, 0.25]]

    Source: Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting,
    2014.
    """
    check_positive("max_norm", "limit", limit, "3.0")

    def projected(w: jax.Array, limit: ArrayLike) -> jax.Array:
        return w * (limit / jnp.maximum(unit_norm(w), limit))

    return matched(
        "max_norm",
        patterns,
        lambda cast: layerwise("max_norm", stacked, lambda u, w: projected(w + u, cast(limit)) - w),
    )


def _penalty(
    where: str, patterns: str | Sequence[str], *, l1: ArrayLike, l2: ArrayLike
) -> optax.GradientTransformationExtraArgs:
    return matched(
        where,
        patterns,
        lambda cast: layerwise(where, None, lambda g, w: g + cast(l1) * jnp.sign(w) + cast(l2) * w),
    )


def _shrunk(w: jax.Array, threshold: Any) -> jax.Array:
    return jnp.sign(w) * jnp.maximum(jnp.abs(w) - threshold, 0.0)

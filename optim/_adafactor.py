"""Adafactor: adaptive rates from the row and column means of the squares, not from each square."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from ._builder import optimizer
from ._checks import check_nonnegative, check_params, check_positive
from ._schedules import Schedule
from ._stacked import Stacked, map_layers


class Factors(NamedTuple):
    """The running mean V of a matrix's squares, by its means over columns and over rows."""

    rows: jax.Array
    columns: jax.Array


class AdafactorState(NamedTuple):
    """What `adafactor` keeps."""

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count
    """int32 (): the updates made."""
    square: Any
    """V in float32 or wider: `Factors` of a matrix, an array of a vector or number."""


def adafactor(
    rate: ArrayLike | Schedule,
    decay: ArrayLike = 0.8,
    *,
    clip: ArrayLike = 1.0,
    smallest: ArrayLike = 1e-3,
    eps: ArrayLike = 1e-30,
    stacked: Stacked = None,
) -> optax.GradientTransformationExtraArgs:
    """Adafactor: W ← W − η max(ε₂, RMS(W)) U / max(1, RMS(U) / d), U = g / √V.

    Of a matrix (in, out) V is kept as r cᵀ / mean(r), of in + out numbers, with β = 1 − t^−γ:

        r ← β r + (1 − β) mean over columns of (g² + ε₁),    c likewise over rows

    Kernels are matrices in their last two axes; of vectors V is kept whole. `decay` is γ > 0,
    `clip` is d > 0, `smallest` is ε₂ ≥ 0, `eps` is ε₁ > 0; `stacked` gives the number of leading
    layer axes of each parameter, as `nn.stacked(model)` does. The rate is relative to the size of
    the parameters; the paper's is the schedule min(0.01, 1 / √t). Raises ValueError for a rate that
    is not above 0 and finite, a constant out of range, or from `update` without `params`.

    >>> import jax.numpy as jnp
    >>> optimizer, w = adafactor(0.1), jnp.full((2, 3), 2.0)
    >>> state = optimizer.init(w)
    >>> updates, _ = optimizer.update(jnp.ones((2, 3)), state, w)  # 0.1 · 2 · 1
    >>> round(updates[0, 0].item(), 4), [leaf.shape for leaf in state[0].square]
    (-0.2, [(2,), (3,)])

    Source: Shazeer and Stern, Adafactor: adaptive learning rates with sublinear memory cost, 2018.
    """
    check_positive("adafactor", "decay", decay, "0.8")
    check_positive("adafactor", "clip", clip, "1.0")
    check_nonnegative("adafactor", "smallest", smallest, "1e-3")
    check_positive("adafactor", "eps", eps, "1e-30")
    return optimizer(
        "adafactor",
        rate,
        lambda cast: _adafactor(cast(decay), cast(clip), cast(smallest), cast(eps), stacked),
    )


def _adafactor(
    decay: ArrayLike, clip: ArrayLike, smallest: ArrayLike, eps: ArrayLike, stacked: Stacked
) -> optax.GradientTransformation:
    """Optax's factors only axes of 128 or more, and takes β in float32."""

    def init(params: optax.Params) -> AdafactorState:
        square = map_layers("adafactor", stacked, _zeros, params)
        return AdafactorState(jnp.zeros((), jnp.int32), square)

    def update(
        updates: optax.Updates, state: AdafactorState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, AdafactorState]:
        check_params("adafactor", params)
        count = optax.safe_increment(state.count)

        def step(g: jax.Array, v: Any, w: jax.Array) -> tuple[jax.Array, Any]:
            forget = 1.0 / count.astype(g.dtype) ** decay
            v = jax.tree.map(lambda old, new: old + forget * (new - old), v, _means(g * g + eps))
            u = _divided(g, v)
            return u * jnp.maximum(smallest, _rms(w)) / jnp.maximum(1.0, _rms(u) / clip), v

        pairs = map_layers("adafactor", stacked, step, updates, state.square, params)
        steps = jax.tree.map(lambda _, pair: pair[0], updates, pairs)
        square = jax.tree.map(lambda _, pair: pair[1], updates, pairs)
        return steps, AdafactorState(count, square)

    return optax.GradientTransformation(init, update)


def _zeros(leaf: jax.Array) -> Any:
    return jax.tree.map(jnp.zeros_like, _means(leaf))


def _means(squares: jax.Array) -> Any:
    if squares.ndim < 2:
        return squares
    return Factors(squares.mean(-1), squares.mean(-2))


def _divided(g: jax.Array, v: Any) -> jax.Array:
    """G / √V; the factors are divided by in turn, because their product underflows."""
    if not isinstance(v, Factors):
        return g / jnp.sqrt(v)
    rows = v.rows / v.rows.mean(-1, keepdims=True)
    return g / jnp.sqrt(rows)[..., :, None] / jnp.sqrt(v.columns)[..., None, :]


def _rms(leaf: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.mean(jnp.square(leaf)))

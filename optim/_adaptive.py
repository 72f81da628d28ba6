"""Rates adapted to each coordinate by the squares of its gradients, without momentum's means.

    adagrad    s ← s + g²;               θ ← θ − η g / (√(s + ε′) + ε)
    rmsprop    s ← ρ s + (1 − ρ) g²;     m ← μ m + g / (√(s + ε′) + ε);   θ ← θ − η m
               centered: s less the square of the mean of g
    adadelta   s ← ρ s + (1 − ρ) g²;     δ = g √(d + ε) / √(s + ε);       θ ← θ − η δ
               d ← ρ d + (1 − ρ) δ²

Rates are numbers or schedules; every number may be a JAX tracer. State is float32 or wider, updates
keep the gradients' dtype.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from ._builder import check_eps, optimizer
from ._checks import check_fraction, check_positive
from ._schedules import Schedule


class SquareState(NamedTuple):
    """What `adagrad` and `rmsprop` keep."""

    square: optax.Updates
    """The sum or mean of the squared gradients, in float32 or wider."""


class DeviationState(NamedTuple):
    """What centered `rmsprop` keeps."""

    mean: optax.Updates
    """The mean of the gradients, in float32 or wider."""
    square: optax.Updates
    """The mean of the squared gradients less the square of their mean."""


def adagrad(
    rate: ArrayLike | Schedule, eps: ArrayLike = 1e-10, *, eps_root: ArrayLike = 0.0
) -> optax.GradientTransformationExtraArgs:
    """AdaGrad: s ← s + g²; θ ← θ − η g / (√(s + ε′) + ε).

    The more a coordinate has moved, the smaller its rate becomes; it never grows again. `eps` is ε,
    outside the root as in the paper, `eps_root` is ε′, inside it; one of them is above 0. Raises
    ValueError for a rate that is not above 0 and finite, or a constant out of range.

    >>> import jax.numpy as jnp
    >>> optimizer, gradient = adagrad(1.0), jnp.array([3.0, 0.1])
    >>> state = optimizer.init(jnp.zeros(2))
    >>> for _ in range(4):
    ...     updates, state = optimizer.update(gradient, state)  # the fourth: −1 / √4
    >>> [round(u, 4) for u in updates.tolist()]
    [-0.5, -0.5]

    Source: Duchi, Hazan and Singer, Adaptive subgradient methods for online learning and
    stochastic optimization, 2011.
    """
    check_eps("adagrad", eps, eps_root)
    return optimizer(
        "adagrad",
        rate,
        lambda cast: _scale_by_root(lambda s, g2: s + g2, cast(eps), cast(eps_root)),
    )


def rmsprop(
    rate: ArrayLike | Schedule,
    decay: ArrayLike = 0.9,
    eps: ArrayLike = 1e-8,
    *,
    momentum: ArrayLike = 0.0,
    eps_root: ArrayLike = 0.0,
    centered: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """RMSProp: s ← ρ s + (1 − ρ) g²; m ← μ m + g / (√(s + ε′) + ε); θ ← θ − η m.

    `decay` is ρ and `momentum` is μ, both in [0, 1). `eps` is ε, outside the root; `eps_root` is
    ε′, inside it, as Graves has it; one of them is above 0. s starts from 0 and is not freed of it:
    the first step is η / √(1 − ρ). `centered` takes from s the square of the running mean of g,
    which leaves the variance: steps are long where the gradient is steady, up to η g / ε, so it
    wants a larger ε or ε′. Raises ValueError for a rate that is not above 0 and finite, or a
    constant out of range.

    >>> import jax.numpy as jnp
    >>> optimizer = rmsprop(0.1, decay=0.75)
    >>> updates, _ = optimizer.update(jnp.array([4.0, -0.01]), optimizer.init(jnp.zeros(2)))
    >>> [round(u, 4) for u in updates.tolist()]
    [-0.2, 0.2]

    Source: Tieleman and Hinton, Neural networks for machine learning, lecture 6.5, 2012; Graves,
    Generating sequences with recurrent neural networks, 2013.
    """
    check_fraction("rmsprop", "decay", decay, "0.9")
    check_fraction("rmsprop", "momentum", momentum, "0.9")
    check_eps("rmsprop", eps, eps_root)
    # Known to be 0, momentum is left out, with the memory that it would keep.
    moving = isinstance(momentum, jax.core.Tracer) or momentum != 0
    return optimizer(
        "rmsprop",
        rate,
        lambda cast: (
            _scale_by_deviation(cast(decay), cast(eps), cast(eps_root))
            if centered
            else _scale_by_root(_mean(cast(decay)), cast(eps), cast(eps_root))
        ),
        *([lambda cast: optax.trace(cast(momentum))] if moving else []),
    )


def adadelta(
    rate: ArrayLike | Schedule = 1.0, decay: ArrayLike = 0.9, eps: ArrayLike = 1e-6
) -> optax.GradientTransformationExtraArgs:
    """AdaDelta, whose steps have the units of θ: δ = g √(d + ε) / √(s + ε); θ ← θ − η δ.

    s and d are running means of g² and δ², with `decay` ρ in [0, 1); `eps` is ε > 0, which sets the
    size of the first steps. The paper has no rate, so η is 1 by default. Raises ValueError for a
    rate that is not above 0 and finite, or a constant out of range.

    >>> import jax.numpy as jnp
    >>> optimizer = adadelta(decay=0.75, eps=1e-4)
    >>> updates, _ = optimizer.update(jnp.array([4.0, -4.0]), optimizer.init(jnp.zeros(2)))
    >>> [round(u, 4) for u in updates.tolist()]  # 4 · 0.01 / √(¼ · 16)
    [-0.02, 0.02]

    Source: Zeiler, ADADELTA: an adaptive learning rate method, 2012.
    """
    check_fraction("adadelta", "decay", decay, "0.9")
    check_positive("adadelta", "eps", eps, "1e-6")
    return optimizer("adadelta", rate, lambda cast: optax.scale_by_adadelta(cast(decay), cast(eps)))


Accumulate = Callable[[jax.Array, jax.Array], Any]


def _mean(decay: ArrayLike) -> Accumulate:
    return lambda s, g2: decay * s + (1 - decay) * g2


def _scale_by_root(
    accumulate: Accumulate, eps: ArrayLike, eps_root: ArrayLike
) -> optax.GradientTransformation:
    """U = g / (√(s + ε′) + ε), s accumulated from the squares; optax has either ε, not both."""

    def init(params: optax.Params) -> SquareState:
        return SquareState(jax.tree.map(lambda p: jnp.zeros_like(jnp.real(p)), params))

    def update(
        updates: optax.Updates, state: SquareState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, SquareState]:
        square = jax.tree.map(
            lambda g, s: accumulate(s, jnp.square(jnp.abs(g))), updates, state.square
        )
        return _over_root(updates, square, eps, eps_root), SquareState(square)

    return optax.GradientTransformation(init, update)


def _scale_by_deviation(
    decay: ArrayLike, eps: ArrayLike, eps_root: ArrayLike
) -> optax.GradientTransformation:
    """The same by the variance s ← ρ (s + (1 − ρ) (g − m)²),  m ← m + (1 − ρ) (g − m).

    Optax and torch take the mean square less the squared mean. It is the same number, but rounding
    makes it negative, and its root NaN, where the gradient is steady.
    """

    def init(params: optax.Params) -> DeviationState:
        mean = jax.tree.map(jnp.zeros_like, params)
        return DeviationState(mean, jax.tree.map(lambda p: jnp.zeros_like(jnp.real(p)), params))

    def update(
        updates: optax.Updates, state: DeviationState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, DeviationState]:
        away = jax.tree.map(lambda g, m: g - m, updates, state.mean)
        square = jax.tree.map(
            lambda d, s: decay * (s + (1 - decay) * jnp.square(jnp.abs(d))), away, state.square
        )
        mean = jax.tree.map(lambda d, m: m + (1 - decay) * d, away, state.mean)
        return _over_root(updates, square, eps, eps_root), DeviationState(mean, square)

    return optax.GradientTransformation(init, update)


def _over_root(
    updates: optax.Updates, square: optax.Updates, eps: ArrayLike, eps_root: ArrayLike
) -> optax.Updates:
    return jax.tree.map(lambda g, s: g / (jnp.sqrt(s + eps_root) + eps), updates, square)

"""Steps by the sign of the gradient alone, not by its size.

    rprop   Δ ← Δ η⁺ where g keeps its sign, Δ η⁻ where it turns;    θ ← θ − Δ sign(g)
    lion    θ ← θ − η (sign(β₁ m + (1 − β₁) g) + λ θ);               m ← β₂ m + (1 − β₂) g

Every number may be a JAX tracer. State is float32 or wider, updates keep the gradients' dtype.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from ._builder import decay_weights, optimizer
from ._checks import check_fraction, check_least, check_nonnegative, check_positive
from ._schedules import Schedule
from ._widen import widened


class RpropState(NamedTuple):
    """What `rprop` keeps, both in float32 or wider."""

    step: optax.Updates
    """The size Δ of each coordinate's step."""
    sign: optax.Updates
    """The sign of each coordinate's latest gradient; 0 where it has just turned."""


def rprop(
    rate: ArrayLike,
    *,
    shrink: ArrayLike = 0.5,
    grow: ArrayLike = 1.2,
    smallest: ArrayLike = 1e-6,
    largest: ArrayLike = 50.0,
) -> optax.GradientTransformationExtraArgs:
    """Resilient backpropagation: θ ← θ − Δ sign(g), each coordinate with a step size Δ of its own.

    Δ starts at `rate`. Where g has the sign it had, Δ ← min(Δ η⁺, largest); where the sign has
    turned, Δ ← max(Δ η⁻, smallest), and that coordinate rests for one step (iRprop−). `shrink` is
    η⁻ in (0, 1), `grow` is η⁺, 1 or above. For gradients of the whole set of examples: the signs of
    small batches turn by chance. It has no rate to schedule or to log. Raises ValueError for a
    number out of range.

    >>> import jax.numpy as jnp
    >>> optimizer, params = rprop(0.1), jnp.zeros(1)
    >>> state, steps = optimizer.init(params), []
    >>> for gradient in (3.0, 0.2, -5.0, -5.0):
    ...     updates, state = optimizer.update(jnp.array([gradient]), state)
    ...     steps.append(round(updates.item(), 4))
    >>> steps
    [-0.1, -0.12, -0.0, 0.06]

    Source: Riedmiller and Braun, A direct adaptive method for faster backpropagation learning: the
    RPROP algorithm, 1993; in this form Igel and Hüsken, Improving the Rprop learning algorithm,
    2000.
    """
    check_positive("rprop", "rate", rate, "1e-2")
    check_positive("rprop", "shrink", shrink, "0.5")
    check_fraction("rprop", "shrink", shrink, "0.5")
    check_least("rprop", "grow", grow, 1.0, "1.2")
    check_nonnegative("rprop", "smallest", smallest, "1e-6")
    check_positive("rprop", "largest", largest, "50.0")
    return widened(
        lambda cast: _rprop(
            *(cast(number) for number in (rate, shrink, grow, smallest, largest)),
        )
    )


def lion(
    rate: ArrayLike | Schedule,
    b1: ArrayLike = 0.9,
    b2: ArrayLike = 0.99,
    *,
    weight_decay: ArrayLike = 0.0,
    decayed: str | Sequence[str] = "*",
) -> optax.GradientTransformationExtraArgs:
    """Lion: θ ← θ − η (sign(β₁ m + (1 − β₁) g) + λ θ); m ← β₂ m + (1 − β₂) g.

    `b1` is β₁ in [0, 1), `b2` is β₂ in (0, 1). Every coordinate moves by η whatever its gradient,
    so the rate is 3 to 10 times smaller than Adam's, and `weight_decay`, λ ≥ 0, as much larger; it
    shrinks the parameters whose path one of the patterns `decayed` matches. Raises ValueError for a
    rate that is not above 0 and finite, a constant out of range, or (from `init`) a pattern that
    matches no parameter.

    >>> import jax.numpy as jnp
    >>> optimizer, params = lion(0.5), jnp.zeros(3)
    >>> updates, _ = optimizer.update(jnp.array([4.0, -0.01, 0.0]), optimizer.init(params), params)
    >>> updates.tolist()
    [-0.5, 0.5, -0.0]

    Source: Chen et al., Symbolic discovery of optimization algorithms, 2023.
    """
    check_fraction("lion", "b1", b1, "0.9")
    check_positive("lion", "b2", b2, "0.99")
    check_fraction("lion", "b2", b2, "0.99")
    return optimizer(
        "lion",
        rate,
        lambda cast: _lion(cast(b1), cast(b2)),
        decay_weights("lion", weight_decay, decayed),
    )


def _lion(b1: ArrayLike, b2: ArrayLike) -> optax.GradientTransformation:
    """Optax's own reads the old m after the new one is made, so that the compiler copies it."""

    def init(params: optax.Params) -> optax.ScaleByLionState:
        return optax.ScaleByLionState(
            jnp.zeros((), jnp.int32), jax.tree.map(jnp.zeros_like, params)
        )

    def update(
        updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, optax.OptState]:
        mu = jax.tree.map(lambda g, m: b2 * m + (1 - b2) * g, updates, state.mu)
        # With the new m, β₁ (m − g) + β₂ g is β₂ times what it is with the old one.
        sign = jax.tree.map(lambda g, m: jnp.sign(b1 * (m - g) + b2 * g), updates, mu)
        return sign, optax.ScaleByLionState(optax.safe_increment(state.count), mu)

    return optax.GradientTransformation(init, update)


def _rprop(
    rate: ArrayLike, shrink: ArrayLike, grow: ArrayLike, smallest: ArrayLike, largest: ArrayLike
) -> optax.GradientTransformation:
    """Optax's own applies each step one update late, so it is written here."""

    def init(params: optax.Params) -> RpropState:
        return RpropState(
            jax.tree.map(lambda p: jnp.full_like(p, rate), params),
            jax.tree.map(jnp.zeros_like, params),
        )

    def resize(step: jax.Array, turn: jax.Array) -> jax.Array:
        grown, shrunk = jnp.minimum(step * grow, largest), jnp.maximum(step * shrink, smallest)
        return jnp.where(turn > 0, grown, jnp.where(turn < 0, shrunk, step))

    def update(
        updates: optax.Updates, state: RpropState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, RpropState]:
        # The product of the signs, because that of small gradients underflows to 0.
        turn = jax.tree.map(lambda g, old: jnp.sign(g) * old, updates, state.sign)
        step = jax.tree.map(resize, state.step, turn)
        sign = jax.tree.map(
            lambda g, t: jnp.where(t < 0, jnp.zeros_like(g), jnp.sign(g)), updates, turn
        )
        return jax.tree.map(lambda s, d: -s * d, sign, step), RpropState(step, sign)

    return optax.GradientTransformation(init, update)

"""What the optimizers are put together with: pieces built in a wide dtype, the rate among them."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import jax
import optax
from jax.typing import ArrayLike

from ._checks import check_nonnegative, check_positive
from ._paths import mask
from ._rate import scale_by_rate
from ._schedules import Schedule, as_schedule
from ._widen import Cast, widened

Piece: TypeAlias = Callable[[Cast], optax.GradientTransformation]


def optimizer(
    where: str, rate: ArrayLike | Schedule, *pieces: Piece, after: Sequence[Piece] = ()
) -> optax.GradientTransformationExtraArgs:
    """The pieces, the rate, then the pieces `after` it: those in which the rate is remembered.

    All run in one wide dtype, so that nothing is rounded between two of them.
    """
    schedule = as_schedule(where, rate)
    return widened(
        lambda cast: optax.chain(
            *(piece(cast) for piece in pieces),
            scale_by_rate(schedule),
            *(piece(cast) for piece in after),
        )
    )


def matched(
    where: str, patterns: str | Sequence[str], piece: Piece
) -> optax.GradientTransformationExtraArgs:
    """The piece, in a wide dtype, on the leaves whose path a pattern matches; others pass."""
    return widened(lambda cast: optax.masked(piece(cast), masks(where, patterns)))


def decay_weights(where: str, strength: ArrayLike, patterns: str | Sequence[str]) -> Piece:
    """U ← u + λ θ for the parameters whose path a pattern matches."""
    check_nonnegative(where, "weight_decay", strength, "0.01")
    return lambda cast: optax.add_decayed_weights(cast(strength), mask=masks(where, patterns))


def masks(where: str, patterns: str | Sequence[str]) -> Callable[[optax.Params], optax.Params]:
    """The function from a tree to its leaves' bools that optax takes as a mask."""
    listed = (patterns,) if isinstance(patterns, str) else tuple(patterns)
    return lambda tree: mask(where, listed, tree)


def check_eps(where: str, eps: ArrayLike, eps_root: ArrayLike) -> None:
    """Raise unless both are 0 or above and the root they guard can divide: one is above 0."""
    check_nonnegative(where, "eps_root", eps_root, "0.0")
    guarded = isinstance(eps_root, jax.core.Tracer) or eps_root != 0
    check = check_nonnegative if guarded else check_positive
    check(where, "eps", eps, "1e-8")

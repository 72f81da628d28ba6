"""Positions inside attention: rotary turns queries and keys, ALiBi adds to the scores.

rotary    q_i ← R(i) q_i, k_j ← R(j) k_j, so that the score depends on i - j
alibi     s_ij ← s_ij - m_h |i - j|
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from .._core._checks import wide_dtype


@dataclass(frozen=True)
class Position:
    """How attention reads positions: the `position=` of `attention`.

    Attributes:
        turn: `turn(x, positions)` of queries or keys x (batch, heads, time, d); positions are
            (batch or 1, time) integers.
        bias: `bias(heads, queries, keys)`, of the positions of each, to an array
            (batch or 1, heads, time, time_k) added to the scores.
    """

    turn: Callable[[jax.Array, jax.Array], jax.Array] | None = None
    bias: Callable[[int, jax.Array, jax.Array], jax.Array] | None = None


def rotary(base: float = 10000.0) -> Position:
    """Rotary positions: x_i and x_{i + d/2} of a head turn together by position · base^{-2i/d}.

    The pairs are the two halves of a head, as in most published weights; the paper pairs
    neighbors, which is the same up to the order of the features.

    Source: Su et al., RoFormer: enhanced transformer with rotary position embedding, 2021.

    Args:
        base: the slowest pair takes almost 2π · base steps a turn.

    Raises:
        ValueError: a base ≤ 0; heads of an odd size.

    >>> import jax.numpy as jnp
    >>> from laminax import nn
    >>> x = jnp.array([1.0, 0.0]).reshape(1, 1, 1, 2)      # one pair turns by one radian a step
    >>> [f"{number:.2f}" for number in nn.rotary().turn(x, jnp.array([[1]])).ravel().tolist()]
    ['0.54', '0.84']
    """
    if isinstance(base, bool) or not isinstance(base, int | float) or base <= 0:
        raise ValueError(f"rotary: base must be a number above 0, got {base!r}")

    def turn(x: jax.Array, positions: jax.Array) -> jax.Array:
        if x.shape[-1] % 2:
            raise ValueError(
                f"rotary: heads must have an even size to turn in pairs, got {x.shape[-1]}; "
                "choose heads so that features / heads is even"
            )
        wide, half = wide_dtype(x), x.shape[-1] // 2
        speeds = float(base) ** (-jnp.arange(half, dtype=wide) / half)
        angles = positions.astype(wide)[:, None, :, None] * speeds[None, None, None, :]
        cos, sin = jnp.cos(angles), jnp.sin(angles)
        a, b = x[..., :half].astype(wide), x[..., half:].astype(wide)
        return jnp.concatenate([a * cos - b * sin, b * cos + a * sin], -1).astype(x.dtype)

    return Position(turn=turn)


def alibi() -> Position:
    """Attention with linear biases: s_ij - m_h |i - j|, with m_h = 2^{-8h/n} for head h of n.

    Where n is no power of two, the slopes are those of the power of two below and, for the rest,
    every other one of those of the power above.

    Source: Press, Smith and Lewis, Train short, test long: attention with linear biases enables
    input length extrapolation, 2022.

    >>> import jax.numpy as jnp
    >>> from laminax import nn
    >>> at = jnp.arange(3)[None]
    >>> nn.alibi().bias(8, at, at)[0, 0].tolist()        # head 1 of 8: m = 1/2
    [[-0.0, -0.5, -1.0], [-0.5, -0.0, -0.5], [-1.0, -0.5, -0.0]]
    """

    def bias(heads: int, queries: jax.Array, keys: jax.Array) -> jax.Array:
        slopes = jnp.array(_slopes(heads))[None, :, None, None]
        distance = jnp.abs(queries[:, None, :, None] - keys[:, None, None, :])
        return -slopes * distance.astype(slopes.dtype)

    return Position(bias=bias)


def _slopes(heads: int) -> list[float]:
    power = 2 ** int(math.log2(heads))
    first = [2.0 ** (-8 * h / power) for h in range(1, power + 1)]
    between = [2.0 ** (-4 * h / power) for h in range(1, 2 * power + 1, 2)]
    return first + between[: heads - power]

"""Positions added to x: y_t = x_t + P(t), with P a fixed wave or a learned table.

As cells they count on from the stretch before. Side input `positions` (batch, time) integers, where
given, takes the place of 0, 1, 2, ... (of packed or left-padded sequences).
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn.initializers import Initializer, normal

from .._core._checks import (
    check_shape,
    default_float,
    feature_size,
    indices,
    parameter_of,
    positive,
    promote,
    wide_dtype,
)
from .._core._factory import factory
from .._core._layer import Carry, Context, Layer, Params, State, Variables
from .._core._specs import describe


@factory
def sinusoidal_positions() -> Layer:
    """Sinusoidal positions: y = x + P, P_{t,2i} = sin(t / 10000^{2i/d}), P_{t,2i+1} = cos(same).

    x (batch, time, features) of any length. No parameters.

    Source: Vaswani et al., Attention is all you need, 2017.

    Raises:
        ValueError: an x without a time axis; side positions of another shape than x's.

    >>> from laminax import nn
    >>> y = nn.sinusoidal_positions()(nn.Variables({}, {}), jnp.zeros((1, 2, 2)))
    >>> [f"{number:.2f}" for number in y.ravel().tolist()]
    ['0.00', '1.00', '0.84', '0.54']
    """

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        return Variables({}, {})

    def add(params: Params, x: jax.Array, positions: jax.Array) -> jax.Array:
        wide, size = wide_dtype(x), x.shape[-1]
        pairs = jnp.arange(-(-size // 2), dtype=wide)
        speeds = jnp.exp(pairs * (-2 * math.log(10000.0) / size))
        angles = positions.astype(wide)[..., None] * speeds[None, None]
        waves = jnp.stack([jnp.sin(angles), jnp.cos(angles)], -1).reshape(*positions.shape, -1)
        return x + waves[..., :size].astype(x.dtype)

    return _counting("sinusoidal_positions", init, add)


@factory
def learned_positions(length: int, *, init: Initializer = normal(0.02)) -> Layer:
    """Learned positions: y_t = x_t + T_t, a table row a position.

    x (batch, time, features). Parameters: table (length, features). A position outside
    [0, length), which no compiled program can report, reads NaN.

    Source: Gehring et al., Convolutional sequence to sequence learning, 2017.

    Args:
        length: the number of positions, the longest sequence.
        init: initializer of the table.

    Raises:
        ValueError: length < 1; an x longer than length; side positions of another shape than x's.

    >>> from laminax import nn
    >>> table = {"table": jnp.array([[0.0], [0.5], [1.0]])}
    >>> nn.learned_positions(3)(nn.Variables(table, {}), jnp.ones((1, 2, 1))).tolist()
    [[[1.0], [1.5]]]
    """
    positive("learned_positions", "length", length)

    def check_length(x: Any) -> None:
        if x.shape[1] > length:
            raise ValueError(
                f"learned_positions: has {length} positions, got x {describe(x)}; "
                "make it as long as the longest sequence, or give shorter ones"
            )

    def make(key: jax.Array, x: Any, **side: Any) -> Variables:
        size = feature_size("learned_positions", x, least_rank=3)
        check_length(x)
        return Variables({"table": init(key, (length, size), default_float())}, {})

    def add(params: Params, x: jax.Array, positions: jax.Array) -> jax.Array:
        (table,) = parameter_of("learned_positions", params, "table")
        feature_size("learned_positions", x, table.shape[-1])
        check_shape("learned_positions", "table", table, (length, x.shape[-1]))
        check_length(x)
        x, table = promote(x, table)
        rows = jnp.where(positions < 0, length, positions)  # or they would count from the end
        return x + table.at[rows].get(mode="fill", fill_value=jnp.nan)

    return _counting("learned_positions", make, add)


def positions_of(kind: str, ctx: Context, x: Any, at: Any = 0) -> jax.Array:
    """Return the positions of a stretch x that starts at `at`, (batch or 1, time) integers.

    Raises:
        ValueError: x without a time axis; side positions of another shape than x's.
        TypeError: side positions that are not integers.
    """
    feature_size(kind, x, least_rank=2)
    if len(x.shape) < 3:
        raise ValueError(f"{kind}: x must be (batch, time, features), got {describe(x)}")
    given = ctx.side.get("positions")
    if given is None:
        counted: jax.Array = jnp.arange(x.shape[1], dtype=jnp.int32) + at
        return counted[None]
    if not jnp.issubdtype(jnp.result_type(given), jnp.integer):
        raise TypeError(f"{kind}: positions must hold integers, got {describe(given)}; cast them")
    if jnp.shape(given) != x.shape[:2]:
        raise ValueError(
            f"{kind}: positions must be (batch, time) = {x.shape[:2]} as x, got {describe(given)}; "
            "give those of the stretch x alone"
        )
    return indices(given)


def _counting(
    kind: str,
    init: Callable[..., Variables],
    add: Callable[[Params, jax.Array, jax.Array], jax.Array],
) -> Layer:
    """Layer y = add(params, x, positions), whose carry is how many steps have passed."""

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        return add(params, x, positions_of(kind, ctx, x)), state

    def start(variables: Variables, x: Any, ctx: Context) -> Carry:
        return jnp.zeros((), jnp.int32)

    def step(variables: Variables, at: Carry, x: Any, ctx: Context) -> tuple[Carry, jax.Array]:
        return at + x.shape[1], add(variables.params, x, positions_of(kind, ctx, x, at))

    return Layer(init, apply, kind, start=start, step=step)

"""The memory that attention reads: a side input, checked, projected once and carried."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from .._core._checks import promote
from .._core._layer import Carry, Context, Layer, Params, State, Variables
from .._core._masks import padding_mask
from .._core._specs import describe


def held(
    kind: str, form: Callable[[jax.Array, Any], dict[str, jax.Array]], projection: Layer | None
) -> Layer:
    """Layer from side input `memory`, whatever x, to `form(memory, projected)` and its mask.

    Its carry is its output: `start` projects the memory, `step` reads none.
    """

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        memory = checked(kind, side, x)
        return projection.init(key, memory) if projection else Variables({}, {})

    def project(params: Params, ctx: Context, x: Any) -> dict[str, jax.Array]:
        memory = checked(kind, ctx.side, x)
        mask = padding_mask(kind, ctx, memory, "memory_mask")
        mask = jnp.ones(memory.shape[:2], bool) if mask is None else mask
        dtype = promote(jnp.zeros((), x.dtype), *jax.tree.leaves(params))[0].dtype
        memory = jnp.asarray(memory, dtype)
        projected = projection.apply(params, {}, memory, ctx)[0] if projection else None
        return {**form(memory, projected), "mask": mask}

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[Any, State]:
        return project(params, ctx, x), state

    def start(variables: Variables, x: Any, ctx: Context) -> Carry:
        return project(variables.params, ctx, x)

    def step(variables: Variables, carry: Carry, x: Any, ctx: Context) -> tuple[Carry, Any]:
        return carry, carry

    return Layer(init, apply, "memory", start=start, step=step)


def checked(kind: str, side: Any, x: Any) -> Any:
    """Return side input `memory`.

    Raises:
        ValueError: there is none; x and memory are not (batch, time, features) of one batch.
    """
    memory = side.get("memory")
    if memory is None:
        raise ValueError(
            f"{kind}: needs side input memory (batch, time, features), got "
            f"{', '.join(side) or 'none'}; call the model with memory=; without it the model "
            "cannot run a stretch at a time: give start the context that holds it"
        )
    if len(memory.shape) != 3 or len(x.shape) != 3 or memory.shape[0] != x.shape[0]:
        raise ValueError(
            f"{kind}: x and memory must be (batch, time, features) of one batch, "
            f"got {describe(x)} and {describe(memory)}"
        )
    return memory

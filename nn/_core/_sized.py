"""Layers that answer in as many features as they are given: made once x is known."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax

from ._checks import feature_size
from ._layer import (
    Carry,
    Context,
    Layer,
    Params,
    State,
    Variables,
    abstract,
    set_abstract,
)
from ._specs import Abstract, Spec


def sized(kind: str, make: Callable[[int], Layer]) -> Layer:
    """Layer `make(features)`, with the features of the x that it is called on; one in a summary."""
    made = functools.cache(make)

    def inside(x: Any) -> Layer:
        return made(feature_size(kind, x, least_rank=2))

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        return inside(x).init(key, x, **side)

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[Any, State]:
        return inside(x).apply(params, state, x, ctx)

    def start(variables: Variables, x: Any, ctx: Context) -> Carry:
        cell = inside(x).start
        assert cell is not None
        return cell(variables, x, ctx)

    def step(variables: Variables, carry: Carry, x: Any, ctx: Context) -> tuple[Carry, Any]:
        cell = inside(x).step
        assert cell is not None
        return cell(variables, carry, x, ctx)

    def trace(x: Spec, side: Mapping[str, Spec]) -> Abstract:
        return abstract(inside(x), x, side)._replace(calls={})

    return set_abstract(Layer(init, apply, kind, start=start, step=step), trace)

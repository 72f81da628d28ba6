"""Wrappers over parameters: a weight made anew at each call from what the tree holds in its place.

    split(key, w)              -> parts, memory    once, when the layer is initialized
    join(parts, memory, ctx)   -> w, memory        at each call, in training and evaluation

A pattern of paths chooses the weights, so a model is wrapped whole, as it is, and the layers
inside see weights like any others. A wrapper is its two functions, written for the weight of one
layer; where `repeat` has stacked layers they are mapped over them. The layer inside keeps its name
and the numbers it starts from. The memory of `dense_0/w` stands in the state: `dense_0/w/u`.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import jax

from laminax._paths import check_pattern

from ._factory import LayerLike, as_layer
from ._layer import Carry, Context, Layer, Params, State, Variables, abstract, fold, set_abstract
from ._sites import Site, find_sites, put, take
from ._specs import Abstract, Spec, abstract_key, describe

Parts: TypeAlias = Any
"""What stands for a weight in the tree: an array, or a dict of arrays by name."""
Memory: TypeAlias = dict[str, jax.Array]
"""What training writes beside a weight, by name."""


class Reparametrization(NamedTuple):
    """An equation for a weight.

    Attributes:
        kind: the name of the wrapper.
        join: `join(parts, memory, ctx) -> (w, memory)`, the memory changed in training only.
        split: `split(key, w) -> (parts, memory)`; the weight itself and no memory unless given.
        parts: the names in the dict that stands for a weight; () where an array does.
        memory: the names in the memory.
        draws: whether `join` draws in training: the key is then its own, and the kind is folded
            into that of the layer inside.
        least_rank: the fewest axes of a weight.
    """

    kind: str
    join: Callable[[Parts, Memory, Context], tuple[jax.Array, Memory]]
    split: Callable[[jax.Array, jax.Array], tuple[Parts, Memory]] = lambda key, w: (w, {})
    parts: tuple[str, ...] = ()
    memory: tuple[str, ...] = ()
    draws: bool = False
    least_rank: int = 0


def reparametrized(layer: LayerLike, pattern: str, how: Reparametrization) -> Layer:
    """Return `layer` with the weights that `pattern` matches made by `how`.

    Raises:
        TypeError: a pattern that is no string.
        ValueError: where shapes are first known, a pattern that matches nothing, or a weight that
            has too few axes or is another's of the same kind already.
    """
    inner = as_layer(layer)
    check_pattern(how.kind, pattern)

    def joined(variables: Variables, ctx: Context) -> tuple[Variables, list[Any]]:
        sites = find_sites(how.kind, inner, variables.params, pattern, how.parts)
        return _joined(how, sites, variables, ctx)

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        abstract(new, x, side)  # first: what is wrong shows before any compile
        return _split(how, inner, pattern, key, inner.init(key, x, **side))

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[Any, State]:
        variables, written = joined(Variables(params, state), ctx)
        y, state = inner.apply(*variables, x, _inside(how, ctx))
        for keys, value in written:
            state = put(state, keys, value)
        return y, state

    def start(variables: Variables, x: Any, ctx: Context) -> Carry:
        assert inner.start is not None
        return inner.start(joined(variables, ctx)[0], x, _inside(how, ctx))

    def step(variables: Variables, carry: Carry, x: Any, ctx: Context) -> tuple[Carry, Any]:
        assert inner.step is not None
        return inner.step(joined(variables, ctx)[0], carry, x, _inside(how, ctx))

    def trace(x: Spec, side: Mapping[str, Spec]) -> Abstract:
        known = abstract(inner, x, side)
        split = jax.eval_shape(
            lambda key, variables: _split(how, inner, pattern, key, variables),
            *(abstract_key(), known.variables),
        )
        return known._replace(variables=split)

    changes: dict[str, Any] = {"start": start, "step": step} if inner.step else {}
    changes["_apart"] = None  # the weights inside are other ones
    new = set_abstract(dataclasses.replace(inner, init=init, apply=apply, **changes), trace)
    return new


def _split(
    how: Reparametrization, layer: Layer, pattern: str, key: jax.Array, variables: Variables
) -> Variables:
    params, state = variables
    sites = find_sites(how.kind, layer, params, pattern, ())
    for site in sites:
        _check_rank(how, site)
        own = fold(fold(key, how.kind), site.path)
        parts, memory = site.over_layers(how.split)(site.layer_keys(own), site.parts)
        params = put(params, site.keys, parts)
        for name, value in memory.items():
            state = put(state, (*site.keys, name), value)
    split = Variables(params, state)
    _check_apart(how, layer, pattern, sites, variables, split)
    return split


def _joined(
    how: Reparametrization, sites: list[Site], variables: Variables, ctx: Context
) -> tuple[Variables, list[Any]]:
    """Return the variables of the layer inside, and what is to be put in its state, by keys."""

    def join(parts: Parts, memory: Memory, key: jax.Array | None) -> tuple[jax.Array, Memory]:
        return how.join(parts, memory, dataclasses.replace(ctx, key=key))

    params, state = variables
    written: list[Any] = []
    own = _own_key(how, ctx)
    for site in sites:
        memory = {}
        for name in how.memory:
            memory[name], state = _taken(how, state, (*site.keys, name))
        key = None if own is None else site.layer_keys(fold(own, site.path))
        w, memory = site.over_layers(join)(site.parts, memory, key)
        params = put(params, site.keys, w)
        written += [((*site.keys, name), value) for name, value in memory.items()]
    return Variables(params, state), written


def _own_key(how: Reparametrization, ctx: Context) -> jax.Array | None:
    return ctx.key if how.draws and ctx.train else None


def _inside(how: Reparametrization, ctx: Context) -> Context:
    key = _own_key(how, ctx)
    return ctx if key is None else dataclasses.replace(ctx, key=fold(key, how.kind))


def _taken(how: Reparametrization, state: State, keys: tuple[str, ...]) -> tuple[Any, State]:
    try:
        return take(state, keys)
    except (KeyError, TypeError):
        raise ValueError(
            f"{how.kind}: state must hold {'/'.join(keys)!r}, got {', '.join(state) or 'none'}; "
            "pass the state that init made or training returned with these parameters"
        ) from None


def _check_rank(how: Reparametrization, site: Site) -> None:
    if site.parts.ndim - site.axes < how.least_rank:
        raise ValueError(
            f"{how.kind}: a weight must have at least {how.least_rank} axes, got "
            f"{describe(site.parts)} at {site.path!r}; give a pattern that leaves it out, "
            'such as "*/w"'
        )


def _check_apart(
    how: Reparametrization,
    layer: Layer,
    pattern: str,
    sites: list[Site],
    before: Variables,
    after: Variables,
) -> None:
    """Raise where the sites are not found again, or memory has been written over."""
    again = find_sites(how.kind, layer, after.params, pattern, how.parts)
    places = len(jax.tree.leaves(before.state)) + len(sites) * len(how.memory)
    if [s.keys for s in again] != [s.keys for s in sites] or places != len(
        jax.tree.leaves(after.state)
    ):
        raise ValueError(
            f"{how.kind}: pattern {pattern!r} matches weights that another {how.kind} inside has "
            f"taken, got {', '.join(site.path for site in again)}; give patterns that do not "
            "overlap"
        )

"""Depth by `lax.scan`: one block applied n times with its own parameters each time.

Steps in time are no scan over the blocks: it would copy each block's carry out of the stack and
back, and so the whole cache of an attention for one token. There each block has a carry of its own.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ._factory import LayerLike, as_layer, factory
from ._layer import Carry, Context, Layer, Params, State, Variables, abstract, set_abstract
from ._specs import Abstract, Spec, describe, signature, spec_of


@factory
def repeat(block: LayerLike, n: int, *, unroll: int | bool = 1) -> Layer:
    """The same block n times over, each with its own parameters: x_{i+1} = f(θ_i, x_i).

    The block is traced and compiled once. Its entry holds the n parameters stacked on axis 0, at no
    further level of the tree, whether unrolled or not. As a cell it compiles n steps, and its carry
    is the tuple of those of the blocks.

    Args:
        block: a layer that keeps the shape and dtype of x.
        n: how many times, at least 1.
        unroll: how many blocks of the loop to write out (True: all), for speed alone.

    Raises:
        ValueError: n < 1; a block that changes shape or dtype.

    >>> import jax, jax.numpy as jnp
    >>> from laminax import nn
    >>> model = nn.repeat(nn.residual(nn.dense(4), jnp.tanh), 12)
    >>> variables = model.init(jax.random.key(0), jnp.zeros((1, 4)))
    >>> jax.tree.map(jnp.shape, variables.params)
    {'dense_0': {'b': (12, 4), 'w': (12, 4, 4)}}
    """
    inner = as_layer(block)
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise ValueError(f"repeat: n must be an integer of at least 1, got {n!r}")

    def keys(key: jax.Array) -> jax.Array:
        return jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(n))

    def layer_keys(ctx: Context) -> jax.Array | None:
        return None if ctx.key is None else keys(ctx.key)

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        abstract(layer, x, side)  # first: what is wrong shows before any compile
        return jax.vmap(lambda k: inner.init(k, x, **side))(keys(key))

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[Any, State]:
        def body(x: Any, layer: tuple[Params, State, jax.Array | None]) -> tuple[Any, State]:
            params, state, key = layer
            y, state = inner.apply(params, state, x, dataclasses.replace(ctx, key=key))
            _check_keeps(x, y)
            return y, state

        _check_stacked(Variables(params, state), n)
        layers = params, state, layer_keys(ctx)
        return jax.lax.scan(body, x, layers, length=n, unroll=unroll)

    def start(variables: Variables, x: Any, ctx: Context) -> Carry:
        assert inner.start is not None
        return tuple(inner.start(own, x, ctx) for own in _blocks(variables, n))

    def step(variables: Variables, carry: Carry, x: Any, ctx: Context) -> tuple[Carry, Any]:
        assert inner.step is not None
        new, keys = [], layer_keys(ctx)
        carry = carry or ({},) * n  # a composite prunes carries without arrays
        for i, (own, before) in enumerate(zip(_blocks(variables, n), carry, strict=True)):
            block_ctx = dataclasses.replace(ctx, key=None if keys is None else keys[i])
            after, y = inner.step(own, before, x, block_ctx)
            _check_keeps(x, y)
            new.append(after)
            x = y
        return tuple(new), x

    def trace(x: Spec, side: Mapping[str, Spec]) -> Abstract:
        def stack(leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct((n, *leaf.shape), leaf.dtype)

        known = abstract(inner, x, side)
        _check_keeps(x, known.output)
        return known._replace(variables=jax.tree.map(stack, known.variables))

    layer = Layer(init, apply, "repeat", inner.children, _stacked=inner._stacked + 1)
    if inner.step is not None:
        layer = dataclasses.replace(layer, start=start, step=step, _apart=lambda v: _apart(v, n))
    return set_abstract(layer, trace)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class _Each:
    """The params or the state of a repeat, not stacked but block by block."""

    blocks: tuple[Any, ...]

    @staticmethod
    def of(tree: Any, n: int) -> "_Each":
        if isinstance(tree, _Each):
            return tree
        return _Each(tuple(jax.tree.map(lambda leaf, i=i: leaf[i], tree) for i in range(n)))


def _apart(variables: Variables, n: int) -> Variables:
    if not isinstance(variables.params, _Each):
        _check_stacked(variables, n)
    return Variables(*(_Each.of(tree, n) for tree in variables))


def _blocks(variables: Variables, n: int) -> list[Variables]:
    params, state = _apart(variables, n)
    return [Variables(*both) for both in zip(params.blocks, state.blocks, strict=True)]


def stacked(model: Layer) -> Callable[[Params], Any]:
    """Number of leading layer axes of each parameter: `stacked(model)(params)`, a tree of integers.

    `repeat` stacks its block's parameters, so a matrix inside it has three axes. Optimizers that
    work on whole matrices or vectors (LARS, LAMB, Muon) take this function as an argument.

    >>> import jax, jax.numpy as jnp
    >>> from laminax import nn
    >>> model = nn.serial(nn.dense(4), nn.repeat(nn.dense(4), 3))
    >>> variables = model.init(jax.random.key(0), jnp.zeros((1, 2)))
    >>> nn.stacked(model)(variables.params)
    {'dense_0': {'b': 0, 'w': 0}, 'repeat_0': {'b': 1, 'w': 1}}
    """

    def count(layer: Layer, params: Params, outer: int) -> Any:
        axes = outer + layer._stacked
        if layer.children:
            return {name: count(layer.children[name], p, axes) for name, p in params.items()}
        return jax.tree.map(lambda _: axes, params)

    return lambda params: count(model, params, 0)


def _check_keeps(x: Any, y: Any) -> None:
    if signature(spec_of(x)) != signature(spec_of(y)):
        raise ValueError(
            f"repeat: the block maps {describe(x)} to {describe(y)}; it is fed its own output, so "
            "must keep shape and dtype"
        )


def _check_stacked(variables: Variables, n: int) -> None:
    for what, tree in zip(("parameter", "state"), variables, strict=True):
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            if jnp.shape(leaf)[:1] != (n,):
                where = jax.tree_util.keystr(path, simple=True, separator="/")
                raise ValueError(
                    f"repeat: {what} {where!r} must have {n} layers on axis 0, "
                    f"got shape {jnp.shape(leaf)}; were these made by another depth?"
                )

"""A function of one time step, run over a sequence; and the carry of a cell, given and returned.

(carry_t, y_t) = f(carry_{t-1}, x_t)
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from .._core._factory import LayerLike, as_layer, factory
from .._core._layer import (
    Carry,
    Context,
    Layer,
    Params,
    State,
    Variables,
    abstract,
    output_spec,
    set_abstract,
)
from .._core._masks import padding_mask
from .._core._specs import Abstract, Spec, describe, spec_of, zeros
from ._recurrent import fitted, real


@factory
def rnn(
    f: LayerLike | Callable[[Any, Any], Any],
    start: Callable[[Any], Carry] | None = None,
    *,
    carry: bool = False,
) -> Layer:
    """Recurrent network from one time step: (carry_t, y_t) = f(carry_{t-1}, x_t).

    A plain `f(carry, x_t)` has no parameters; a layer of the pair, such as a `compose`, has its
    own, which are at no further level of the tree. Without `start`, f is a cell already, an `lstm`
    or a `serial` of such, and rnn is its carry given and returned. A product of x alone is best
    taken before, `serial(dense(n), rnn(f, start))`: once for the whole sequence.

    x is a pytree of (batch, time, ...), x_t of (batch, ...). The carry keeps the shapes and dtypes
    of its start. Side inputs: `carry` is where it starts, instead of `start`; `mask` (batch, time)
    or `lengths` (batch,): a step that is not real holds the carry and its y is zero.

    Args:
        f: a function of one time step, plain or a layer, or a cell.
        start: `start(x_t) -> carry`, arrays whose first axis is the batch.
        carry: whether to answer (y, last carry) instead of y; it can then run no stretch at a time.

    Raises:
        ValueError: f is no cell and there is no start; a carry that changes structure or shape; a
            cell that writes a state, trained from a given carry or for its last one.

    >>> from laminax import nn
    >>> def mean(carry, x):                       # exponential moving average
    ...     carry = 0.5 * carry + 0.5 * x
    ...     return carry, carry
    >>> layer = nn.rnn(mean, start=jnp.zeros_like)
    >>> layer(nn.Variables({}, {}), jnp.array([[8.0, 0.0, 4.0]]))
    Array([[4., 2., 3.]], dtype=float32)
    >>> def cell(c, pair):                        # a cell with parameters
    ...     h, x = pair
    ...     h = jnp.tanh(c.wi(x) + c.wh(h))
    ...     return h, h
    >>> layer = nn.rnn(
    ...     nn.compose(cell, wi=nn.dense(4), wh=nn.dense(4, bias=False)),
    ...     start=lambda x: jnp.zeros((len(x), 4), x.dtype),
    ...     carry=True,
    ... )
    >>> x = jnp.ones((2, 5, 3))
    >>> y, h = layer(layer.init(jax.random.key(0), x), x)
    >>> y.shape, bool((y[:, -1] == h).all())
    ((2, 5, 4), True)
    """
    if start is not None:
        return _from_carry(_over_time(_of_pair(f), start), carry)
    if not isinstance(f, Layer) or f.step is None:
        as_layer(f)  # type: ignore[arg-type]
        raise ValueError(
            f"rnn: {f!r} is no cell, so a start is needed: rnn(f, start=lambda x: jnp.zeros(...)) "
            "for a function of one time step, with the carry that the first one is given"
        )
    return _from_carry(f, carry)


def _of_pair(f: Any) -> Layer:
    """Return f as a layer of the pair (carry, x_t)."""
    layer = as_layer(f)  # a factory that was not called is told so
    return layer if isinstance(f, Layer) else as_layer(lambda pair: f(*pair))


def _over_time(f: Layer, begin: Callable[[Any], Carry]) -> Layer:
    """Return the cell that runs `f` once for each time step."""

    def specs(x: Any) -> tuple[Spec, Spec]:
        one = jax.eval_shape(_first_step, x)
        return jax.eval_shape(begin, one), one

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        _check_sequence(x)
        return f.init(key, specs(x), **_of_one_step(side))

    def scan(
        params: Params, state: State, carry: Carry, x: Any, ctx: Context
    ) -> tuple[Carry, State, Any]:
        _check_sequence(x)
        first = jax.tree.leaves(x)[0]
        mask = padding_mask("rnn", ctx, first)
        _check_batch(carry, first.shape[0])
        side = _of_one_step(ctx.side)

        def body(before: Any, at: Any) -> tuple[Any, Any]:
            (carry, state), (x, mask, key) = before, at
            one = dataclasses.replace(ctx, key=key, side=side)
            (new, y), state = _pair(f.apply(params, state, (carry, x), one))
            new = real(mask, fitted("rnn", new, carry), carry)
            return (new, state), real(mask, y, jax.tree.map(jnp.zeros_like, y))

        keys = None if ctx.key is None else _keys(ctx.key, first.shape[1])
        over_time = jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), (x, mask))
        (carry, state), y = jax.lax.scan(body, (carry, state), (*over_time, keys))
        return carry, state, jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), y)

    def start(variables: Variables, x: Any, ctx: Context) -> Carry:
        _check_sequence(x)
        return jax.tree.map(jnp.asarray, begin(zeros(specs(x)[1])))

    def step(variables: Variables, carry: Carry, x: Any, ctx: Context) -> tuple[Carry, Any]:
        carry, _, y = scan(*variables, carry, x, ctx)
        return carry, y

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[Any, State]:
        carry = start(Variables(params, state), x, ctx)
        _, state, y = scan(params, state, carry, x, ctx)
        return y, state

    def trace(x: Spec, side: Mapping[str, Spec]) -> Abstract:
        _check_sequence(x)
        made = abstract(f, specs(x), _of_one_step(side)).variables
        return Abstract(made, output_spec(layer, made, x, side), {})

    layer = Layer(init, apply, "rnn", f.children, start, step, _stacked=f._stacked)
    return set_abstract(layer, trace)


def _from_carry(cell: Layer, returned: bool) -> Layer:
    """Return the cell with its side input `carry`, and its last carry where `returned`."""

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        abstract(layer, x, side)  # first: what is wrong shows before any compile
        return cell.init(key, x, **_without(side, "carry"))

    def begin(variables: Variables, x: Any, ctx: Context) -> Carry:
        assert cell.start is not None
        carry = cell.start(variables, spec_of(x), _inside(ctx))
        given = ctx.side.get("carry")
        return carry if given is None else fitted("rnn", given, carry)

    def step(variables: Variables, carry: Carry, x: Any, ctx: Context) -> tuple[Carry, Any]:
        assert cell.step is not None
        return cell.step(variables, carry, x, _inside(ctx))

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[Any, State]:
        if ctx.side.get("carry") is None and not returned:
            return cell.apply(params, state, x, _inside(ctx))
        if ctx.train and jax.tree.leaves(state):
            raise ValueError(
                "rnn: a cell that writes a state (batch statistics) in training can neither start "
                f"from a given carry nor return its last one, got state {describe(state)}; "
                "normalize by layer_norm"
            )
        variables = Variables(params, state)
        carry, y = step(variables, begin(variables, x, ctx), x, ctx)
        return ((y, carry) if returned else y), state

    def trace(x: Spec, side: Mapping[str, Spec]) -> Abstract:
        made = abstract(cell, x, _without(side, "carry")).variables
        return Abstract(made, output_spec(layer, made, x, side), {})

    layer = Layer(init, apply, "rnn", cell.children, begin, step, _stacked=cell._stacked)
    if returned:
        layer = dataclasses.replace(layer, start=None, step=None)
    return set_abstract(layer, trace)


def _pair(result: Any) -> Any:
    y, state = result
    if not isinstance(y, tuple) or len(y) != 2:
        raise TypeError(f"rnn: f must return (carry, y_t), got {describe(y)}")
    return (y[0], y[1]), state


def _keys(key: jax.Array, time: int) -> jax.Array:
    return jax.vmap(lambda t: jax.random.fold_in(key, t))(jnp.arange(time))


def _first_step(x: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf[:, 0], x)


def _inside(ctx: Context) -> Context:
    return dataclasses.replace(ctx, side=_without(ctx.side, "carry"))


def _of_one_step(side: Mapping[str, Any]) -> dict[str, Any]:
    return _without(side, "mask", "lengths", "carry")


def _without(side: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in side.items() if name not in names}


def _check_sequence(x: Any) -> None:
    leaves = jax.tree.leaves(x)
    if len({leaf.shape[:2] for leaf in leaves}) != 1 or len(leaves[0].shape) < 2:
        raise ValueError(
            f"rnn: x must be (batch, time, ...), the same in each array, got {describe(x)}"
        )


def _check_batch(carry: Carry, batch: int) -> None:
    for leaf in jax.tree.leaves(carry):
        if jnp.shape(leaf)[:1] != (batch,):
            raise ValueError(
                f"rnn: the first axis of each array of the carry must be the batch ({batch}), "
                f"got {describe(carry)}; start(x_t) is given x_t of (batch, ...)"
            )

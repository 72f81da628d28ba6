"""Any topology from one plain function: `compose(forward, /, **children)`.

`forward(c, x)` is read four ways: abstractly, to find the specs that `init` needs; to apply; to
find, abstractly, what each child's carry must hold; to step. Each reading is a function `call(name,
x, side)` given to the same `forward`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax

from ._children import Children, Reading
from ._entries import (
    call_label,
    check_entries,
    check_present,
    joined,
    part,
    pruned,
    sum_aux,
)
from ._factory import LayerLike, as_layer, check_names, factory
from ._layer import (
    Carry,
    Context,
    Layer,
    Params,
    State,
    Variables,
    abstract,
    fold,
    planned,
    set_abstract,
)
from ._locate import located
from ._specs import Abstract, Call, Spec, abstract_key, signature, spec_of, zeros
from ._tap import tapped, without_taps


@factory
def compose(forward: Callable[[Any, Any], Any], /, **children: LayerLike) -> Layer:
    """Layer of any topology: `y = forward(c, x)`, a plain function of its children and input.

    In `forward`, `c.decoder(y, memory=h)` calls a child with that side input added,
    `c.encoder.params` reads a called child's parameters, `c["name"]` is the child of that name and
    `c.ctx` the context. A child called twice shares its weights.

    Args:
        forward: `forward(c, x) -> y`, pure.
        **children: layers or plain functions, by name.

    Raises:
        ValueError: two names that cannot be told apart; a child that `forward` never calls.
        TypeError: a child that is neither a layer nor a function.

    >>> import jax, jax.numpy as jnp
    >>> from laminax import nn
    >>> def forward(c, x):
    ...     h = jnp.tanh(c.encoder(x))
    ...     return h @ c.encoder.params["w"].T    # tied: one leaf, read twice
    >>> model = nn.compose(forward, encoder=nn.dense(2, bias=False))
    >>> variables = model.init(jax.random.key(0), jnp.zeros((1, 5)))
    >>> jax.tree.map(jnp.shape, variables.params)
    {'encoder': {'w': (5, 2)}}
    >>> model(variables, jnp.zeros((3, 5))).shape
    (3, 5)
    """
    kids = {name: as_layer(layer) for name, layer in children.items()}
    check_names(list(kids))

    def trace(x: Spec, side: Mapping[str, Spec]) -> Abstract:
        found = _Calls(kids)
        y = jax.eval_shape(
            lambda x, side, key: forward(found.children(planned(key, side)), x),
            *(x, side, abstract_key()),
        )
        return found.result(spec_of(y))

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        calls = abstract(layer, x, side).calls  # first: what is wrong shows before any compile
        key = fold(key, "init")
        made = {
            name: kids[name].init(fold(key, name), call.x, **call.side)
            for name, call in calls.items()
        }
        return joined(made)

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[Any, State]:
        check_entries(kids, Variables(params, state))
        new, times = dict(state), dict.fromkeys(kids, 0)

        def call(name: str, x: Any, side: Mapping[str, Any]) -> Any:
            kid, child_ctx = kids[name], ctx.child(name, side, times[name])
            with located(name, kid, x):
                check_present(kid, params, name, x, child_ctx)
                before, probes = without_taps(new.get(name, {}))
                y, after = kid.apply(params.get(name, {}), before, x, child_ctx)
            if name in new or jax.tree.leaves(after):
                new[name] = sum_aux(before, after) if times[name] else after
            if ctx._tapped and isinstance(after, Mapping):
                y, taps = tapped(y, probes, times[name])
                new[name] = {**new.get(name, {}), **probes, **taps}
            times[name] += 1
            return y

        y = forward(Children(kids, Reading(call, lambda n: params.get(n, {}), ctx)), x)
        return y, new

    starts: dict[Any, dict[str, tuple[str, Spec]]] = {}

    def inputs_in_time(variables: Variables, x: Any, ctx: Context) -> dict[str, tuple[str, Spec]]:
        key = (signature(spec_of((variables, x, dict(ctx.side)))), ctx.train, ctx.key is None)
        if key not in starts:
            starts[key] = _trace_starts(kids, forward, variables, x, ctx)
        return starts[key]

    def start(variables: Variables, x: Any, ctx: Context) -> Carry:
        carry = {}
        for label, (name, x_spec) in inputs_in_time(variables, x, ctx).items():
            with located(name, kids[name], x_spec):
                carry[label] = _start(kids[name], part(variables, name), x_spec, ctx.child(name))
        return pruned(carry)

    def step(variables: Variables, carry: Carry, x: Any, ctx: Context) -> tuple[Carry, Any]:
        check_entries(kids, variables)
        new: dict[str, Carry] = {}
        times = dict.fromkeys(kids, 0)

        def call(name: str, x: Any, side: Mapping[str, Any]) -> Any:
            label = call_label(name, times[name])
            kid, child_ctx = kids[name], ctx.child(name, side, times[name])
            with located(name, kid, x):
                mine = part(variables, name)
                new[label], y = _step(kid)(mine, carry.get(label, {}), x, child_ctx)
            times[name] += 1
            return y

        read = lambda name: variables.params.get(name, {})  # noqa: E731
        y = forward(Children(kids, Reading(call, read, ctx)), x)
        return pruned(new), y

    layer = Layer(init, apply, "compose", kids, start, step, _apart=_apart_by_child(kids))
    layer = set_abstract(layer, trace)
    return layer


def _apart_by_child(kids: Mapping[str, Layer]) -> Callable[[Variables], Variables] | None:
    ways = {name: kid._apart for name, kid in kids.items() if kid._apart}

    def apart(variables: Variables) -> Variables:
        taken = {name: way(part(variables, name)) for name, way in ways.items()}
        return Variables(
            {**variables.params, **{name: v.params for name, v in taken.items()}},
            {**variables.state, **{name: v.state for name, v in taken.items()}},
        )

    return apart if ways else None


class _Calls:
    """The abstract reading of `forward`: what each child is called with, and what it makes."""

    def __init__(self, kids: Mapping[str, Layer]) -> None:
        self.kids = kids
        self.calls: dict[str, Call] = {}
        self.made: dict[str, Variables] = {}

    def children(self, ctx: Context) -> Children:
        def call(name: str, x: Any, side: Mapping[str, Any]) -> Any:
            side = {**ctx.side, **side}
            with located(name, self.kids[name], x):
                known = abstract(self.kids[name], x, side)
            if name not in self.calls:
                self.calls[name] = Call(spec_of(x), spec_of(side))
                self.made[name] = known.variables
            return zeros(known.output)

        return Children(self.kids, Reading(call, self.read, ctx))

    def read(self, name: str) -> Params:
        if name not in self.made:
            raise ValueError(
                f"compose: {name}.params is read before {name} is called, "
                "so its shapes are not known yet; call it first"
            )
        return zeros(self.made[name].params)

    def result(self, y: Spec) -> Abstract:
        never = [name for name in self.kids if name not in self.calls]
        if never:
            raise ValueError(
                f"compose: forward never calls {', '.join(never)}, whose parameters would be "
                "unknown; call every child or leave it out"
            )
        return Abstract(joined(self.made), y, self.calls)


def _trace_starts(
    kids: Mapping[str, Layer],
    forward: Callable[[Any, Any], Any],
    variables: Variables,
    x: Any,
    ctx: Context,
) -> dict[str, tuple[str, Spec]]:
    """Read `forward` abstractly in time: the input spec of each call that may carry."""
    inputs: dict[str, tuple[str, Spec]] = {}

    def trace(variables: Variables, x: Any, ctx: Context) -> Any:
        times = dict.fromkeys(kids, 0)

        def call(name: str, x: Any, side: Mapping[str, Any]) -> Any:
            kid, mine = kids[name], part(variables, name)
            inputs[call_label(name, times[name])] = name, spec_of(x)
            with located(name, kid, x):
                carry = _start(kid, mine, spec_of(x), ctx.child(name))
                _, y = _step(kid)(mine, carry, x, ctx.child(name, side, times[name]))
            times[name] += 1
            return y

        read = lambda name: variables.params.get(name, {})  # noqa: E731
        return forward(Children(kids, Reading(call, read, ctx)), x)

    jax.eval_shape(trace, variables, x, ctx)
    return inputs


def _start(layer: Layer, variables: Variables, x: Spec, ctx: Context) -> Carry:
    if layer.start is None:
        raise _no_step(layer)
    return layer.start(variables, x, ctx)


def _step(layer: Layer) -> Callable[[Variables, Carry, Any, Context], tuple[Carry, Any]]:
    if layer.step is None:
        raise _no_step(layer)
    return layer.step


def _no_step(layer: Layer) -> ValueError:
    return ValueError(
        f"{layer.name}: has no step, since it mixes time steps, so the model around it cannot run "
        "a stretch at a time; apply the whole model instead"
    )

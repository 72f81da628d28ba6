"""What the layers of a model answer, handed out beside its output.

In a context made by `tapping`, a composite writes what each child answers into that child's state,
under a name no child can have. An array of the same name in the state it is given, a probe, is
added to the answer: the gradient of a loss by the probe is its gradient by the activation.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ._layer import Context, Layer, State, Variables, abstract
from ._specs import Spec

_TAP = "/tap"  # no child's name holds a slash


class Taps(NamedTuple):
    """What one pass of a model made: its output, and by path what each layer answered.

    Attributes:
        y: the output of the model.
        activations: by path; inside `repeat` stacked on a leading layer axis; the i-th further call
            of a shared layer under `path/i`.
        gradients: of the loss by each floating activation; {} without a loss.
    """

    y: Any
    activations: dict[str, Any]
    gradients: dict[str, Any]


def tapped(y: Any, probes: State, extra_call: int) -> tuple[Any, State]:
    """Return y with its probe added, and the entry that holds it."""
    name = f"{_TAP}/{extra_call}" if extra_call else _TAP
    if name in probes:
        y = jax.tree.map(
            lambda p, a: a if p is None else a + p, probes[name], y, is_leaf=lambda p: p is None
        )
    return y, {name: y}


def without_taps(state: State) -> tuple[State, State]:
    """Return the child's own state, and the probes that lie in it."""
    if not isinstance(state, Mapping):
        return state, {}
    probes = {name: entry for name, entry in state.items() if name.startswith(_TAP)}
    return {name: entry for name, entry in state.items() if name not in probes}, probes


def tap(
    model: Layer,
    variables: Variables,
    x: Any,
    ctx: Context,
    loss: Callable[[Any], Any] | None = None,
) -> Taps:
    """Run a model once, or forward and back where there is a loss; see `Taps`.

    The loss is a function of the output; where it answers more than one number they are added.
    """
    ctx = dataclasses.replace(ctx, _tapped=True)

    def forward(state: State) -> tuple[Any, State]:
        return model.apply(variables.params, state, x, ctx)

    def total(probed: State) -> tuple[jax.Array, tuple[Any, State]]:
        y, after = forward(probed)
        assert loss is not None
        value = loss(y)
        return jnp.sum(value[0] if isinstance(value, tuple) else value), (y, after)

    if loss is None:
        y, after = forward(variables.state)
        return Taps(y, _by_path(after), {})
    planned = jax.eval_shape(forward, variables.state)[1]
    probed = _zeros(planned, variables.state)
    gradients, (y, after) = jax.grad(total, has_aux=True, allow_int=True)(probed)
    return Taps(y, _by_path(after), _floating(_by_path(gradients)))


def in_order(
    layer: Layer, x: Spec, side: Any, found: Any, path: str = "", index: tuple[int, ...] = ()
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Walk the layers as they answer: children first, the layers of `repeat` one after another.

    Yields paths and, inside `repeat`, the index of the layer; `found` holds an array a path, with
    the layer axes first.
    """
    calls = abstract(layer, x, side).calls
    own = [found[path + name] for name in calls if found.get(path + name) is not None]
    axes = len(index) + layer._stacked
    for i in np.ndindex(*own[0].shape[len(index) : axes] if own else ()):
        here = (*index, *i)
        for name, call in calls.items():
            child = layer.children[name]
            yield from in_order(child, call.x, call.side, found, f"{path}{name}/", here)
            answers = (path + name, *(f"{path}{name}/{k}" for k in range(1, len(found))))
            yield from ((p, here) for p in answers if found.get(p) is not None)


def layer_axes(layer: Layer, path: str) -> int:
    """Return how many axes `repeat` has put before the activation at this path."""
    axes = 0
    for name in path.split("/"):
        axes += layer._stacked
        layer = layer.children.get(name, Layer(layer.init, layer.apply))
    return axes


def _zeros(planned: Any, state: Any) -> Any:
    """Return the state, with a probe of zeros wherever the plan has a tap."""
    probed = {}
    for name, entry in planned.items():
        if name.startswith(_TAP):
            probed[name] = jax.tree.map(_probe, entry)
        elif isinstance(entry, Mapping):
            probed[name] = _zeros(entry, state.get(name, {}))
        else:
            probed[name] = state[name]
    return probed


def _probe(spec: Any) -> jax.Array | None:
    return jnp.zeros(spec.shape, spec.dtype) if jnp.issubdtype(spec.dtype, jnp.floating) else None


def _by_path(state: State, path: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, entry in state.items():
        if name.startswith(_TAP):
            found[path + name.removeprefix(_TAP)] = entry
        elif isinstance(entry, Mapping):
            found |= _by_path(entry, f"{path}/{name}" if path else name)
    return found


def _floating(gradients: dict[str, Any]) -> dict[str, Any]:
    return {path: entry for path, entry in gradients.items() if jax.tree.leaves(entry)}

"""A program without what XLA alone understands: every choice of platforms is made.

Where a function has one form for the CPU and one for all others, the latter is the one in the
library's own primitives. What only groups operations, or tells their derivative, is taken apart.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

_GROUPS = {
    "jit": "jaxpr",
    "remat2": "jaxpr",
    "closed_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
}
"""Primitives that, but for derivatives, do nothing but hold a program, and where."""


def portable(closed: ClosedJaxpr) -> ClosedJaxpr:
    """Return the program, inner ones too, with the default form of every choice of platforms."""
    made: ClosedJaxpr = jax.make_jaxpr(lambda *args: _evaluated(closed, args))(*closed.in_avals)
    return made


def _evaluated(closed: ClosedJaxpr, args: Sequence[Any]) -> list[Any]:
    known = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
    known |= dict(zip(closed.jaxpr.invars, args, strict=True))

    def value(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else known[atom]

    for equation in closed.jaxpr.eqns:
        # Its only reader is a choice, which does not look.
        if equation.primitive.name == "platform_index":
            outputs: Sequence[Any] = [None]
        else:
            outputs = _outputs(equation, [value(atom) for atom in equation.invars])
        known |= dict(zip(equation.outvars, outputs, strict=True))
    return [value(atom) for atom in closed.jaxpr.outvars]


def _outputs(equation: JaxprEqn, inputs: Sequence[Any]) -> Sequence[Any]:
    name, params = equation.primitive.name, equation.params
    if params.get("branches_platforms"):
        default = params["branches_platforms"].index(None)
        return _evaluated(params["branches"][default], inputs[1:])
    if name in _GROUPS:
        return _evaluated(_closed(params[_GROUPS[name]]), inputs)
    if name == "pad" and all(
        lo >= 0 <= hi and not between for lo, hi, between in params["padding_config"]
    ):
        return [_padded(inputs[0], inputs[1], params["padding_config"])]
    inner = {key: _inner(param) for key, param in params.items()}
    outputs = equation.primitive.bind(*inputs, **inner)
    return outputs if equation.primitive.multiple_results else [outputs]


def _padded(x: jax.Array, value: jax.Array, config: Sequence[tuple[int, int, int]]) -> jax.Array:
    """Pad by concatenation: jax2onnx 0.17 writes no pad of a batch of any size."""
    for axis, (low, high, _) in enumerate(config):
        if low or high:
            low_part, high_part = (
                jnp.broadcast_to(value, (*x.shape[:axis], size, *x.shape[axis + 1 :]))
                for size in (low, high)
            )
            x = jnp.concatenate([low_part, x, high_part], axis)
    return x


def _inner(param: Any) -> Any:
    """Return a parameter of an equation with the programs in it made portable, too."""
    if isinstance(param, ClosedJaxpr):
        return portable(param)
    if isinstance(param, tuple) and any(isinstance(part, ClosedJaxpr) for part in param):
        return tuple(map(_inner, param))
    return param


def _closed(program: ClosedJaxpr | Jaxpr) -> ClosedJaxpr:
    return program if isinstance(program, ClosedJaxpr) else ClosedJaxpr(program, ())

"""Multiply-adds of a program, counted in its jaxpr.

    y = A B, (m, k) (k, n)      m n k
    convolution                 outputs × kernel positions × inputs of a group

Only products and convolutions count; padded positions of a convolution count too. A `scan` counts
its body length times, a `while` once, and of the branches of a `cond` the dearest counts, or the
cheapest with products where a platform chooses among equivalent ones.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax


def multiply_adds(function: Callable[..., Any], *specs: Any) -> int:
    """Return the multiply-adds of `function(*specs)`, which is traced and never run."""
    return _count(jax.make_jaxpr(function)(*specs))


def _count(jaxpr: Any) -> int:
    return sum(map(_equation, jaxpr.eqns))


def _equation(eqn: Any) -> int:
    name, params = eqn.primitive.name, eqn.params
    if name == "dot_general":
        return _product(eqn)
    if name == "conv_general_dilated":
        return _convolution(eqn)
    inner = [_count(jaxpr) for jaxpr in _inner(params)]
    if name == "cond":
        if params.get("branches_platforms") is None:
            return max(inner)
        return min(filter(None, inner), default=0)  # a form without products stands for one with
    return sum(inner) * int(params["length"] if name == "scan" else 1)


def _product(eqn: Any) -> int:
    (contracted, _), _ = eqn.params["dimension_numbers"]
    left = eqn.invars[0].aval.shape
    outputs = math.prod(eqn.outvars[0].aval.shape)
    return int(outputs * math.prod(left[axis] for axis in contracted))


def _convolution(eqn: Any) -> int:
    kernel = eqn.invars[1].aval.shape
    features = kernel[eqn.params["dimension_numbers"].rhs_spec[0]]
    return int(math.prod(eqn.outvars[0].aval.shape) * (math.prod(kernel) // features))


def _inner(params: Any) -> Iterator[Any]:
    for leaf in jax.tree.leaves(list(params.values()), is_leaf=_is_jaxpr):
        if _is_jaxpr(leaf):
            yield leaf


def _is_jaxpr(node: Any) -> bool:
    # By its equations: importing the types from jax.extend would load much of JAX besides.
    return hasattr(node, "eqns")

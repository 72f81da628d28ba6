"""What a model costs to run: multiply-adds counted in its program, and the compiler's own count."""

from typing import Any, NamedTuple

import jax

from .._core._factory import LayerLike, as_layer
from .._core._layer import Context, Variables, abstract
from .._core._specs import spec_of
from ._flops import multiply_adds


class Flops(NamedTuple):
    """The cost of one evaluation of x.

    Attributes:
        multiply_adds: of matrix products and convolutions; papers count these.
        compiler: floating-point operations of the whole program as the compiler counts them before
            it optimizes, two a multiply-add and one an elementwise operation.
    """

    multiply_adds: int
    compiler: float


def flops(model: LayerLike, x: Any, /, **side: Any) -> Flops:
    """Cost of one evaluation of x, from shapes alone; nothing is allocated or computed.

    A loop that `repeat` makes counts n times in `multiply_adds` and once in `compiler`, which does
    not know how often a loop turns.

    Args:
        model: a layer.
        x: its input, of which only shape and dtype are read.
        **side: named extra inputs.

    >>> from laminax import nn
    >>> nn.inspect.flops(nn.mlp(512, 10), jax.ShapeDtypeStruct((1, 784), "float32")).multiply_adds
    406528
    """
    layer = as_layer(model)
    x, side = spec_of(x), spec_of(side)

    def evaluate(variables: Variables, x: Any, side: Any) -> Any:
        return layer.apply(*variables, x, Context(side=side))[0]

    specs = abstract(layer, x, side).variables, x, side
    cost = jax.jit(evaluate).lower(*specs).cost_analysis() or {}
    return Flops(multiply_adds(evaluate, *specs), float(cost.get("flops", float("nan"))))

"""Conditioning: a layer is told, beside x, what x is about."""

from typing import Any

import jax.numpy as jnp

from .._core._compose import compose
from .._core._factory import LayerLike, as_layer, factory
from .._core._layer import Layer
from .._core._specs import describe


@factory
def conditioned(layer: LayerLike) -> Layer:
    """A layer that is told a condition: y = f([x, c]) with c the side input `condition`.

    x is (..., features) and c (..., conditions) over the same leading axes: a class as
    `jax.nn.one_hot`. Its child is named `conditioned`.

    Source: Mirza and Osindero, Conditional generative adversarial nets, 2014.

    Args:
        layer: f.

    Raises:
        ValueError: no condition, or one over other leading axes than x.

    >>> import jax, jax.numpy as jnp
    >>> from laminax import nn
    >>> model = nn.vae(
    ...     2,
    ...     encoder=nn.conditioned(nn.mlp(64)),
    ...     decoder=nn.conditioned(nn.mlp(64, 9)),
    ... )
    >>> x, labels = jnp.ones((5, 9)), jax.nn.one_hot(jnp.arange(5), 10)
    >>> variables = model.init(jax.random.key(0), x, condition=labels)
    >>> model(variables, x, condition=labels).decoded.shape
    (5, 9)
    """

    def forward(c: Any, x: Any) -> Any:
        condition = c.ctx.side.get("condition")
        if condition is None:
            raise ValueError(
                "conditioned: needs the side input condition, got none; "
                "call the model with condition=, (batch, conditions)"
            )
        if condition.shape[:-1] != x.shape[:-1]:
            raise ValueError(
                f"conditioned: x is {describe(x)} and condition {describe(condition)}, which must "
                "agree but in the last axis; give one condition an example"
            )
        return c.conditioned(jnp.concatenate([x, condition.astype(x.dtype)], -1))

    return compose(forward, conditioned=as_layer(layer))

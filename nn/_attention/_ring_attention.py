"""The wrapper that has the attentions of a model pass keys and values round a ring of devices."""

import dataclasses
from typing import Any

from jax.sharding import NamedSharding

from .._core._factory import LayerLike, as_layer, wrapper
from .._core._layer import Context, Layer, Params, State
from .._core._wrappers import around


@wrapper
def ring_attention(layer: LayerLike, sharding: NamedSharding, /) -> Layer:
    """Layer whose self-attentions pass keys and values round the devices that share a sequence.

    For sequences too long for one device: x (batch, time, ...) lies in parts along both axes, and
    no device ever holds the keys of the others, or a block of scores longer than its own part, on
    the way back either. Answers and gradients are those of `attention` up to the order of sums, and
    the more devices, the longer the sequence may be. Dropout of the attention weights draws others
    than `attention` would, and others where the devices are more or fewer. A cell's steps are those
    of the layer itself; cross-attention is left to the compiler, which gathers the memory.

    Args:
        layer: a model, whatever it is made of; each `attention` inside is meant.
        sharding: `NamedSharding(mesh, PartitionSpec(batch axis, time axis))`, how x lies; that of
            a run is `train.sequence_parallel(mesh).sequences`.

    Raises:
        TypeError: no `NamedSharding`.
        ValueError: one that does not name an axis of the mesh for time; when called, a time that
            this axis does not divide.

    Source: Liu, Zaharia and Abbeel, Ring attention with blockwise transformers for near-infinite
    context, 2023.

    >>> import jax, jax.numpy as jnp
    >>> from jax.sharding import AxisType, PartitionSpec
    >>> from laminax import nn
    >>> mesh = jax.make_mesh((1, 1), ("data", "time"), axis_types=(AxisType.Auto,) * 2)
    >>> plain = nn.gpt(5, layers=2, heads=2, features=8, context=16)
    >>> model = nn.ring_attention(plain, NamedSharding(mesh, PartitionSpec("data", "time")))
    >>> x = jnp.arange(8)[None] % 5
    >>> variables = model.init(jax.random.key(0), x)
    >>> bool(jnp.allclose(model(variables, x), plain(variables, x), atol=1e-5))
    True
    """
    if not isinstance(sharding, NamedSharding):
        raise TypeError(
            f"ring_attention: sharding must be a NamedSharding, got {type(sharding).__name__}; as "
            "NamedSharding(mesh, PartitionSpec('data', 'time'))"
        )
    if len(sharding.spec) < 2 or not isinstance(sharding.spec[1], str):
        raise ValueError(
            f"ring_attention: sharding must name one axis of the mesh for time, got "
            f"{sharding.spec}; as PartitionSpec('data', 'time')"
        )
    inner = as_layer(layer)

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[Any, State]:
        return inner.apply(params, state, x, dataclasses.replace(ctx, _sequence=sharding))

    return around(inner, apply=apply)

"""Rows of attention, positions and feed-forward blocks."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from laminax import nn

from ..kinds import BATCH, Row, normal


def vectors() -> Any:
    return normal(BATCH, 5, 4)


def reading(layer: Any, length: int = 3, features: int = 6) -> Any:
    """The layer, with a trained memory that is the same for each row of the batch."""

    def forward(c: Any, x: Any) -> Any:
        memory = jnp.broadcast_to(c.memory(), (x.shape[0], length, features))
        return c.layer(x, memory=memory)

    return nn.compose(forward, memory=nn.parameter((1, length, features)), layer=layer)


def ring(layer: Any) -> Any:
    mesh = jax.make_mesh((1, 8), ("data", "time"), axis_types=(AxisType.Auto,) * 2)
    return nn.ring_attention(layer, NamedSharding(mesh, PartitionSpec("data", "time")))


def causal(**options: Any) -> Any:
    return nn.attention(2, causal=True, **options)


LAYERS = [
    Row("attention", lambda: nn.attention(2, dropout=0.3), vectors, cell=False, random=True),
    Row("attention", lambda: causal(), vectors, "causal"),
    Row("attention", lambda: causal(kv_heads=1, window=2, bias=False), vectors, "window"),
    Row("rotary", lambda: causal(position=nn.rotary()), vectors),
    Row("alibi", lambda: causal(position=nn.alibi()), vectors),
    Row("ring_attention", lambda: ring(causal(kv_heads=1)), lambda: normal(BATCH, 8, 4)),
    Row("cross_attention", lambda: reading(nn.cross_attention(2, kv_heads=1)), vectors, cell=False),
    Row("sinusoidal_positions", lambda: nn.sinusoidal_positions(), vectors),
    Row("learned_positions", lambda: nn.learned_positions(5), vectors),
    Row("feed_forward", lambda: nn.feed_forward(6, dropout=0.3), vectors, random=True),
    Row("swiglu", lambda: nn.swiglu(6), vectors),
]  # fmt: skip

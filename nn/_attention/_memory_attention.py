"""Attention to a memory by a score: each step of a sequence reads a mean of another's.

    p_ij = softmax_j(score(q_i, m_j)),    y_i = Σ_j p_ij m_j

    additive    score(q, m) = vᵀ tanh(W_q q + W_k m)
    dot         score(q, m) = q · m

As cells they project the memory once, in `start`, and carry it. A step whose memory is all padding
answers 0.
"""

from typing import Any

import jax
import jax.numpy as jnp

from .._core._checks import positive, wide_dtype
from .._core._compose import compose
from .._core._factory import factory
from .._core._layer import Layer
from .._core._specs import describe
from .._layers._linear import dense
from ._memory import held


@factory
def additive_attention(hidden: int) -> Layer:
    """Additive attention of x (batch, time, features): score(q, m) = vᵀ tanh(W_q q + W_k m).

    Side inputs: `memory` (batch, time_m, features_m), and `memory_mask` (batch, time_m), True where
    it is real, or `memory_lengths` (batch,). y is (batch, time, features_m). Parameters: query/w
    (features, hidden), keys/w (features_m, hidden), score/w (hidden, 1), which is v. It holds time
    · time_m · hidden numbers an example.

    As a cell it is given the memory, and which of it is real, in `start`; `step` reads none.

    Source: Bahdanau, Cho and Bengio, Neural machine translation by jointly learning to align and
    translate, 2015.

    Args:
        hidden: length of v.

    Raises:
        ValueError: hidden < 1; no memory, or one of another batch.

    >>> from laminax import nn
    >>> x, memory = jnp.ones((1, 2, 4)), jnp.ones((1, 5, 6))
    >>> layer = nn.additive_attention(8)
    >>> variables = layer.init(jax.random.key(0), x, memory=memory)
    >>> layer(variables, x, memory=memory).shape
    (1, 2, 6)
    """
    positive("additive_attention", "hidden", hidden)

    def forward(c: Any, x: Any) -> jax.Array:
        kept = c.keys(x)
        both = c.query(x)[:, :, None] + kept["keys"][:, None]
        return _read(c.score(jnp.tanh(both))[..., 0], kept)

    return compose(
        forward,
        keys=held(
            "additive_attention",
            lambda memory, keys: {"memory": memory, "keys": keys},
            dense(hidden, bias=False),
        ),
        query=dense(hidden, bias=False),
        score=dense(1, bias=False),
    )


@factory
def dot_attention() -> Layer:
    """Dot-product attention of x (batch, time, features), without parameters: score(q, m) = q · m.

    The general score, qᵀ W m, is `serial(dense(features_m, bias=False), dot_attention())`. Side
    inputs: `memory` (batch, time_m, features), and `memory_mask` (batch, time_m), True where it is
    real, or `memory_lengths` (batch,). y is (batch, time, features).

    As a cell it is given the memory, and which of it is real, in `start`; `step` reads none.

    Source: Luong, Pham and Manning, Effective approaches to attention-based neural machine
    translation, 2015.

    Raises:
        ValueError: no memory, or one of another batch or other features.

    >>> from laminax import nn
    >>> memory = jnp.array([[[1.0, 0.0], [0.0, 2.0], [9.0, 9.0]]])
    >>> x = jnp.array([[[0.0, 0.0], [0.0, 99.0]]])      # both alike, then the second alone
    >>> nn.dot_attention()(
    ...     nn.Variables({}, {}), x, memory=memory, memory_lengths=jnp.array([2]))
    Array([[[0.5, 1. ],
            [0. , 2. ]]], dtype=float32)
    """

    def forward(c: Any, x: Any) -> jax.Array:
        kept = c.memory(x)
        _check_features(x, kept["memory"])
        return _read(jnp.einsum("bif,bjf->bij", x, kept["memory"]), kept)

    return compose(
        forward, memory=held("dot_attention", lambda memory, _: {"memory": memory}, None)
    )


def _read(scores: jax.Array, kept: dict[str, jax.Array]) -> jax.Array:
    """Return Σ_j p_ij m_j, with p the softmax of scores (batch, time, time_m) in float32 or so."""
    memory, mask = kept["memory"], kept["mask"][:, None]
    p = jax.nn.softmax(jnp.where(mask, scores.astype(wide_dtype(scores)), -1e30))
    return jnp.where(mask, p, jnp.zeros_like(p)).astype(memory.dtype) @ memory


def _check_features(x: Any, memory: Any) -> None:
    if x.shape[-1] != memory.shape[-1]:
        raise ValueError(
            f"dot_attention: x and memory must have as many features, got {describe(x)} and "
            f"{describe(memory)}; map x before: serial(dense({memory.shape[-1]}), dot_attention())"
        )

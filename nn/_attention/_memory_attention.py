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

from .._core._checks import positive, promote, wide_dtype
from .._core._compose import compose
from .._core._factory import factory
from .._core._layer import Carry, Context, Layer, Params, State, Variables
from .._core._masks import padding_mask
from .._core._specs import describe
from .._layers._linear import dense


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
        held = c.keys(x)
        both = c.query(x)[:, :, None] + held["keys"][:, None]
        return _read(c.score(jnp.tanh(both))[..., 0], held)

    return compose(
        forward,
        keys=_held("additive_attention", dense(hidden, bias=False)),
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
        held = c.memory(x)
        _check_features(x, held["memory"])
        return _read(jnp.einsum("bif,bjf->bij", x, held["memory"]), held)

    return compose(forward, memory=_held("dot_attention"))


def _held(kind: str, projection: Layer | None = None) -> Layer:
    """Layer from side memory, whatever x, to memory, mask and keys, which it carries."""

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        memory = _memory(kind, side, x)
        return projection.init(key, memory) if projection else Variables({}, {})

    def project(params: Params, ctx: Context, x: Any) -> dict[str, jax.Array]:
        memory = _memory(kind, ctx.side, x)
        mask = padding_mask(kind, ctx, memory, "memory_mask")
        mask = jnp.ones(memory.shape[:2], bool) if mask is None else mask
        dtype = promote(jnp.zeros((), x.dtype), *jax.tree.leaves(params))[0].dtype
        held = {"memory": jnp.asarray(memory, dtype), "mask": mask}
        if projection:
            held["keys"], _ = projection.apply(params, {}, held["memory"], ctx)
        return held

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[Any, State]:
        return project(params, ctx, x), state

    def start(variables: Variables, x: Any, ctx: Context) -> Carry:
        return project(variables.params, ctx, x)

    def step(variables: Variables, carry: Carry, x: Any, ctx: Context) -> tuple[Carry, Any]:
        return carry, carry

    return Layer(init, apply, "memory", start=start, step=step)


def _read(scores: jax.Array, held: dict[str, jax.Array]) -> jax.Array:
    """Return Σ_j p_ij m_j, with p the softmax of scores (batch, time, time_m) in float32 or so."""
    memory, mask = held["memory"], held["mask"][:, None]
    p = jax.nn.softmax(jnp.where(mask, scores.astype(wide_dtype(scores)), -1e30))
    return jnp.where(mask, p, jnp.zeros_like(p)).astype(memory.dtype) @ memory


def _memory(kind: str, side: Any, x: Any) -> Any:
    memory = side.get("memory")
    if memory is None:
        raise ValueError(
            f"{kind}: needs side input memory (batch, time, features), got "
            f"{', '.join(side) or 'none'}; call the model with memory=; without it the model "
            "cannot run a stretch at a time: give start the context that holds it"
        )
    if len(memory.shape) != 3 or len(x.shape) != 3 or memory.shape[0] != x.shape[0]:
        raise ValueError(
            f"{kind}: x and memory must be (batch, time, features) of one batch, "
            f"got {describe(x)} and {describe(memory)}"
        )
    return memory


def _check_features(x: Any, memory: Any) -> None:
    if x.shape[-1] != memory.shape[-1]:
        raise ValueError(
            f"dot_attention: x and memory must have as many features, got {describe(x)} and "
            f"{describe(memory)}; map x before: serial(dense({memory.shape[-1]}), dot_attention())"
        )

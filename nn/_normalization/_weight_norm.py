"""Weights of a given norm: weight normalization, and spectral normalization.

weight_norm    w = g v / ‖v‖, for each output unit
spectral_norm  w / σ(w), with σ the largest singular value of the matrix (inputs, outputs)
"""

import jax
import jax.numpy as jnp

from .._core._checks import promote
from .._core._factory import LayerLike, wrapper
from .._core._layer import Context, Layer
from .._core._reparametrize import Memory, Parts, Reparametrization, reparametrized
from ._normalize import at_least_float32

_TINY = 1e-24  # under a root: keeps the gradient of the norm of zeros finite


@wrapper
def weight_norm(layer: LayerLike, pattern: str, /) -> Layer:
    """Weight normalization: w = g v / ‖v‖ for each output unit, which is the last axis of w.

    In place of a weight w (..., outputs) the tree holds g (outputs,), its norms, and v, which is
    as w: `dense_0/w/g`, `dense_0/w/v`. A fresh layer computes what it would without.
    Wrap a composite that ties weights as a whole: it then reads w, and g and v otherwise.

    Source: Salimans and Kingma, Weight normalization: a simple reparameterization to accelerate
    training of deep neural networks, 2016.

    Args:
        layer: what to wrap.
        pattern: the paths of the weights, in which `*` is any text: "*/w".

    Raises:
        TypeError: a pattern that is no string.
        ValueError: a pattern that matches nothing, or an array with fewer than 2 axes.

    >>> from laminax import nn
    >>> model = nn.weight_norm(nn.serial(nn.dense(3), nn.relu, nn.dense(1)), "dense_0/w")
    >>> variables = model.init(jax.random.key(0), jnp.zeros((1, 2)))
    >>> jax.tree.map(jnp.shape, variables.params["dense_0"])
    {'b': (3,), 'w': {'g': (3,), 'v': (2, 3)}}
    """

    def split(key: jax.Array, w: jax.Array) -> tuple[Parts, Memory]:
        return {"g": _norms(w).astype(w.dtype), "v": w}, {}

    def join(parts: Parts, memory: Memory, ctx: Context) -> tuple[jax.Array, Memory]:
        g, v = promote(parts["g"], parts["v"])
        scale = at_least_float32(g) / _norms(v)
        w = at_least_float32(v) * jnp.expand_dims(scale, range(v.ndim - 1))
        return w.astype(v.dtype), memory

    how = Reparametrization("weight_norm", join, split, parts=("g", "v"), least_rank=2)
    return reparametrized(layer, pattern, how)


@wrapper
def spectral_norm(layer: LayerLike, pattern: str, /) -> Layer:
    """Spectral normalization: w / σ(w), with σ the largest singular value, in the place of w.

    A weight (..., outputs) is taken as the matrix M of all its other axes by its outputs. The
    singular vector is followed by power iteration, one step for each call in training,

        v = M u / ‖M u‖,    u ← M'v / ‖M'v‖,    σ = ‖M u‖,

    where gradients take u as a constant. The state holds u (outputs,), which starts from 15 steps
    on a random vector: `dense_0/w/u`.

    Source: Miyato et al., Spectral normalization for generative adversarial networks, 2018.

    Args:
        layer: what to wrap.
        pattern: the paths of the weights, in which `*` is any text: "*/w".

    Raises:
        TypeError: a pattern that is no string.
        ValueError: a pattern that matches nothing, or an array with fewer than 2 axes.

    >>> from laminax import nn
    >>> model = nn.spectral_norm(nn.dense(2, bias=False), "w")
    >>> _, state = model.init(jax.random.key(0), jnp.zeros((1, 2)))
    >>> params = {"w": jnp.array([[0.0, 4.0], [2.0, 0.0]])}
    >>> for _ in range(9):
    ...     y, state = model.apply(params, state, jnp.eye(2), nn.Context(train=True))
    >>> y.round(3).tolist()
    [[0.0, 1.0], [0.5, 0.0]]
    """

    def split(key: jax.Array, w: jax.Array) -> tuple[Parts, Memory]:
        start = jax.random.normal(key, w.shape[-1:], at_least_float32(w).dtype)
        return w, {"u": jax.lax.fori_loop(0, 15, lambda _, u: _power_step(w, u), start)}

    def join(w: Parts, memory: Memory, ctx: Context) -> tuple[jax.Array, Memory]:
        u = _power_step(w, memory["u"]) if ctx.train else memory["u"]
        m = _matrix(w)
        sigma = _norms(m @ u.astype(m.dtype))
        return (at_least_float32(w) / sigma).astype(w.dtype), {"u": u}

    how = Reparametrization("spectral_norm", join, split, memory=("u",), least_rank=2)
    return reparametrized(layer, pattern, how)


def _power_step(w: jax.Array, u: jax.Array) -> jax.Array:
    m = jax.lax.stop_gradient(_matrix(w))
    v = m @ u.astype(m.dtype)
    new = (v / _norms(v)) @ m
    return (new / _norms(new)).astype(u.dtype)


def _matrix(w: jax.Array) -> jax.Array:
    return at_least_float32(w).reshape(-1, w.shape[-1])


def _norms(w: jax.Array) -> jax.Array:
    """Return the norm over all axes but the last, or of a vector."""
    axes = tuple(range(w.ndim - 1)) or None
    return jnp.sqrt(jnp.square(at_least_float32(w)).sum(axes) + _TINY)

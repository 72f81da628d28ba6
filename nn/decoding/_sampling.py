"""Choosing the next token: a sampler takes (key, logits (batch, classes)) to tokens (batch,).

    greedy        argmax_c z_c
    categorical   c ~ softmax(f_n(... f_1(z))), each f_i a filter of logits:
    temperature   z / t
    top_k         z_c for the k largest, -∞ elsewhere
    nucleus       z_c for the fewest that hold probability p, -∞ elsewhere

Filters and samplers made with equal arguments are equal, so that none is compiled twice.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from .._core._checks import positive
from .._core._specs import describe

Sampler: TypeAlias = Callable[[jax.Array | None, jax.Array], jax.Array]
"""`(key, logits)` to tokens: logits (batch, classes), tokens integers (batch,)."""


@dataclass(frozen=True)
class Filter:
    """A function of logits (..., classes) that `categorical` applies, made by a function below."""

    name: str
    value: Any
    function: Callable[[Any, jax.Array], jax.Array]

    def __call__(self, logits: jax.Array) -> jax.Array:
        """Return the logits to draw from."""
        return self.function(self.value, logits)

    def __repr__(self) -> str:
        return f"{self.name}({self.value})"


def greedy(key: jax.Array | None, logits: jax.Array) -> jax.Array:
    """Greedy choice: the token of the largest logit, the first of equal ones. Draws nothing.

    >>> from laminax import nn
    >>> nn.decoding.greedy(None, jnp.array([[0.0, 2.0, 1.0]])).tolist()
    [1]
    """
    return jnp.argmax(logits, -1)


def categorical(*filters: Callable[[jax.Array], jax.Array]) -> Sampler:
    """Sampler of softmax(z), the logits first passed through each filter in turn.

    Args:
        *filters: functions of logits (..., classes), such as `temperature(0.8)`, `top_k(40)`.

    Raises:
        TypeError: a filter that is not a function.

    >>> from laminax import nn
    >>> sample = nn.decoding.categorical(nn.decoding.temperature(0.5), nn.decoding.top_k(1))
    >>> sample(jax.random.key(0), jnp.array([[0.0, 2.0, 1.0]])).tolist()
    [1]
    """
    for function in filters:
        if not callable(function):
            raise TypeError(
                f"categorical: each filter must be a function of logits, got {function!r}; "
                "for example temperature(0.8)"
            )
    return _Categorical(filters)


def temperature(t: float) -> Filter:
    """Temperature: z / t, sharper below 1 and flatter above.

    Source: Ackley, Hinton and Sejnowski, A learning algorithm for Boltzmann machines, 1985.

    Args:
        t: the temperature, above 0.

    Raises:
        ValueError: t ≤ 0.

    >>> from laminax import nn
    >>> nn.decoding.temperature(0.5)(jnp.array([1.0, 3.0])).tolist()
    [2.0, 6.0]
    """
    if not float(t) > 0:
        raise ValueError(f"temperature: t must be above 0, got {t!r}; for its limit use greedy")
    return Filter("temperature", float(t), _scaled)


def top_k(k: int) -> Filter:
    """Top-k: the k largest logits, -∞ for the others; of equal ones the first are kept.

    Source: Fan, Lewis and Dauphin, Hierarchical neural story generation, 2018.

    Args:
        k: how many tokens to keep.

    Raises:
        ValueError: k < 1, or above the number of classes.

    >>> from laminax import nn
    >>> nn.decoding.top_k(2)(jnp.array([1.0, 3.0, 2.0])).tolist()
    [-inf, 3.0, 2.0]
    """
    return Filter("top_k", positive("top_k", "k", k), _largest)


def nucleus(p: float) -> Filter:
    """Nucleus, or top-p: the fewest tokens whose probabilities add up to p, -∞ for the others.

    Source: Holtzman et al., The curious case of neural text degeneration, 2020.

    Args:
        p: the probability to keep, in (0, 1].

    Raises:
        ValueError: a p outside (0, 1].

    >>> from laminax import nn
    >>> nn.decoding.nucleus(0.7)(jnp.log(jnp.array([0.125, 0.5, 0.25, 0.125]))).round(2)
    Array([ -inf, -0.69, -1.39,  -inf], dtype=float32)
    """
    if not 0 < float(p) <= 1:
        raise ValueError(f"nucleus: p must be a number in (0, 1], got {p!r}")
    return Filter("nucleus", float(p), _most_probable)


@dataclass(frozen=True)
class _Categorical:
    filters: tuple[Callable[[jax.Array], jax.Array], ...]

    def __call__(self, key: jax.Array | None, logits: jax.Array) -> jax.Array:
        if key is None:
            raise ValueError(
                f"{self}: needs a key to draw with, got None; use jax.random.key(seed)"
            )
        for function in self.filters:
            logits = function(logits)
        return jax.random.categorical(key, logits)

    def __repr__(self) -> str:
        return f"categorical({', '.join(map(repr, self.filters))})"


def _scaled(t: float, logits: jax.Array) -> jax.Array:
    return logits / t


def _largest(k: int, logits: jax.Array) -> jax.Array:
    if k > logits.shape[-1]:
        raise ValueError(
            f"top_k: k is {k}, but there are only {logits.shape[-1]} classes, got "
            f"{describe(logits)}; give a k of at most {logits.shape[-1]}"
        )
    values, kept = jax.lax.top_k(logits, k)
    return _only(kept, values, logits)


def _most_probable(p: float, logits: jax.Array) -> jax.Array:
    if p == 1:  # or rounding of the sum may drop the last
        return logits
    values, order = jax.lax.top_k(logits, logits.shape[-1])
    chances = jax.nn.softmax(values)
    needed = jnp.cumsum(chances, -1) - chances < p
    return _only(order, jnp.where(needed, values, -jnp.inf), logits)


def _only(index: jax.Array, values: jax.Array, logits: jax.Array) -> jax.Array:
    nothing = jnp.full_like(logits, -jnp.inf)
    return jnp.put_along_axis(nothing, index, values, axis=-1, inplace=False)

"""Embedding: a table of vectors, looked up by integer."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.nn.initializers import Initializer, normal

from .._core._checks import default_float, indices, parameter_of, positive
from .._core._factory import factory
from .._core._layer import Context, Layer, Params, State, Variables, pointwise
from .._core._specs import describe


@factory
def embedding(vocabulary: int, features: int, *, init: Initializer = normal(0.02)) -> Layer:
    """Embedding: y = T[x], the rows of a table chosen by integers.

    Parameters: table (vocabulary, features). A read-out tied to it is
    `h @ c.embed.params["table"].T` in a `compose`. An x outside [0, vocabulary), which no compiled
    program can report, reads NaN, so that it never passes for an answer.

    Args:
        vocabulary: number of rows.
        features: size of the last axis of y.
        init: initializer of the table.

    Raises:
        ValueError: vocabulary or features < 1.
        TypeError: an x that does not hold integers.

    >>> from laminax import nn
    >>> layer = nn.embedding(3, 2)
    >>> table = jnp.array([[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]])
    >>> layer(nn.Variables({"table": table}, {}), jnp.array([2, 1]))
    Array([[3., 4.],
           [1., 2.]], dtype=float32)
    """
    positive("embedding", "vocabulary", vocabulary)
    positive("embedding", "features", features)

    def make(key: jax.Array, x: Any, **side: Any) -> Variables:
        return Variables({"table": init(key, (vocabulary, features), default_float())}, {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        (table,) = parameter_of("embedding", params, "table")
        if not jnp.issubdtype(jnp.result_type(x), jnp.integer):
            raise TypeError(f"embedding: x must hold integers, got {describe(x)}; cast token ids")
        if table.shape != (vocabulary, features):
            raise ValueError(
                f"embedding: table must be {(vocabulary, features)}, got {table.shape}; "
                "are these the parameters of another model?"
            )
        index = indices(x)
        index = jnp.where(index < 0, vocabulary, index)  # or it would count from the end
        return jnp.asarray(table).at[index].get(mode="fill", fill_value=jnp.nan), state

    return pointwise(make, apply)

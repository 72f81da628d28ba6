"""Recurrent models of text and series.

Most are a `serial`, over any cell or stack of cells:

    text classifier     serial(embedding(v, d), lstm(n), last_step(), dense(classes))
    in both directions  serial(embedding(v, d), bidirectional(gru(n)), max_over_time(), ...)
    one-step forecast   serial(lstm(n), dense(features)), continued by `forecast`

What a serial cannot say is here: a language model whose table is read twice, and a series that is
continued by its own forecasts.
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn.initializers import normal

from .._core._checks import positive
from .._core._combinators import serial
from .._core._compose import compose
from .._core._factory import LayerLike, factory
from .._core._layer import Context, Layer, Variables
from .._core._specs import describe, signature, spec_of
from .._layers._embed import embedding
from .._layers._linear import dense


@factory
def language_model(vocabulary: int, *cells: LayerLike, features: int) -> Layer:
    """Recurrent language model: tokens (batch, time) integers to logits of the next token.

        h = cells(√d T[x]),    y = (h W + b) Tᵀ

    with d = features and the table T (vocabulary, d), which starts at N(0, 1/d), read twice: a
    better fit with fewer parameters. A cell, which `decoding` continues. Parameters: embed/table,
    cells/..., projection/{w, b}.

    Sources: Mikolov et al., Recurrent neural network based language model, 2010; the tied table,
    Press and Wolf, Using the output embedding to improve language models, 2017, and Inan, Khosravi
    and Socher, Tying word vectors and word classifiers, 2017.

    Args:
        vocabulary: number of tokens.
        *cells: `lstm(256), dropout(0.2), lstm(256)`, in a row.
        features: of each embedded token.

    Raises:
        ValueError: sizes < 1.

    >>> from laminax import nn
    >>> model = nn.language_model(65, nn.lstm(32), nn.lstm(32), features=8)
    >>> variables = model.init(jax.random.key(0), jnp.zeros((1, 3), int))
    >>> model(variables, jnp.zeros((4, 16), int)).shape
    (4, 16, 65)
    """
    positive("language_model", "features", features)

    def forward(c: Any, tokens: Any) -> Any:
        h = c.cells(c.embed(tokens) * math.sqrt(features))
        return c.projection(h) @ c.embed.params["table"].T

    return compose(
        forward,
        embed=embedding(vocabulary, features, init=normal(features**-0.5)),
        cells=serial(*cells),
        projection=dense(features),
    )


def forecast(model: Layer, variables: Variables, series: Any, steps: int, **side: Any) -> jax.Array:
    """Continue series by a model's own forecasts: x_{t+1} = model(x_1 ... x_t) at its last step.

    One program: the series as one stretch through the cell half of the model, then a loop that
    feeds each forecast back.

    Args:
        model: maps x (batch, time, features) to forecasts of x_{t+1} of the same shape, and has
            `step`: `serial(lstm(32), dense(features))`.
        variables: of the model.
        series: (batch, time, features), time at least 1, all of it real.
        steps: how many to forecast.
        **side: named extra inputs of the model, the same at each step.

    Returns:
        (batch, steps, features).

    Raises:
        ValueError: steps < 1; a series of another rank; a model that cannot run a stretch at a
            time, or answers in another shape or dtype than x has.

    >>> from laminax import nn
    >>> double = nn.Variables({"w": jnp.array([[2.0]])}, {})
    >>> nn.forecast(nn.dense(1, bias=False), double, jnp.ones((1, 4, 1)), 3)[0, :, 0]
    Array([2., 4., 8.], dtype=float32)
    """
    positive("forecast", "steps", steps)
    series = jnp.asarray(series)
    if series.ndim != 3 or not series.shape[1]:
        raise ValueError(
            "forecast: series must be (batch, time, features) of at least one step, got "
            f"{describe(series)}"
        )
    if model.start is None or model.step is None:
        raise ValueError(
            f"forecast: {model.name} has no step, since it mixes time steps, so it cannot be "
            "continued; give a recurrent or causal model"
        )
    continued: jax.Array = _continued(model, variables, series, side, steps)
    return continued


@functools.partial(jax.jit, static_argnames=("model", "steps"))
def _continued(
    model: Layer, variables: Variables, series: jax.Array, side: dict[str, Any], steps: int
) -> jax.Array:
    assert model.start is not None and model.step is not None
    step, ctx = model.step, Context(side=side)
    batch, time, features = series.shape
    longest = jax.ShapeDtypeStruct((batch, time + steps - 1, features), series.dtype)
    carry, y = step(variables, model.start(variables, longest, ctx), series, ctx)
    if signature(spec_of(y)) != signature(spec_of(series)):
        raise ValueError(
            f"forecast: {model.name} maps {describe(series)} to {describe(y)}; to be fed back it "
            "must answer in the shape and dtype of x"
        )

    def advance(before: Any, _: None) -> tuple[Any, jax.Array]:
        carry, x = before
        carry, y = step(variables, carry, x, ctx)
        return (carry, y), y[:, 0]

    first = y[:, -1:]
    _, later = jax.lax.scan(advance, (carry, first), length=steps - 1)
    return jnp.concatenate([first, jnp.swapaxes(later, 0, 1)], 1)

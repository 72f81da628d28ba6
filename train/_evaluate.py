"""Evaluation: every example once, in full batches, the last one padded with weight 0."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from laminax.nn import Layer, Variables

from ._check import check_kind, checked_count, checked_data
from ._compiled import compiled_for
from ._history import Totals
from ._layout import Layout
from ._objective import Batch, Objective, batch_size_of
from ._state import TrainState
from ._step import Sums, evaluating_sums
from .data import gather, padded_batches


def evaluate(
    objective: Objective, variables: Variables, data: Batch, *, batch_size: int = 1024
) -> dict[str, float]:
    """Return the mean loss and metrics over the data, in evaluation mode.

    Args:
        objective: the loss and metrics.
        variables: what to evaluate, `result.variables`.
        data: a pytree of arrays with a common leading axis.
        batch_size: examples at a time; the answer depends on it by rounding alone.

    Raises:
        ValueError: empty, ragged or non-finite data, labels out of range.

    >>> import jax.numpy as jnp
    >>> from laminax import nn, train
    >>> model = nn.dense(1)
    >>> objective = train.supervised(model, nn.losses.squared_error)
    >>> variables = nn.Variables({"w": jnp.ones((1, 1)), "b": jnp.zeros(1)}, {})
    >>> x = jnp.arange(5.0)[:, None]
    >>> train.evaluate(objective, variables, (x, x + 2))
    {'loss': 4.0}
    """
    check_kind("evaluate", "objective", objective, Objective, "use train.supervised(model, loss)")
    check_kind("evaluate", "variables", variables, Variables, "use result.variables")
    checked_data("evaluate", data)
    objective.check(data)
    return scores(objective, variables, data, checked_count("evaluate", "batch_size", batch_size))


def scores(
    objective: Objective,
    variables: Variables,
    data: Batch,
    batch_size: int = 1024,
    layout: Layout | None = None,
) -> dict[str, float]:
    """Return what `evaluate` does, for data and arguments already checked."""
    totals = Totals()
    batches = _batches(data, batch_size, layout)
    totals.add(jax.device_get(_pass(objective, layout, variables, data, *batches)))
    return totals.means()


def trace_scores(
    objective: Objective, state: TrainState, data: Batch, layout: Layout | None = None
) -> None:
    """Trace what `scores` will compile, so that what does not fit together raises before."""
    batches = _batches(data, 1024, layout)
    jax.eval_shape(lambda s: _pass(objective, layout, s.variables, data, *batches), state)


def predict(
    model: Layer, variables: Variables, x: Any, /, *, batch_size: int = 1024, **side: Any
) -> Any:
    """Return the model's outputs for every example, as NumPy arrays.

    Args:
        model: the layer.
        variables: its variables, `result.variables`.
        x: a pytree of arrays with a common leading axis.
        batch_size: examples at a time.
        **side: the model's side inputs, such as `lengths=`, with the same leading axis.

    Raises:
        ValueError: empty, ragged or non-finite data.

    >>> import jax.numpy as jnp
    >>> from laminax import nn, train
    >>> variables = nn.Variables({"w": jnp.ones((1, 1)), "b": jnp.zeros(1)}, {})
    >>> train.predict(nn.dense(1), variables, jnp.arange(3.0)[:, None], batch_size=2).tolist()
    [[0.0], [1.0], [2.0]]
    """
    examples = checked_data("predict", (x, side) if side else x)
    size = min(checked_count("predict", "batch_size", batch_size), examples)

    def outputs(rows: NDArray[np.int32]) -> Any:
        mine = jax.tree.map(lambda a: a[rows], (x, side))
        return jax.device_get(_outputs(model, variables, *mine))

    batches = map(outputs, padded_batches(examples, size)[0])
    return jax.tree.map(lambda *parts: np.concatenate(parts)[:examples], *batches)


def _batches(data: Batch, batch_size: int, layout: Layout | None = None) -> tuple[Any, Any]:
    examples, ways = batch_size_of(data), 1 if layout is None else layout.ways
    size = -(-min(batch_size, examples) // ways) * ways
    return padded_batches(examples, size)


@compiled_for(2)
def _pass(
    objective: Objective,
    layout: Layout | None,
    variables: Variables,
    data: Batch,
    rows: Any,
    weights: Any,
) -> Sums:
    def body(_: None, batch: tuple[jax.Array, jax.Array]) -> tuple[None, Sums]:
        rows, weights = batch
        examples = gather(data, rows)
        if layout is not None:
            examples, weights = layout.constrain_batch((examples, weights))
        return None, evaluating_sums(objective, *variables, examples, weights)

    sums: Sums = jax.lax.scan(body, None, (jnp.asarray(rows), jnp.asarray(weights)))[1]
    return sums


@compiled_for(1)
def _outputs(model: Layer, variables: Variables, x: Any, side: Any) -> Any:
    return model(variables, x, **side)

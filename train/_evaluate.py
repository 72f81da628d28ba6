"""Evaluation: every example once, in full batches, the last one padded with weight 0."""

from collections.abc import Iterable, Iterator
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
from ._processes import put
from ._state import TrainState
from ._step import Sums, evaluating_sums
from .data import Pass, gather, padded_batches


def evaluate(
    objective: Objective, variables: Variables, data: Batch | Pass, *, batch_size: int = 1024
) -> dict[str, float]:
    """Return the mean loss and metrics over the data, in evaluation mode.

    Args:
        objective: the loss and metrics.
        variables: what to evaluate, `result.variables`.
        data: a pytree of arrays with a common leading axis; or a pass over what does not lie in
            memory whole, as `data.in_order(np.load(path, mmap_mode="r"))`, in batches of its own.
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
    check_examples("evaluate", objective, data)
    return scores(objective, variables, data, checked_count("evaluate", "batch_size", batch_size))


def check_examples(where: str, objective: Objective, data: Batch | Pass) -> None:
    """Raise TypeError or ValueError for data, or a first batch, that cannot be evaluated."""
    sample = _sample(data)
    checked_data(where, sample)
    objective.check(sample)


def scores(
    objective: Objective,
    variables: Variables,
    data: Batch | Pass,
    batch_size: int = 1024,
    layout: Layout | None = None,
) -> dict[str, float]:
    """Return what `evaluate` does, for data and arguments already checked."""
    totals = Totals()
    for sums in _ahead(_parts(objective, variables, data, batch_size, layout)):
        totals.add(jax.device_get(sums))
    return totals.means()


def trace_scores(
    objective: Objective, state: TrainState, data: Batch | Pass, layout: Layout | None = None
) -> None:
    """Trace what `scores` will compile, so that what does not fit together raises before."""
    sample = _sample(data)
    batches = _batches(sample, 1024, layout)
    jax.eval_shape(lambda s: _pass(objective, layout, s.variables, sample, *batches), state)


def _sample(data: Batch | Pass) -> Batch:
    return data.sample if isinstance(data, Pass) else data


def _parts(
    objective: Objective,
    variables: Variables,
    data: Batch | Pass,
    batch_size: int,
    layout: Layout | None,
) -> Iterator[Sums]:
    """Launch the parts of an evaluation: one of all data in memory, one of each batch of a pass."""
    if not isinstance(data, Pass):
        yield _pass(objective, layout, variables, data, *_batches(data, batch_size, layout))
        return
    for batch, weights in _filled(data, 1 if layout is None else layout.ways):
        check_examples("evaluate", objective, batch)
        placed = put(batch, None if layout is None else layout.everywhere)
        yield _pass(objective, layout, variables, placed, np.arange(weights.size)[None], weights)


def _filled(batches: Iterable[Batch], ways: int = 1) -> Iterator[tuple[Batch, NDArray[Any]]]:
    """Fill up shorter batches to the size of the others, at weight 0."""
    size = 0
    for batch in batches:
        n = batch_size_of(batch)
        size = max(size, -(-n // ways) * ways)
        (rows,), weights = padded_batches(n, size)
        if n < size:
            batch = jax.tree.map(lambda leaf, rows=rows: leaf[rows], batch)
        yield batch, weights


def _ahead(parts: Iterator[Any]) -> Iterator[Any]:
    """Each part once the next one has been launched."""
    before = next(parts)
    for part in parts:
        yield before
        before = part
    yield before


def predict(
    model: Layer, variables: Variables, x: Any, /, *, batch_size: int = 1024, **side: Any
) -> Any:
    """Return the model's outputs for every example, as NumPy arrays.

    Args:
        model: the layer.
        variables: its variables, `result.variables`.
        x: a pytree of arrays with a common leading axis; or a pass over what does not lie in memory
            whole, as `data.in_order(...)`, in batches of its own.
        batch_size: examples at a time.
        **side: the model's side inputs, such as `lengths=`, with the same leading axis.

    Raises:
        TypeError: side inputs beside a pass.
        ValueError: empty, ragged or non-finite data.

    >>> import jax.numpy as jnp
    >>> from laminax import nn, train
    >>> variables = nn.Variables({"w": jnp.ones((1, 1)), "b": jnp.zeros(1)}, {})
    >>> train.predict(nn.dense(1), variables, jnp.arange(3.0)[:, None], batch_size=2).tolist()
    [[0.0], [1.0], [2.0]]
    """
    if isinstance(x, Pass) and side:
        raise TypeError(f"predict: {', '.join(side)}: a pass has no side inputs; give arrays")

    def launched() -> Iterator[tuple[Any, int]]:
        for (x_part, side_part), weights in _filled(_inputs(x, side, batch_size)):
            yield _outputs(model, variables, x_part, side_part), int(weights.sum())

    parts = [
        jax.tree.map(lambda y, n=n: np.asarray(y)[:n], outputs) for outputs, n in _ahead(launched())
    ]
    return jax.tree.map(lambda *parts: np.concatenate(parts), *parts)


def _inputs(x: Any, side: Any, batch_size: int) -> Iterator[tuple[Any, Any]]:
    """Cut inputs into batches, or take those of a pass; each with its side inputs."""
    if isinstance(x, Pass):
        for batch in x:
            checked_data("predict", batch)
            yield batch, {}
        return
    examples = checked_data("predict", (x, side) if side else x)
    size = min(checked_count("predict", "batch_size", batch_size), examples)
    for first in range(0, examples, size):
        yield jax.tree.map(lambda leaf, i=first: leaf[i : i + size], (x, side))


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

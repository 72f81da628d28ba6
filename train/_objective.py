"""What is minimized: an objective is to training what a layer is to a model.

    init(key, batch_spec)              -> Variables
    loss(params, state, batch, ctx)    -> (per-example loss, Aux(state, metrics))

A per-example value is an array with leading axis batch, or a pair (sum, count) of such where one
example holds several terms (the tokens of a sentence). Nothing is averaged here: the step alone
applies weights and reduces, Σw·sum / Σw·count, so that padding, micro-batches and devices cannot
change the answer.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from laminax.nn import Context, Layer, Variables
from laminax.nn.losses import PerExample, check_labels, cross_entropy

from ._check import check_kind

Batch: TypeAlias = Any
"""A pytree of arrays with leading axis batch; `(x, y)` or `(x, y, side)` in supervised learning."""


class Aux(NamedTuple):
    """What the loss hands back beside its value.

    Attributes:
        state: the model's new state.
        metrics: further per-example values by name.
    """

    state: Any
    metrics: Mapping[str, PerExample]


@dataclass(frozen=True, eq=False)
class Objective:
    """What is minimized: pure functions, written by hand or by `supervised`.

    Attributes:
        init: `init(key, batch_spec) -> Variables`.
        loss: `loss(params, state, batch, ctx) -> (PerExample, Aux)`, pure.
        check: looks through host data before anything is compiled and raises on bad values.

    >>> import jax, jax.numpy as jnp
    >>> from laminax import nn, train
    >>> def loss(params, state, batch, ctx):
    ...     return jnp.square(batch - params), train.Aux(state, {})
    >>> objective = train.Objective(lambda key, batch: nn.Variables(jnp.zeros(()), {}), loss)
    >>> objective.loss(jnp.float32(1.0), {}, jnp.array([3.0, 1.0]), nn.Context())[0].tolist()
    [4.0, 0.0]
    """

    init: Callable[[jax.Array, Any], Variables]
    loss: Callable[[Any, Any, Batch, Context], tuple[PerExample, Aux]]
    check: Callable[[Batch], None] = field(default=lambda data: None)


def supervised(
    model: Layer,
    loss: Callable[[Any, Any], PerExample],
    *,
    metrics: Mapping[str, Callable[[Any, Any], PerExample]] | None = None,
) -> Objective:
    """Objective of predicting y from x: loss(model(x), y) for batches `(x, y)`.

    A batch may hold a third part, the model's side inputs by name, such as
    `(x, y, {"lengths": lengths})`. In training, state leaves named `aux_loss` are added to the
    loss of every example; the state of an evaluation holds those of the last training batch.

    Args:
        model: the layer to train.
        loss: `loss(y_hat, y)`, per example: one of `nn.losses`.
        metrics: `metric(y_hat, y)` by name, per example: some of `nn.metrics`.

    Raises:
        TypeError: data that are neither `(x, y)` nor `(x, y, side)`.
        ValueError: class labels outside the model's outputs; a metric named "loss".

    >>> import jax, jax.numpy as jnp
    >>> from laminax import nn, train
    >>> objective = train.supervised(nn.dense(3), nn.losses.cross_entropy)
    >>> batch = jnp.zeros((2, 4)), jnp.array([0, 2])
    >>> params, state = objective.init(jax.random.key(0), batch)
    >>> objective.loss(params, state, batch, nn.Context())[0].round(4).tolist()
    [1.0986000299453735, 1.0986000299453735]
    """
    check_kind("supervised", "model", model, Layer, "make one, such as nn.mlp(10); forgot ()?")
    check_kind("supervised", "loss", loss, Callable, "use one of nn.losses")
    check_kind("supervised", "metrics", metrics or {}, Mapping, "give {name: metric}")
    metrics = dict(metrics or {})
    if "loss" in metrics:
        raise ValueError("supervised: 'loss' is the name of the loss itself; rename the metric")

    def init(key: jax.Array, batch: Batch) -> Variables:
        x, _, side = parts(batch)
        return model.init(key, x, **side)

    def evaluated(params: Any, state: Any, batch: Batch, ctx: Context) -> tuple[PerExample, Aux]:
        x, y, side = parts(batch)
        ctx = dataclasses.replace(ctx, side={**ctx.side, **side})
        y_hat, state = model.apply(params, state, x, ctx)
        value = priced(loss(y_hat, y), state, ctx)
        return value, Aux(state, {name: metric(y_hat, y) for name, metric in metrics.items()})

    outputs = outputs_spec(model)

    def check(data: Batch) -> None:
        x, y, side = parts(data)
        if loss is cross_entropy:  # of others no outputs are needed
            check_classes(loss, outputs(x, side), y)

    return Objective(init, evaluated, check)


def outputs_spec(model: Layer) -> Callable[[Any, Mapping[str, Any]], Any]:
    """From x and side inputs to shapes and dtypes of the model's outputs, traced once for alike."""

    @functools.lru_cache(maxsize=8)
    def traced(treedef: Any, leaves: tuple[jax.ShapeDtypeStruct, ...]) -> Any:
        x, side = jax.tree.unflatten(treedef, leaves)
        return jax.eval_shape(
            lambda x, side: model(model.init(jax.random.key(0), x, **side), x, **side), x, side
        )

    def spec(x: Any, side: Mapping[str, Any]) -> Any:
        leaves, treedef = jax.tree.flatten(jax.eval_shape(lambda inputs: inputs, (x, side)))
        return traced(treedef, tuple(leaves))

    return spec


def check_classes(loss: Callable[[Any, Any], PerExample], y_hat: Any, y: Any) -> None:
    """Raise ValueError for class labels outside the outputs; of `y_hat` the shape is read."""
    if loss is cross_entropy and jnp.issubdtype(jnp.result_type(y), jnp.integer):
        check_labels(y, y_hat.shape[-1])


def one_number(where: str, value: PerExample, batch: Batch) -> jax.Array:
    """Return a loss that is to be added to others, once it is known to be a number an example.

    Raises:
        ValueError: it is a pair, or not per example.
    """
    if isinstance(value, tuple):
        raise ValueError(
            f"{where}: must be one number an example, got a pair (sum, count), and no sum of pairs "
            "weighs each by its own count; divide the one by the other"
        )
    reduced(value, None, where, batch_size_of(batch))
    return value


def added(values: Sequence[jax.Array]) -> jax.Array:
    """The sum of losses that may be of several precisions, in float32 or wider."""
    with jax.numpy_dtype_promotion("standard"):
        return functools.reduce(jnp.add, values, jnp.zeros((), jnp.float32))


def priced(value: PerExample, state: Any, ctx: Context) -> PerExample:
    """Return a loss plus, in training, the leaves of the new state named `aux_loss`."""
    leaves = [
        jnp.sum(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
        if getattr(path[-1], "key", None) == "aux_loss"
    ]
    if not leaves or not ctx.train:
        return value
    price = sum(leaves[1:], leaves[0])
    if isinstance(value, tuple):
        total, count = value
        return total + price * count.astype(total.dtype), count
    return value + price.astype(value.dtype)


def reduced(value: PerExample, weights: jax.Array | None, name: str, batch: int) -> Any:
    """Return (Σw·sum, Σw·count) over the batch; rows of weight 0 never count, be they NaN.

    Raises:
        ValueError: a value that is not per example.
    """
    total, count = value if isinstance(value, tuple) else (value, None)
    for part in (total, count):
        if part is not None and jnp.shape(part) != (batch,):
            raise ValueError(
                f"{name}: must be per example, shape ({batch},) or a pair (sum, count) of such, "
                f"got shape {jnp.shape(part)}; do not take the mean yourself: the step reduces"
            )
    total = _float(total)
    count = jnp.ones(batch, total.dtype) if count is None else jnp.asarray(count, total.dtype)
    if weights is not None:
        total, count = (
            jnp.where(weights > 0, part * weights.astype(part.dtype), jnp.zeros((), part.dtype))
            for part in (total, count)
        )
    return total.sum(), count.sum()


def batch_spec(examples: Batch, size: int) -> Batch:
    """Shapes and dtypes of a batch of so many of the examples."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct((size, *x.shape[1:]), x.dtype), examples)


def batch_size_of(batch: Batch) -> int:
    """Return the length of the leading axis of a batch."""
    return int(jnp.shape(jax.tree.leaves(batch)[0])[0])


def _float(value: Any) -> jax.Array:
    with jax.numpy_dtype_promotion("standard"):
        return jnp.asarray(value, jnp.promote_types(jnp.result_type(value), jnp.float32))


def parts(batch: Batch) -> tuple[Any, Any, Mapping[str, Any]]:
    """Return x, y and the side inputs of a batch."""
    several = isinstance(batch, tuple | list)
    if not several or len(batch) not in (2, 3):
        raise TypeError(
            f"supervised: data must be (x, y) or (x, y, side), got {type(batch).__name__}"
            f"{f' of {len(batch)}' if several else ''}; give a tuple"
        )
    x, y, *rest = batch
    side = rest[0] if rest else {}
    if not isinstance(side, Mapping):
        raise TypeError(
            f"supervised: the third part of data must be a dict of side inputs by name, got "
            f"{type(side).__name__}; as (x, y, {{'lengths': lengths}})"
        )
    return x, y, side

"""Several tasks of one model: ℓ = Σ_k w_k ℓ_k(ŷ_k, y_k)."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from laminax.nn import Layer
from laminax.nn.losses import PerExample

from ._check import check_kind
from ._objective import (
    Batch,
    Objective,
    added,
    check_classes,
    one_number,
    outputs_spec,
    parts,
    supervised,
)

Judge: TypeAlias = Callable[[Any, Any], PerExample]
"""A loss or a metric: from a task's outputs and targets to a value an example."""


def multitask(
    model: Layer,
    losses: Mapping[str, Judge],
    *,
    weights: Mapping[str, ArrayLike] | None = None,
    metrics: Mapping[str, Mapping[str, Judge]] | None = None,
) -> Objective:
    """Objective of several tasks of one model: ℓ = Σ_k w_k ℓ_k(ŷ_k, y_k).

    The model's outputs are a tuple with an entry for each task in the order of `losses`, as
    `nn.parallel` gives, or a dict by task; so are the targets y of a batch `(x, y)`. Each loss is
    reported as `loss TASK`, before its weight, each metric as `METRIC TASK`.

    Args:
        model: the layer to train.
        losses: by task, `loss(y_hat, y)`, one number an example.
        weights: w_k by task, 1 where left out.
        metrics: by task, metrics by name, per example.

    Raises:
        TypeError: no dicts of functions.
        ValueError: no tasks, weights or metrics of none of them; from the data, labels outside a
            task's outputs; from the loss, outputs or targets that are not one for each task.

    >>> import jax, jax.numpy as jnp
    >>> from laminax import nn, train
    >>> model = nn.serial(nn.dense(8), nn.relu, nn.parallel(digit=nn.dense(10), slant=nn.dense(1)))
    >>> objective = train.multitask(
    ...     model,
    ...     {"digit": nn.losses.cross_entropy, "slant": nn.losses.squared_error},
    ...     weights={"slant": 0.1},
    ...     metrics={"digit": {"accuracy": nn.metrics.accuracy}},
    ... )
    >>> x, labels, slants = jnp.ones((4, 3)), jnp.arange(4), jnp.zeros((4, 1))
    >>> batch = x, (labels, slants)
    >>> variables = objective.init(jax.random.key(0), batch)
    >>> sorted(train.evaluate(objective, variables, batch))
    ['accuracy digit', 'loss', 'loss digit', 'loss slant']

    Source: Caruana, Multitask learning, 1997.
    """
    check_kind("multitask", "losses", losses, Mapping, "give {task: loss}")
    losses, weights, metrics = dict(losses), dict(weights or {}), dict(metrics or {})
    if not losses:
        raise ValueError("multitask: losses is empty; give at least one task, {task: loss}")
    for name, loss in losses.items():
        check_kind("multitask", f"the loss of {name!r}", loss, Callable, "use one of nn.losses")
    for argument, given in (("weights", weights), ("metrics", metrics)):
        if unknown := given.keys() - losses.keys():
            raise ValueError(
                f"multitask: {argument} of {', '.join(map(repr, sorted(unknown)))}, but the tasks "
                f"are {', '.join(map(repr, losses))}; name one of these"
            )

    tasks = tuple(losses)

    def of(task: str, judge: Judge) -> Judge:
        """The judge of one task, given the outputs and targets of all."""
        return lambda y_hat, y: judge(
            _by_task("the output", y_hat, tasks)[task], _by_task("y", y, tasks)[task]
        )

    def total(y_hat: Any, y: Any) -> jax.Array:
        values = []
        for task, loss in losses.items():
            value = one_number(f"multitask: the loss of {task!r}", of(task, loss)(y_hat, y), y)
            values.append(jnp.asarray(weights.get(task, 1), value.dtype) * value)
        return added(values)

    told = {f"loss {task}": of(task, loss) for task, loss in losses.items()}
    for task, judges in metrics.items():
        if "loss" in judges:
            raise ValueError(
                f"multitask: 'loss' is the name of the loss of {task!r} itself; rename the metric"
            )
        told |= {f"{name} {task}": of(task, judge) for name, judge in judges.items()}

    outputs = outputs_spec(model)

    def check(data: Batch) -> None:
        x, y, side = parts(data)
        y_hat = _by_task("the output", outputs(x, side), tasks)
        targets = _by_task("y", y, tasks)
        for task, loss in losses.items():
            check_classes(loss, y_hat[task], targets[task])

    objective = supervised(model, total, metrics=told)
    return dataclasses.replace(objective, check=check)


def _by_task(what: str, tree: Any, tasks: tuple[str, ...]) -> Mapping[str, Any]:
    """Return the entries of a dict by task, or of a tuple in the order of the tasks.

    Raises:
        ValueError: they are not one for each task.
    """
    if isinstance(tree, Mapping) and set(tree) == set(tasks):
        return tree
    if isinstance(tree, tuple | list) and len(tree) == len(tasks):
        return dict(zip(tasks, tree, strict=True))
    got = "one array"
    if isinstance(tree, Mapping):
        got = f"a dict of {', '.join(map(repr, tree))}"
    elif isinstance(tree, tuple | list):
        got = f"a tuple of {len(tree)}"
    raise ValueError(
        f"multitask: {what} must be a tuple of {len(tasks)}, or a dict, with an entry for each of "
        f"the tasks {', '.join(map(repr, tasks))}, got {got}"
    )

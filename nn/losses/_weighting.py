"""Combinators of losses: which terms count, how much, and how sure the labels are.

weighted         (Σ w ℓ, Σ w) over the positions of an example
masked           the same with w = 1 where the mask is True, else 0
class_weighted   the same with w = w_y, the weight of the label's class
smoothed         the loss against p = (1 - ε) onehot(y) + ε / classes

Each takes a loss and returns one. The training step divides the sums of a batch, Σ w ℓ / Σ w, so
that a padded sequence counts for its real steps alone.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from .._core._checks import fraction
from .._core._specs import describe
from .._core._targets import (
    PerExample,
    check_array,
    check_classes,
    check_scores,
    known,
    one_hot,
    summed,
    wide,
)

Loss: TypeAlias = Callable[[Any, Any], PerExample]


def weighted(loss: Loss) -> Loss:
    """Loss whose positions count by a weight given with the target: (Σ w ℓ, Σ w).

    A position of weight 0 takes no part: its target is not read. For a weight (batch, time) the
    loss is of each time step by itself, so that any loss of a (batch, ...) will do.

    Args:
        loss: `loss(prediction, target)`, per example.

    Returns:
        `loss(prediction, (target, weight))`, the weight ≥ 0 of shape (batch,), or (batch, ...) with
        the next axes of both prediction and target.

    Raises:
        ValueError: a weight whose shape does not fit, or that is known to be negative.
        TypeError: a target that is no pair.

    >>> from laminax import nn
    >>> loss = nn.losses.weighted(nn.losses.squared_error)
    >>> loss(jnp.array([[3.0], [2.0]]), (jnp.zeros((2, 1)), jnp.array([0.5, 2.0])))
    (Array([4.5, 8. ], dtype=float32), Array([0.5, 2. ], dtype=float32))
    """

    def of_weighted(prediction: Any, target: Any) -> PerExample:
        target, weight = _pair("weighted", "weight", target)
        _check_weight(weight)
        return _sums("weighted", loss, prediction, target, jnp.asarray(weight))

    return of_weighted


def masked(loss: Loss) -> Loss:
    """Loss of the positions that are real, by a mask given with the target: (Σ m ℓ, Σ m).

    What is not real takes no part: its target is not read, and may be -1. For a mask (batch, time)
    the loss is of each time step by itself, so that any loss of a (batch, ...) will do.

    Args:
        loss: `loss(prediction, target)`, per example.

    Returns:
        `loss(prediction, (target, mask))`, the mask True where real, of shape (batch,), or
        (batch, ...) with the next axes of both prediction and target.

    Raises:
        ValueError: a mask whose shape does not fit.
        TypeError: a target that is no pair, a mask that is not boolean.

    >>> from laminax import nn
    >>> loss = nn.losses.masked(nn.losses.cross_entropy)
    >>> labels, mask = jnp.array([[1, 0, -1]]), jnp.array([[True, True, False]])
    >>> total, count = loss(jnp.zeros((1, 3, 2)), (labels, mask))
    >>> round(total.item(), 3), count.item()
    (1.386, 2.0)
    """

    def of_masked(prediction: Any, target: Any) -> PerExample:
        target, mask = _pair("masked", "mask", target)
        if mask.dtype != bool:
            raise TypeError(
                f"masked: mask must be boolean, True where real, got {describe(mask)}; "
                "compare, mask != 0, or use weighted"
            )
        return _sums("masked", loss, prediction, target, jnp.asarray(mask))

    return of_masked


def class_weighted(loss: Loss, weights: Sequence[float] | ArrayLike) -> Loss:
    """Loss whose labels count by the weight of their class: (Σ w_y ℓ, Σ w_y).

    For classes that are rare, or whose errors are dear. Over a batch it is the mean that PyTorch's
    `weight=` takes.

    Args:
        loss: a loss of scores (batch, ..., classes) and integer labels (batch, ...).
        weights: (classes,), at least 0.

    Returns:
        `loss(scores, labels)`.

    Raises:
        ValueError: weights that are negative, or not as many as there are classes.
        TypeError: labels that are not integers.

    >>> from laminax import nn
    >>> loss = nn.losses.class_weighted(nn.losses.multiclass_hinge, [1.0, 3.0])
    >>> loss(jnp.zeros((2, 2)), jnp.array([0, 1]))
    (Array([1., 3.], dtype=float32), Array([1., 3.], dtype=float32))
    """
    table = np.asarray(weights, float)
    if table.ndim != 1 or not (table >= 0).all():
        raise ValueError(
            f"class_weighted: weights must be one number of at least 0 a class, got {weights!r}"
        )

    def of_classes(scores: Any, labels: Any) -> PerExample:
        hot = check_classes("class_weighted", scores, labels)
        if scores.shape[-1] != table.size:
            raise ValueError(
                f"class_weighted: got {table.size} weights for {scores.shape[-1]} classes, scores "
                f"{describe(scores)}; give one a class"
            )
        of_each = jnp.expand_dims(jnp.asarray(table), range(hot.ndim - 1))
        weight = jnp.where(hot, of_each, 0).sum(-1)
        # A label that is no class keeps a weight, so that its NaN is seen.
        weight = jnp.where(hot.any(-1), weight, 1)
        return _sums("class_weighted", loss, scores, labels, weight)

    return of_classes


def smoothed(loss: Loss, rate: float) -> Loss:
    """Loss against smoothed labels, p = (1 - ε) onehot(y) + ε / classes.

    Source: Szegedy et al., Rethinking the inception architecture for computer vision, 2016.

    Args:
        loss: a loss of scores (batch, ..., classes) and probabilities of that shape.
        rate: ε in [0, 1), what is taken from the label and given to all classes alike.

    Returns:
        `loss(scores, labels)`, labels as integers (batch, ...) or as probabilities.

    Raises:
        ValueError: ε outside [0, 1); labels that do not fit or are no class.
        TypeError: scores that are not floating.

    >>> from laminax import nn
    >>> loss = nn.losses.smoothed(nn.losses.cross_entropy, 0.1)
    >>> round(loss(jnp.log(jnp.array([[0.9, 0.1]])), jnp.array([0])).item(), 3)  # its least
    0.215
    """
    epsilon = fraction("smoothed", "rate", rate)

    def of_smoothed(scores: Any, labels: Any) -> PerExample:
        integer = check_scores("smoothed", scores, labels)
        classes = scores.shape[-1]
        hot = one_hot(labels, classes) if integer else labels
        p = (1 - epsilon) * wide(hot, scores) + epsilon / classes
        if integer:
            p = jnp.where(hot.any(-1, keepdims=True), p, jnp.nan)
        return loss(scores, p)

    return of_smoothed


def _sums(kind: str, loss: Loss, prediction: Any, target: Any, weight: jax.Array) -> PerExample:
    for name, tree in (("prediction", prediction), ("target", target)):
        for leaf in jax.tree.leaves(tree):
            if not weight.shape or leaf.shape[: weight.ndim] != weight.shape:
                raise ValueError(
                    f"{kind}: the weights {describe(weight)} must share all their axes with the "
                    f"first ones of {name}, got {describe(leaf)}"
                )
    counts = weight.astype(bool)
    # Not read where it does not count: a NaN there would reach the gradient, as 0 · NaN.
    target = jax.tree.map(lambda t: _where(counts, jnp.asarray(t)), target)
    each = loss
    for _ in weight.shape[1:]:
        each = jax.vmap(each, 1, 1)
    result = each(prediction, target)
    pair = result if isinstance(result, tuple) else (result, jnp.ones_like(result))
    total, count = (wide(part, weight) for part in pair)
    w = weight.astype(total.dtype)
    return summed(jnp.where(counts, w * total, 0)), summed(jnp.where(counts, w * count, 0))


def _where(counts: jax.Array, target: jax.Array) -> jax.Array:
    counts = counts.reshape(counts.shape + (1,) * (target.ndim - counts.ndim))
    return jnp.where(counts, target, jnp.zeros((), target.dtype))


def _pair(kind: str, name: str, target: Any) -> tuple[Any, Any]:
    if not isinstance(target, tuple | list) or len(target) != 2:
        raise TypeError(
            f"{kind}: target must be the pair (target, {name}), got {describe(target)}; "
            f"let the data be (x, (y, {name}))"
        )
    check_array(kind, name, target[1])
    return target[0], target[1]


def _check_weight(weight: Any) -> None:
    values = known(weight)
    if values is not None and not (values >= 0).all():
        raise ValueError(f"weighted: weight must be at least 0, got {values.min()}")

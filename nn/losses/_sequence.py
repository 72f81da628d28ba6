"""Connectionist temporal classification: the likelihood of labels whose places are not known.

With l' the labels with a blank before, between and after them, and y_t the class probabilities of
frame t, the probability α_t(s) of having read l'_1..s by frame t is

    α_t(s) = (α_{t-1}(s) + α_{t-1}(s-1) + [l'_s ≠ l'_{s-2} and no blank] α_{t-1}(s-2)) y_t(l'_s)
    ℓ = -log(α_T(S) + α_T(S-1)),   computed in logarithms.

Source: Graves et al., Connectionist temporal classification: labelling unsegmented sequence data
with recurrent neural networks, 2006.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._core._specs import describe
from .._core._targets import check_array, check_floating, known, wide

_NEVER = -1e30  # the logarithm of no probability; -inf has no gradient


def ctc(logits: Any, target: Any, *, blank: int = 0) -> jax.Array:
    """Connectionist temporal classification: ℓ = -log p(labels | logits), over all alignments.

    Computed in at least float32, in nats, finite for logits of any size. Labels that do not fit in
    the frames (one each, and one more between two equal ones) have probability zero: their loss is
    inf and their gradient zero.

    Source: Graves et al., Connectionist temporal classification: labelling unsegmented sequence
    data with recurrent neural networks, 2006.

    Args:
        logits: (batch, time, classes), one class of which is the blank.
        target: (labels, lengths, label_lengths): integers (batch, n), and the number of real frames
            and of real labels (batch,); what lies beyond them is not read.
        blank: the class that stands for no label.

    Returns:
        (batch,). Labels that are no class, or the blank, raise where known and else read NaN.

    Raises:
        ValueError: shapes that do not fit; lengths beyond the arrays; labels that are no class.
        TypeError: logits that are not floating, a target that is no triple of integers.

    >>> from laminax import nn
    >>> logits = jnp.zeros((1, 2, 3))  # two frames, each of three classes as likely
    >>> target = jnp.array([[1]]), jnp.array([2]), jnp.array([1])
    >>> probability = jnp.exp(-nn.losses.ctc(logits, target))  # "1-", "-1" and "11" of nine
    >>> round(probability.item() * 9, 3)
    3.0
    """
    labels, lengths, label_lengths = _checked(logits, target, blank)
    log_p = jax.nn.log_softmax(wide(logits))
    classes = log_p.shape[-1]
    real = jnp.arange(labels.shape[1], dtype=jnp.int32)[None] < label_lengths[:, None]
    wrong = real & ((labels < 0) | (labels >= classes) | (labels == blank))
    extended = _between_blanks(jnp.where(real & ~wrong, labels, blank), blank)
    skips = (extended != blank) & (extended != jnp.roll(extended, 2, 1))
    frames = jnp.arange(log_p.shape[1], dtype=jnp.int32)[:, None] < lengths[None]

    def step(alpha: jax.Array, frame: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        log_p, is_real = frame
        skipped = jnp.where(skips, _shifted(alpha, 2), _NEVER)
        reached = jnp.logaddexp(jnp.logaddexp(alpha, _shifted(alpha, 1)), skipped)
        now = reached + jnp.take_along_axis(log_p, extended, 1)
        return jnp.where(is_real[:, None], now, alpha), None

    # Before the first frame: at the first blank, which nothing was paid for.
    start = jnp.full(extended.shape, _NEVER, log_p.dtype).at[:, 0].set(0)
    alpha, _ = jax.lax.scan(step, start, (log_p.swapaxes(0, 1), frames))
    loss = -_last(alpha, label_lengths)
    loss = jnp.where(loss > -_NEVER / 2, jnp.inf, loss)
    return jnp.where(wrong.any(1), jnp.nan, loss)


def _between_blanks(labels: jax.Array, blank: int) -> jax.Array:
    batch, n = labels.shape
    return jnp.full((batch, 2 * n + 1), blank, labels.dtype).at[:, 1::2].set(labels)


def _shifted(alpha: jax.Array, by: int) -> jax.Array:
    return jnp.pad(alpha, ((0, 0), (by, 0)), constant_values=_NEVER)[:, : alpha.shape[1]]


def _last(alpha: jax.Array, label_lengths: jax.Array) -> jax.Array:
    """Return log(α(S) + α(S-1)), S the blank after the last real label."""

    def at(place: jax.Array) -> jax.Array:
        return jnp.take_along_axis(alpha, place[:, None], 1)[:, 0]

    label = jnp.where(label_lengths > 0, at(jnp.maximum(2 * label_lengths - 1, 0)), _NEVER)
    return jnp.logaddexp(at(2 * label_lengths), label)


def _checked(logits: Any, target: Any, blank: int) -> list[jax.Array]:
    check_floating("ctc", "logits", logits)
    if len(logits.shape) != 3:
        raise ValueError(f"ctc: logits must be (batch, time, classes), got {describe(logits)}")
    if not isinstance(target, tuple | list) or len(target) != 3:
        raise TypeError(
            f"ctc: target must be (labels, lengths, label_lengths), got {describe(target)}"
        )
    batch, time, classes = logits.shape
    if not 0 <= blank < classes:
        raise ValueError(f"ctc: blank must be a class in [0, {classes}), got {blank!r}")
    for name, x, rank in zip(
        ("labels", "lengths", "label_lengths"), target, (2, 1, 1), strict=True
    ):
        check_array("ctc", name, x)
        if not jnp.issubdtype(x.dtype, jnp.integer):
            raise TypeError(f"ctc: {name} must be integers, got {describe(x)}")
        if len(x.shape) != rank or x.shape[0] != batch:
            shape = f"({batch}, n)" if rank == 2 else f"({batch},)"
            raise ValueError(f"ctc: {name} must have shape {shape}, got {describe(x)}")
    labels, lengths, label_lengths = target
    _check_values(labels, lengths, label_lengths, time, classes, blank)
    return [jnp.asarray(x).astype(jnp.int32) for x in target]


def _check_values(
    labels: Any, lengths: Any, label_lengths: Any, time: int, classes: int, blank: int
) -> None:
    for name, x, most in (
        ("lengths", lengths, time),
        ("label_lengths", label_lengths, labels.shape[1]),
    ):
        values = known(x)
        if values is not None and ((values < 0) | (values > most)).any():
            raise ValueError(f"ctc: {name} must lie in [0, {most}], got {values.tolist()}")
    values, counts = known(labels), known(label_lengths)
    if values is None or counts is None:
        return
    real = values[np.arange(values.shape[1]) < counts[:, None]]
    wrong = real[(real < 0) | (real >= classes) | (real == blank)]
    if wrong.size:
        raise ValueError(
            f"ctc: labels must lie in [0, {classes}) and not be the blank {blank}, got {wrong[0]}; "
            "move them up by one, or name the blank"
        )

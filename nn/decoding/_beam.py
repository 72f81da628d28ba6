"""Beam search: the K likeliest continuations of a prompt, kept side by side.

    score = log P(y_1 ... y_n | prompt) / ((5 + n) / 6)^α

At each step the continuations of all K live beams by all classes are ranked by log P. Those that
stop compete by score for K places among the ended; of the others the best K live on. The carry of
the model, whatever it is made of, follows its beam: its batch axes are found by starting the model
at two batch sizes.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from .._core._checks import positive
from .._core._layer import Carry, Context, Layer, Variables
from .._core._specs import describe, spec_of
from ._decode import apart, checked_prompt, start, step_logits, widened


class Beams(NamedTuple):
    """What `beam_search` returns, the best continuation of each row first.

    Attributes:
        tokens: int32 (batch, beams, time + steps): the prompt, then the continuation; filler beyond
            `lengths`, the stop token or 0.
        scores: (batch, beams), descending; -∞ where there are fewer continuations than beams.
        lengths: int32 (batch, beams): real tokens, the prompt and a stop token among them.
    """

    tokens: jax.Array
    scores: jax.Array
    lengths: jax.Array


class _Search(NamedTuple):
    """What the loop carries; `live` is scored by log P, and its beams have p tokens."""

    p: jax.Array
    live: Beams
    ended: Beams
    carry: Carry


def beam_search(
    model: Layer,
    variables: Variables,
    prompt: Any,
    steps: int,
    *,
    beams: int,
    stop: int | None = None,
    length_penalty: float = 0.0,
    lengths: Any = None,
    **side: Any,
) -> Beams:
    """Find likely continuations of prompts: score = log P(y_1 ... y_n) / ((5 + n) / 6)^α.

    One program, which ends when no live beam can overtake an ended one. A continuation is one that
    stops, or that has all `steps` tokens. With at least as many beams as there are prefixes the
    search is exhaustive.

    Source: Lowerre, The Harpy speech recognition system, 1976; the penalty: Wu et al., Google's
    neural machine translation system, 2016.

    Args:
        model: maps tokens (batch, time) to logits (batch, time, classes), and has `step`.
        variables: of the model.
        prompt: integers (batch, time), time at least 1.
        steps: how many tokens a continuation has at most.
        beams: K.
        stop: the token that ends a continuation.
        length_penalty: α; 0 compares by probability alone, larger favors longer ones.
        lengths: integers (batch,), how many tokens at the front of each row are its prompt.
        **side: named extra inputs of the model, such as `memory=`, batch first.

    Raises:
        ValueError: a prompt or lengths of another shape, steps or beams < 1, a negative penalty; a
            model that cannot run a stretch at a time, or whose carry has no one batch axis.
        TypeError: a prompt that does not hold integers; variables that are none.

    >>> from laminax import nn
    >>> chances = jnp.array([[0.0, 0.5, 0.4, 0.1], [0.0, 0.4, 0.2, 0.4], [0.0, 0.0, 0.1, 0.9]])
    >>> chain = nn.Variables({"table": jnp.log(jnp.pad(chances, ((0, 1), (0, 0))))}, {})
    >>> found = nn.decoding.beam_search(
    ...     nn.embedding(4, 4), chain, jnp.array([[0]]), 2, beams=2, stop=3)
    >>> found.tokens.tolist(), [f"{jnp.exp(score):.2f}" for score in found.scores[0]]
    ([[[0, 2, 3], [0, 1, 3]]], ['0.36', '0.20'])
    """
    read = checked_prompt("beam_search", model, variables, prompt, lengths, steps, stop)
    positive("beam_search", "beams", beams)
    if not float(length_penalty) >= 0:
        raise ValueError(
            f"beam_search: length_penalty must be a number of at least 0, got {length_penalty!r}"
        )
    found: Beams = _search(
        *(model, variables, read.tokens, read.lengths, stop, float(length_penalty), side),
        *(steps, beams, read.shared),
    )
    return found


@functools.partial(jax.jit, static_argnames=("model", "steps", "beams", "shared"))
def _search(
    model: Layer,
    variables: Variables,
    prompt: jax.Array,
    lengths: jax.Array,
    stop: jax.Array | None,
    alpha: jax.Array,
    side: dict[str, Any],
    steps: int,
    beams: int,
    shared: int,
) -> Beams:
    variables = apart(model, variables)
    tokens, ends = widened(prompt, lengths, steps, stop), lengths + steps
    axes = _batch_axes(model, variables, tokens, side)
    wide = Context(side=jax.tree.map(lambda a: _repeated(beams, a, 0 if jnp.ndim(a) else -1), side))

    def score(log_p: jax.Array, n: Any) -> jax.Array:
        return log_p / ((5 + jnp.asarray(n, log_p.dtype)) / 6) ** alpha.astype(log_p.dtype)

    def choose(search: _Search, logits: jax.Array) -> _Search:
        p, live, ended, carry = search
        log_p = live.scores[..., None] + _by_beam(jax.nn.log_softmax(logits), beams)
        next_live, next_ended, parent = _extend(live, log_p, p, stop)
        n = (p + 1 - lengths)[:, None]
        ended = _best(beams, ended, next_ended._replace(scores=score(next_ended.scores, n)))
        # A row that is reading its prompt, or is at its end, stays as it is.
        still = ((p < lengths) | (p >= ends))[:, None]
        live, ended = (
            jax.tree.map(lambda a, b: jnp.where(_align(still, a), a, b), *pair)
            for pair in ((live, next_live), (search.ended, ended))
        )
        parent = jnp.where(still, jnp.arange(beams, dtype=parent.dtype)[None], parent)
        return _Search(p + 1, live, ended, _reordered(carry, axes, parent))

    def advance(search: _Search) -> _Search:
        last = jax.lax.dynamic_slice_in_dim(search.live.tokens, search.p - 1, 1, 2)
        last = last.reshape(-1, 1)
        carry, logits = step_logits(model, variables, search.carry, last, wide)
        return choose(search._replace(carry=carry), logits)

    def going(search: _Search) -> jax.Array:
        attainable = score(search.live.scores.max(1), steps)
        settled = (search.ended.scores.min(1) >= attainable) | (search.p >= ends)
        return ~settled.all()

    carry = start(model, variables, tokens, Context(side=side))
    carry, logits = step_logits(model, variables, carry, prompt[:, :shared], Context(side=side))
    carry = jax.tree.map(functools.partial(_repeated, beams), carry, axes)
    live, ended = _first(tokens, lengths, beams, logits.dtype)
    at = jnp.asarray(shared, jnp.int32)
    search = choose(_Search(at, live, ended, carry), _repeated(beams, logits, 0))
    search = jax.lax.while_loop(going, advance, search)
    n = jnp.minimum(search.p, ends) - lengths
    unstopped = search.live._replace(
        scores=score(search.live.scores, n[:, None]),
        lengths=jnp.broadcast_to((lengths + n)[:, None], search.live.lengths.shape),
    )
    return _best(beams, search.ended, unstopped)


def _first(tokens: jax.Array, lengths: jax.Array, beams: int, dtype: Any) -> tuple[Beams, Beams]:
    """Return one live beam a row, the prompt, and no ended one."""
    nothing = jnp.full((len(tokens), beams), -jnp.inf, dtype)
    wide = jnp.repeat(tokens[:, None], beams, 1)
    none = Beams(wide, nothing, jnp.repeat(lengths[:, None], beams, 1))
    return none._replace(scores=nothing.at[:, 0].set(0)), none


def _extend(
    live: Beams, log_p: jax.Array, p: jax.Array, stop: jax.Array | None
) -> tuple[Beams, Beams, jax.Array]:
    """Return the next live beams, what ends here, by log P, and the parents of the former."""
    batch, beams, classes = log_p.shape
    # At most one candidate a beam stops, so 2 K of them hold K that do not.
    count = min(2 * beams, beams * classes)
    values, index = jax.lax.top_k(log_p.reshape(batch, -1), count)
    parent, token = index // classes, (index % classes).astype(live.tokens.dtype)
    found = _picked(live, parent)
    found = Beams(found.tokens.at[:, :, p].set(token), values, jnp.full_like(found.lengths, p + 1))
    stops = jnp.zeros(token.shape, bool) if stop is None else token == stop
    alive, ended = (
        found._replace(scores=jnp.where(keep, values, -jnp.inf)) for keep in (~stops, stops)
    )
    _, which = jax.lax.top_k(alive.scores, beams)
    return _picked(alive, which), ended, jnp.take_along_axis(parent, which, 1)


def _best(beams: int, *found: Beams) -> Beams:
    together = Beams(*(jnp.concatenate(leaves, 1) for leaves in zip(*found, strict=True)))
    return _picked(together, jax.lax.top_k(together.scores, beams)[1])


def _picked(found: Beams, which: jax.Array) -> Beams:
    picked: Beams = jax.tree.map(
        lambda leaf: jnp.take_along_axis(leaf, _align(which, leaf), 1), found
    )
    return picked


def _align(index: jax.Array, leaf: jax.Array) -> jax.Array:
    return index.reshape(index.shape + (1,) * (leaf.ndim - index.ndim))


def _by_beam(rows: jax.Array, beams: int) -> jax.Array:
    return rows.reshape(-1, beams, *rows.shape[1:])


def _repeated(beams: int, leaf: Any, axis: int) -> Any:
    return leaf if axis < 0 else jnp.repeat(leaf, beams, axis)


def _reordered(carry: Carry, axes: Any, parent: jax.Array) -> Carry:
    batch, beams = parent.shape
    rows = (jnp.arange(batch, dtype=parent.dtype)[:, None] * beams + parent).reshape(-1)

    def leaf(old: Any, axis: int) -> Any:
        return old if axis < 0 else jnp.take(old, rows, axis=axis, mode="clip")

    return jax.tree.map(leaf, carry, axes)


def _batch_axes(model: Layer, variables: Variables, tokens: Any, side: dict[str, Any]) -> Any:
    """Return the batch axis of each leaf of the carry, -1 where it has none."""

    def resized(spec: jax.ShapeDtypeStruct, batch: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((batch, *spec.shape[1:]) if spec.shape else (), spec.dtype)

    def carry(batch: int) -> Any:
        x = resized(spec_of(tokens), batch)
        beside = jax.tree.map(lambda spec: resized(spec, batch), spec_of(side))
        return jax.eval_shape(lambda v, s: start(model, v, x, Context(side=s)), variables, beside)

    def axis(two: Any, three: Any) -> int:
        sizes = list(zip(two.shape, three.shape, strict=True))
        differing = [i for i, (a, b) in enumerate(sizes) if a != b]
        if len(differing) > 1 or (differing and sizes[differing[0]] != (2, 3)):
            raise ValueError(
                f"beam_search: a leaf of the carry of {model.name} is {describe(two)} for a batch "
                f"of 2 and {describe(three)} for 3; one axis must be the batch's, to follow beams"
            )
        return differing[0] if differing else -1

    return jax.tree.map(axis, carry(2), carry(3))

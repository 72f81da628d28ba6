"""Generation: a model continues a prompt by its own choices, one token at a time.

    z_p = model(y_0 ... y_{p-1}) at its last step,   y_p = sample(key_p, z_p)

The prompt is read as one stretch through the cell half of the model, then a compiled loop carries
what `step` hands on. Rows whose prompt is longer than the shortest go on reading it in the loop.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._core._checks import indices, positive
from .._core._layer import Carry, Context, Layer, Variables, fold
from .._core._specs import describe
from ._sampling import Filter, Sampler, greedy


class Generated(NamedTuple):
    """What `generate` returns.

    Attributes:
        tokens: int32 (batch, time + steps): each row its prompt, then what was chosen. Beyond
            `lengths` stands filler, the stop token or 0.
        lengths: int32 (batch,): real tokens of a row, the prompt and a stop token among them.
    """

    tokens: jax.Array
    lengths: jax.Array


class Prompt(NamedTuple):
    """A prompt that has been checked.

    Attributes:
        tokens: (batch, time), at least int32.
        lengths: (batch,): real tokens of each row.
        shared: how many tokens every row has, known before compiling.
    """

    tokens: jax.Array
    lengths: jax.Array
    shared: int


def generate(
    model: Layer,
    variables: Variables,
    prompt: Any,
    steps: int,
    *,
    key: jax.Array | None = None,
    sample: Sampler = greedy,
    stop: int | None = None,
    lengths: Any = None,
    **side: Any,
) -> Generated:
    """Continue prompts token by token, y_p = sample(key_p, model(y_0 ... y_{p-1})).

    One program: the prompt as one stretch, then a loop that ends when every row is done. A second
    call with the same model, sampler, shapes and shortest length compiles nothing. The model sees
    at most time + steps - 1 tokens, which its caches and positions must hold.

    Args:
        model: maps tokens (batch, time) to logits (batch, time, classes), and has `step`.
        variables: of the model.
        prompt: integers (batch, time), time at least 1.
        steps: how many tokens to choose a row at most.
        key: what `sample` draws with, a key of its own at each p.
        sample: chooses tokens from logits (batch, classes): `greedy`, `categorical(...)`.
        stop: a token after which a row is done.
        lengths: integers (batch,), how many tokens at the front of each row are its prompt; all
            unless given.
        **side: named extra inputs of the model, such as `memory=`, batch first.

    Raises:
        ValueError: a prompt or lengths of another shape, steps < 1, no key for a sampler that
            draws; a model that cannot run a stretch at a time, or answers other than with logits.
        TypeError: a prompt that does not hold integers; variables that are none.

    >>> from laminax import nn
    >>> chain = nn.embedding(4, 4)    # a Markov chain: row i holds the logits of what follows i
    >>> variables = nn.Variables({"table": jnp.roll(jnp.eye(4), 1, axis=1)}, {})
    >>> nn.decoding.generate(chain, variables, jnp.array([[3, 0], [1, 2]]), 3).tokens.tolist()
    [[3, 0, 1, 2, 3], [1, 2, 3, 0, 1]]
    """
    read = checked_prompt("generate", model, variables, prompt, lengths, steps, stop)
    if isinstance(sample, Filter):
        raise TypeError(
            f"generate: sample must choose tokens, but {sample} only changes logits; "
            f"give categorical({sample})"
        )
    if key is None and sample is not greedy:
        raise ValueError(
            f"generate: {sample!r} needs a key to draw with, got key=None; "
            "give key=jax.random.key(seed)"
        )
    generated: Generated = _generate(
        model, variables, read.tokens, read.lengths, stop, key, side, steps, sample, read.shared
    )
    return generated


@functools.partial(jax.jit, static_argnames=("model", "steps", "sample", "shared"))
def _generate(
    model: Layer,
    variables: Variables,
    prompt: jax.Array,
    lengths: jax.Array,
    stop: jax.Array | None,
    key: jax.Array | None,
    side: dict[str, Any],
    steps: int,
    sample: Sampler,
    shared: int,
) -> Generated:
    ctx, variables = Context(side=side), apart(model, variables)
    tokens, ends = widened(prompt, lengths, steps, stop), lengths + steps
    own_key = None if key is None else fold(key, "generate")

    def choose(tokens: jax.Array, ends: jax.Array, logits: jax.Array, p: Any) -> Any:
        drawn = sample(None if own_key is None else jax.random.fold_in(own_key, p), logits)
        here = jax.lax.dynamic_index_in_dim(tokens, p, 1, keepdims=False)
        chosen = (p >= lengths) & (p < ends)
        token = jnp.where(chosen, drawn.astype(tokens.dtype), here)
        if stop is not None:
            ends = jnp.where(chosen & (token == stop), p + 1, ends)
        return jax.lax.dynamic_update_index_in_dim(tokens, token, p, 1), ends

    def going(loop: Any) -> Any:
        p, _, ends, _ = loop
        return p < ends.max()

    def advance(loop: Any) -> Any:
        p, tokens, ends, carry = loop
        last = jax.lax.dynamic_slice_in_dim(tokens, p - 1, 1, 1)
        carry, logits = step_logits(model, variables, carry, last, ctx)
        return p + 1, *choose(tokens, ends, logits, p), carry

    carry = start(model, variables, tokens, ctx)
    carry, logits = step_logits(model, variables, carry, prompt[:, :shared], ctx)
    tokens, ends = choose(tokens, ends, logits, shared)
    loop = jnp.asarray(shared + 1, jnp.int32), tokens, ends, carry
    _, tokens, ends, _ = jax.lax.while_loop(going, advance, loop)
    return Generated(tokens, ends)


def checked_prompt(
    kind: str,
    model: Layer,
    variables: Variables,
    prompt: Any,
    lengths: Any,
    steps: int,
    stop: int | None,
) -> Prompt:
    """Return the prompt, having checked all that types, shapes and values tell beforehand."""
    positive(kind, "steps", steps)
    if not isinstance(variables, tuple) or len(variables) != 2:
        raise TypeError(
            f"{kind}: variables must be Variables(params, state), got {type(variables).__name__}; "
            "pass what init returned, or result.variables"
        )
    if model.step is None or model.start is None:
        raise ValueError(
            f"{kind}: {model.name} has no step, since it mixes time steps, so it cannot run a "
            "token at a time"
        )
    if stop is not None and (not isinstance(stop, int) or isinstance(stop, bool) or stop < 0):
        raise ValueError(f"{kind}: stop must be a token, an integer of at least 0, got {stop!r}")
    tokens = jnp.asarray(prompt)
    if not jnp.issubdtype(tokens.dtype, jnp.integer):
        raise TypeError(f"{kind}: prompt must hold integers, got {describe(tokens)}; cast tokens")
    if tokens.ndim != 2 or not tokens.size:
        raise ValueError(
            f"{kind}: prompt must be (batch, time) of at least one token, got {describe(tokens)}; "
            "a model that starts from nothing is given a token that means so"
        )
    batch, time = tokens.shape
    if lengths is None:
        return Prompt(indices(tokens), jnp.full(batch, time, jnp.int32), time)
    lengths = jnp.asarray(lengths)
    if lengths.shape != (batch,) or not jnp.issubdtype(lengths.dtype, jnp.integer):
        raise ValueError(
            f"{kind}: lengths must be integers of shape ({batch},), got {describe(lengths)}"
        )
    if isinstance(lengths, jax.core.Tracer):
        return Prompt(indices(tokens), lengths.astype(jnp.int32), 1)
    least, most = int(np.min(lengths)), int(np.max(lengths))
    if least < 1 or most > time:
        raise ValueError(
            f"{kind}: lengths must lie in [1, {time}], the time axis of the prompt, got "
            f"{least if least < 1 else most}"
        )
    return Prompt(indices(tokens), lengths.astype(jnp.int32), least)


def widened(prompt: jax.Array, lengths: jax.Array, steps: int, stop: jax.Array | None) -> jax.Array:
    """Return the prompt with room for `steps` more tokens, and filler wherever it is not real."""
    filler = jnp.asarray(0 if stop is None else stop, prompt.dtype)
    tokens = jnp.pad(prompt, ((0, 0), (0, steps)))
    real = jnp.arange(tokens.shape[1], dtype=lengths.dtype)[None] < lengths[:, None]
    return jnp.where(real, tokens, filler)


def apart(model: Layer, variables: Variables) -> Variables:
    """Return the variables as steps read them fastest: taken apart once, and not at every token."""
    return model._apart(variables) if model._apart else variables


def start(model: Layer, variables: Variables, tokens: Any, ctx: Context) -> Carry:
    """Return the carry for all of `tokens` but the last, which nothing follows."""
    assert model.start is not None
    batch, time = tokens.shape
    return model.start(variables, jax.ShapeDtypeStruct((batch, time - 1), tokens.dtype), ctx)


def step_logits(
    model: Layer, variables: Variables, carry: Carry, tokens: jax.Array, ctx: Context
) -> tuple[Carry, jax.Array]:
    """Read a stretch; return the carry and the last logits, in at least float32."""
    assert model.step is not None
    carry, y = model.step(variables, carry, tokens, ctx)
    if not hasattr(y, "shape") or y.ndim != 3 or y.shape[:2] != tokens.shape:
        raise ValueError(
            f"{model.name}: decoding needs logits (batch, time, classes), got {describe(y)} for "
            f"tokens {describe(tokens)}"
        )
    with jax.numpy_dtype_promotion("standard"):
        return carry, y[:, -1].astype(jnp.promote_types(y.dtype, jnp.float32))

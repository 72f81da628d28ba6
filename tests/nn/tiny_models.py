"""Tiny models of logits for the tests of decoding, and what decoding must find, by full passes."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from laminax import nn

VOCABULARY = 4
_ROWS, _TIME = 256, 14


def recurrence(size):
    """h_t = tanh(h_{t-1} A + x_t + side `bias`), written out; its carry has the batch on axis 1."""

    def init(key, x, **side):
        w = jax.random.normal(key, (x.shape[-1], x.shape[-1])) * 0.8
        return nn.Variables({"w": w}, {})

    def run(w, h, x, ctx):
        bias = ctx.side.get("bias", jnp.zeros(x.shape[::2]))

        def one(h, x):
            h = jnp.tanh(h @ w + x + bias)
            return h, h

        h, y = jax.lax.scan(one, h, jnp.swapaxes(x, 0, 1))
        return h, jnp.swapaxes(y, 0, 1)

    def apply(params, state, x, ctx):
        return run(params["w"], jnp.zeros(x.shape[::2], x.dtype), x, ctx)[1], state

    def start(variables, x, ctx):
        return {"h": jnp.zeros((1, *x.shape[::2]), x.dtype), "steps": jnp.zeros((), jnp.int32)}

    def step(variables, carry, x, ctx):
        h, y = run(variables.params["w"], carry["h"][0], x, ctx)
        return {"h": h[None], "steps": carry["steps"] + x.shape[1]}, y

    return nn.Layer(init, apply, "recurrence", start=start, step=step)


def recurrent():
    """Two recurrences on top of each other, stacked by `repeat`, which adds an axis to carries."""
    return nn.serial(
        nn.embedding(VOCABULARY, 5, init=nn.initializers.normal(1.0)),
        nn.repeat(recurrence(5), 2),
        nn.dense(VOCABULARY, init=nn.initializers.normal(2.0)),
    )


def transformer():
    return nn.gpt(VOCABULARY, layers=2, heads=2, features=4, context=16)


def made(model, seed=0):
    """Return variables that decide: freshly made ones of a transformer are nearly indifferent."""
    variables = model.init(jax.random.key(seed), jnp.zeros((1, 16), jnp.int32))
    random = np.random.default_rng(seed)
    return jax.tree.map(lambda p: p + random.normal(size=p.shape).astype(p.dtype), variables)


def log_p(model, variables, tokens, **side):
    """Return log P of the next token at every step, by one full pass, in NumPy.

    Always of one shape, so that a model is compiled once: causal models do not see what follows.
    """
    batch, time = np.shape(tokens)
    room = np.zeros((_ROWS, _TIME), np.int32)
    room[:batch, :time] = tokens
    side = {name: np.resize(a, (_ROWS, *a.shape[1:])) for name, a in side.items()}
    logits = np.asarray(jax.jit(model)(variables, room, **side), np.float64)[:batch, :time]
    top = logits.max(-1, keepdims=True)
    return logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))


def continued(model, variables, prompt, steps, choose, stop=None, lengths=None, **side):
    """Continue each row by itself, each token by a full pass over all before it."""
    batch, time = np.shape(prompt)
    lengths = [time] * batch if lengths is None else lengths
    tokens = np.full((batch, time + steps), 0 if stop is None else stop)
    for row, n in enumerate(lengths):
        tokens[row, :n] = prompt[row][:n]
    ends = np.array([n + steps for n in lengths])
    for row, n in enumerate(lengths):
        for p in range(n, n + steps):
            tokens[row, p] = choose(p, row, log_p(model, variables, tokens, **side)[row, p - 1])
            if tokens[row, p] == stop:
                ends[row] = p + 1
                break
    return tokens, ends


def exhaustive(model, variables, prompt, steps, stop=None, alpha=0.0, **side):
    """Return every continuation of one prompt, the best first: [(score, tokens)]."""
    runs = np.array(list(itertools.product(range(VOCABULARY), repeat=steps)))
    tokens = np.concatenate([np.tile(prompt, (len(runs), 1)), runs], 1)
    side = {name: np.repeat(a, len(runs), 0) for name, a in side.items()}
    table = log_p(model, variables, tokens, **side)
    found = {}
    for row, run in enumerate(runs):
        n = list(run).index(stop) + 1 if stop in run else steps
        at = len(prompt) + np.arange(n)
        score = table[row, at - 1, run[:n]].sum() / ((5 + n) / 6) ** alpha
        found[tuple(run[:n])] = score
    return sorted(((score, run) for run, score in found.items()), reverse=True)

"""How cost grows with depth and with length: `python -m benchmarks.scaling --help`.

Depth: to compile `repeat(block, n)`, whose body is compiled once whatever n is. Length: to decode
one token with a cache of so many, whose only part that may grow is the attention.
"""

import argparse
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp

from laminax import nn

from ._machine import machine

DEPTHS = (2, 8, 64)
CACHES = (64, 256, 1024, 4096)
LAYERS, HEADS, FEATURES, VOCABULARY = 6, 6, 384, 65
TOKENS = 32  # decoded in one program


def compile_seconds(depth: int) -> float:
    """Time to trace and compile a transformer of so many blocks, from empty caches."""
    block = nn.encoder_block(nn.attention(HEADS), nn.feed_forward(4 * FEATURES))
    model, x = nn.repeat(block, depth), jax.ShapeDtypeStruct((2, 64, FEATURES), jnp.float32)
    variables = jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros(x.shape, x.dtype)))

    def gradient(variables: nn.Variables, x: Any) -> Any:
        return jax.grad(lambda params: model.apply(params, {}, x, nn.Context())[0].sum())(
            variables.params
        )

    jax.clear_caches()
    start = time.perf_counter()
    jax.jit(gradient).lower(variables, x).compile()
    return time.perf_counter() - start


def seconds_of(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - start


def generating(model: nn.Layer, cache: int) -> Callable[[], float]:
    """Return what times a token, seconds: the last of the cache, less the prompt's own time."""
    prompt = jnp.zeros((1, cache - TOKENS), int)
    variables = jax.jit(model.init)(jax.random.key(0), prompt)

    def seconds() -> float:
        long, short = (
            seconds_of(lambda steps=steps: nn.decoding.generate(model, variables, prompt, steps))
            for steps in (TOKENS + 1, 1)
        )
        return (long - short) / TOKENS

    seconds()
    return seconds


def attending(cache: int) -> Callable[[], float]:
    """Return what times a token of the attention layers alone, in seconds."""
    model, x = nn.serial(*[nn.attention(HEADS, causal=True)] * LAYERS), jnp.ones((1, 1, FEATURES))
    variables = jax.jit(model.init)(jax.random.key(0), x)
    carry = model.start(variables, jnp.ones((1, cache, FEATURES)), nn.Context())

    @jax.jit
    def run(variables: nn.Variables, carry: Any) -> Any:
        return jax.lax.scan(
            lambda carry, _: model.step(variables, carry, x, nn.Context()), carry, length=TOKENS
        )[1]

    jax.block_until_ready(run(variables, carry))
    return lambda: seconds_of(lambda: run(variables, carry)) / TOKENS


def rounds(contenders: dict[Any, Callable[[], float]], n: int) -> dict[Any, list[float]]:
    """Time the contenders in turn, n times."""
    found: dict[Any, list[float]] = {name: [] for name in contenders}
    for _ in range(n):
        for name, measure in contenders.items():
            found[name].append(measure())
    return found


def depth_table(n: int) -> str:
    """Seconds to compile, by depth."""
    found = rounds({depth: (lambda depth=depth: compile_seconds(depth)) for depth in DEPTHS}, n)
    first = found[DEPTHS[0]]
    ratios = {
        depth: median(a / b for a, b in zip(seconds, first, strict=True))
        for depth, seconds in found.items()
    }
    rows = [f"| {d} | {median(found[d]):.2f} | {ratios[d]:.2f} |" for d in DEPTHS]
    head = ["| blocks | median s to compile | ratio |", "|---|---|---|"]
    return "\n".join(["## Compiling `repeat(block, n)` and its gradient", "", *head, *rows]) + "\n"


def length_table(n: int) -> str:
    """Milliseconds a token, by length of the cache, of the model and of its attention alone."""
    size = {"layers": LAYERS, "heads": HEADS, "features": FEATURES}
    contenders = {}
    for cache in CACHES:
        contenders["model", cache] = generating(
            nn.gpt(VOCABULARY, context=cache + 1, **size), cache
        )
        contenders["attention", cache] = attending(cache)
    found = rounds(contenders, n)
    times = {name: 1e3 * median(seconds) for name, seconds in found.items()}
    rows = [_length_row(times, cache) for cache in CACHES]
    columns = ("tokens in the cache", "model ms", "its attention ms", "the rest ms")
    head = ["| " + " | ".join(columns) + " |", "|---|---|---|---|"]
    name = f"GPT, {LAYERS} blocks, {HEADS} heads, {FEATURES} features, one sequence"
    return "\n".join([f"## Decoding a token: {name}", "", *head, *rows]) + "\n"


def _length_row(times: dict[Any, float], cache: int) -> str:
    model, attention = times["model", cache], times["attention", cache]
    return f"| {cache} | {model:.3f} | {attention:.3f} | {model - attention:.3f} |"


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="timings of each")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("SCALING.md"))
    options = parser.parse_args(arguments)
    command = shlex.join(["python", "-m", "benchmarks.scaling", *arguments])
    head = f"# How cost grows\n\nWritten by `{command}`.\n\n{machine()}"
    text = "\n".join([head, depth_table(options.rounds), length_table(4 * options.rounds)])
    print(text)
    options.out.write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])

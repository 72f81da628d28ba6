"""What helps against overfitting: `python -m benchmarks.regularization --help`."""

import argparse
import functools
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from laminax import nn, train

from ._machine import machine
from ._regularizers import BASELINE, HIDDEN, METHODS, RATE, STEPS, Method, Recipe

EXAMPLES, VALIDATION, BATCH = 500, 2000, 50
TRIED = range(1000, 1008)  # the seeds by which strengths are chosen

Batch = tuple[Any, Any]


class Parts(NamedTuple):
    """The data, none of which is in two parts."""

    pool: Batch  # of which each seed draws its few examples
    validation: Batch
    test: Batch


class Trained(NamedTuple):
    """One network, or many on a leading axis."""

    variables: nn.Variables
    error: jax.Array  # the share of its own examples that it reads wrong


Run = Callable[[Sequence[int], Sequence[float], Batch], Trained]


class Outcome(NamedTuple):
    """What a method reached, by seed, at the strength chosen."""

    strength: float
    test: NDArray[np.float64]  # % of the test images read wrong
    train: NDArray[np.float64]  # % of its own training images


def member(method: Method) -> Callable[[jax.Array, Any, Batch], Trained]:
    """Return the training of one network, a pure function of its seed, strength and the pool."""

    def trained(seed: jax.Array, strength: Any, pool: Batch) -> Trained:
        key = jax.random.key(seed)
        recipe = method.recipe(strength, jax.random.fold_in(key, 1))
        rows = train.data.index(jax.random.fold_in(key, 2), 0, EXAMPLES, len(pool[1]))
        data = train.data.gather(pool, rows)
        params, state = recipe.objective.init(key, data)
        zero = jnp.zeros((), jnp.int32)
        start = train.TrainState(zero, params, state, recipe.optimizer.init(params), key)
        variables = (stopped if recipe.held_out else whole)(recipe, start, data)
        return Trained(variables, wrong(recipe.model, variables, data) / EXAMPLES)

    return trained


def wrong(model: nn.Layer, variables: nn.Variables, data: Batch) -> jax.Array:
    """How many of the examples the model reads wrong."""
    return (model(variables, data[0]).argmax(-1) != data[1]).sum()


def whole(recipe: Recipe, state: train.TrainState, data: Batch) -> nn.Variables:
    """What to evaluate with after all the steps."""
    return advanced(recipe, state, data, STEPS).variables


def advanced(recipe: Recipe, state: train.TrainState, data: Batch, steps: int) -> train.TrainState:
    """The state after so many more steps over the stream of batches."""
    step, n = train.step(recipe.objective, recipe.optimizer), len(data[1])

    def one(state: train.TrainState, _: None) -> tuple[train.TrainState, None]:
        rows = train.data.index(state.data_key, state.step, BATCH, n)
        return step(state, train.data.gather(data, rows))[0], None

    return jax.lax.scan(one, state, length=steps)[0]


def stopped(recipe: Recipe, state: train.TrainState, data: Batch) -> nn.Variables:
    """What to evaluate with after the epoch whose loss on the examples held out is the least."""
    held = jax.tree.map(lambda a: a[: recipe.held_out], data)
    rest = jax.tree.map(lambda a: a[recipe.held_out :], data)
    steps = len(rest[1]) // BATCH  # of an epoch

    def epoch(carry: Any, _: None) -> tuple[Any, None]:
        state, best, least = carry
        state = advanced(recipe, state, rest, steps)
        loss = recipe.objective.loss(*state.variables, held, nn.Context())[0].mean()
        best = jax.tree.map(
            lambda new, old: jnp.where(loss < least, new, old), state.variables, best
        )
        return (state, best, jnp.minimum(loss, least)), None

    start = (state, state.variables, jnp.full((), jnp.inf))
    best: nn.Variables = jax.lax.scan(epoch, start, length=STEPS // steps)[0][1]
    return best


def programs(method: Method) -> Run:
    """Return what trains many seeds as one program, of several strengths where they are traced."""
    one = member(method)

    @functools.cache
    def of(strength: float | None) -> Callable[..., Trained]:
        known = one if strength is None else lambda seed, _, data: one(seed, strength, data)
        return jax.jit(jax.vmap(known, (0, 0, None)))

    def run(seeds: Sequence[int], strengths: Sequence[float], data: Batch) -> Trained:
        program = of(None if method.traced else strengths[0])
        return program(jnp.array(seeds), jnp.array(strengths, float), data)

    return run


def errors(model: nn.Layer, variables: nn.Variables, data: Batch) -> NDArray[np.float64]:
    """% of the examples that each member reads wrong."""

    @jax.jit
    def counted(variables: nn.Variables, data: Batch) -> jax.Array:
        return jax.vmap(lambda member: wrong(model, member, data))(variables)

    n = len(data[1])
    cuts = [slice(i, i + VALIDATION) for i in range(0, n, VALIDATION)]
    counts = [counted(variables, jax.tree.map(lambda a, cut=cut: a[cut], data)) for cut in cuts]
    return 100 * np.sum(np.array(counts, np.float64), axis=0) / n


def chosen(method: Method, run: Run, data: Parts) -> float:
    """The strength whose mean error on the validation examples is the least."""
    if len(method.strengths) == 1:
        return method.strengths[0]
    pairs = [[(seed, strength) for seed in TRIED] for strength in method.strengths]
    found: list[float] = []
    groups = [[pair for group in pairs for pair in group]] if method.traced else pairs
    for group in groups:
        seeds, strengths = zip(*group, strict=True)
        variables = run(seeds, strengths, data.pool).variables
        percent = errors(model_of(method, strengths[0]), variables, data.validation)
        found += percent.reshape(-1, len(TRIED)).mean(1).tolist()
    print("   tried", dict(zip(method.strengths, np.round(found, 2).tolist(), strict=True)))
    return method.strengths[int(np.argmin(found))]


def outcome(method: Method, seeds: int, data: Parts) -> Outcome:
    """The strength chosen, and what all seeds reach with it."""
    run = programs(method)
    strength = chosen(method, run, data)
    trained = run(range(seeds), [strength] * seeds, data.pool)
    test = errors(model_of(method, strength), trained.variables, data.test)
    return Outcome(strength, test, 100 * np.asarray(trained.error, np.float64))


def model_of(method: Method, strength: float) -> nn.Layer:
    return method.recipe(strength, jax.random.key(0)).model


def mnist() -> Parts:
    """The training images but those to choose strengths by, these, and the test images."""
    training, test = train.data.mnist()[1:3]
    validation, pool = train.data.split(training, VALIDATION / len(training[1]))
    return Parts(*jax.tree.map(jnp.asarray, (pool, validation, test)))


def head(command: str, seeds: int) -> str:
    """What was done, and on what, as Markdown."""
    return f"""\
# Against overfitting

Written by `{command}`.

An MLP with {HIDDEN} ReLU units learns MNIST from {EXAMPLES} images by {STEPS} steps of Adam, batch
{BATCH}, in float32; the rate falls from {RATE(0):.3g} to 0 along half a cosine. So it is for every
method, and one thing is added.

A seed decides its {EXAMPLES} images, the first parameters, the order of the data and the noise.
The {seeds} seeds of a method are trained as one program by `vmap` over `train.step`. Strengths are
those of the least mean error on {VALIDATION} other training images, of {len(TRIED)} other seeds;
early stopping has nothing but its {EXAMPLES}, some of which it holds out. The 10,000 test images
are read once, for this table.

± is the standard error of the mean over seeds; a difference is the mean of those of equal seeds,
which have the same images, from the network without any method.

{machine()}"""


def table(found: Mapping[str, Outcome]) -> str:
    """The methods as Markdown, the least error first."""
    columns = ("method", "test error %", "difference", "training error %", "chosen", "of")
    order = sorted(found, key=lambda name: found[name].test.mean())
    rows = [_row(name, found[name], found[BASELINE]) for name in order]
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns), *rows]
    return "\n".join(lines) + "\n"


def _row(name: str, outcome: Outcome, baseline: Outcome) -> str:
    method, here = METHODS[name], name == BASELINE
    values = ", ".join(f"{strength:g}" for strength in method.strengths)
    cells = [
        f"**{name}**" if here else name,
        _mean(outcome.test),
        "" if here else _mean(outcome.test - baseline.test, "+"),
        f"{outcome.train.mean():.2f}",
        f"{method.what} = {outcome.strength:g}" if method.what else "",
        values if method.what else "",
    ]
    return f"| {' | '.join(cells)} |"


def _mean(values: NDArray[np.float64], sign: str = "") -> str:
    error = values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():{sign}.2f} ± {error:.2f}"


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.regularization", description=__doc__)
    names = [name for name in METHODS if name != BASELINE]
    parser.add_argument("--only", choices=names, nargs="*", default=names, metavar="METHOD")
    parser.add_argument("--seeds", type=int, default=32)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("REGULARIZATION.md"))
    options = parser.parse_args(arguments)
    if options.seeds < 2:
        parser.error(f"--seeds: got {options.seeds}, expected 2 or more")
    data, found = mnist(), {}
    for name in (BASELINE, *options.only):
        start = time.perf_counter()
        found[name] = outcome(METHODS[name], options.seeds, data)
        taken = time.perf_counter() - start
        print(f"{_row(name, found[name], found[BASELINE])} {taken:.0f} s", flush=True)
    command = shlex.join(["python", "-m", "benchmarks.regularization", *arguments])
    text = head(command, options.seeds) + "\n" + table(found)
    options.out.write_text(text)
    print("\n" + text)


if __name__ == "__main__":
    main(sys.argv[1:])

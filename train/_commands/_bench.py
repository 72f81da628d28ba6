"""`laminax bench`: how fast a recipe trains on this machine."""

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from .._chunk import LONGEST, Program, chunk
from .._feed import Resident
from .._loop import steps_for
from .._objective import batch_spec
from .._report import recipe_name
from .._speed import counted, memory, peak, step_flops
from .._state import TrainState, init
from ._train import Recipe, recipe_of

_ROUND = 0.5  # s


@dataclass(frozen=True)
class Bench:
    """Time a recipe's training steps; nothing is kept."""

    recipe: Recipe
    seconds: float = 10.0
    """How long to train for, after the compilation."""

    def run(self) -> None:
        """Print the times, and how near they come to the device's peak where that is known."""
        recipe, config = recipe_of(self.recipe), self.recipe
        data, _ = recipe.examples(config)
        epochs, size = getattr(config, "epochs", 1), config.batch_size
        steps = steps_for(data, epochs=epochs, batch_size=size)
        objective, optimizer = recipe.objective(config), recipe.optimizer(config, steps)
        feed = Resident(data, None, size)
        state = init(objective, optimizer, data, seed=config.seed)
        flops = step_flops(objective, optimizer, state, batch_spec(data, size))
        program = Program(objective, optimizer, feed.take_batch)
        began = time.perf_counter()
        state, _ = jax.block_until_ready(chunk(program, state, feed.take(1)[0], np.int32(0)))
        compiled = time.perf_counter() - began
        times = list(_times(program, feed, state, self.seconds))
        median = statistics.median(times)
        name, device = recipe_name(config), jax.devices()[0].device_kind
        least, most = (1e3 * bound for bound in (min(times), max(times)))
        rate, speed = counted(size / median), counted(flops / median)
        print(f"{name} on {device}, batches of {size}")
        print(f"  compilation  {compiled:.2f} s")
        print(f"  a step       {1e3 * median:.3g} ms, {least:.3g} to {most:.3g}")
        print(f"  speed        {rate} examples/s, {speed}FLOP/s")
        if (limit := peak(1)) is not None:
            print(f"  of the peak  {flops / median / limit:.1%} of {counted(limit)}FLOP/s")
        if (held := memory()) is not None:
            print(f"  memory       {held / 2**20:,.0f} MiB at most")


def _times(program: Program, feed: Resident, state: TrainState, seconds: float) -> Iterator[float]:
    """Seconds a step, of rounds of about half a second each, the first one not counted."""
    n = 1

    def take(state: TrainState) -> tuple[Any, float]:
        began = time.perf_counter()
        state, _ = jax.block_until_ready(chunk(program, state, feed.take(n)[0], np.int32(n)))
        return state, (time.perf_counter() - began) / n

    for _ in range(3):
        state, each = take(state)
        n = max(1, min(LONGEST, int(_ROUND / each)))
    ended = time.perf_counter() + seconds
    while True:
        state, each = take(state)
        yield each
        if time.perf_counter() > ended:
            return

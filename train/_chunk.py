"""Many steps as one program: (state, data, n) → (state, sums and counts of each step).

A loop with a traced n over a fixed buffer compiles once and serves every n up to its length, so
that the host may stop between chunks wherever it likes; what is computed does not depend on where.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ._compiled import compiled_for
from ._feed import Weights
from ._layout import Layout
from ._objective import Batch, Objective
from ._state import TrainState
from ._step import Sums, summing_step

LONGEST = 1024  # steps a chunk may hold: the length of the buffer


@dataclass(frozen=True)
class Program:
    """What a chunk is compiled for: equal programs share one compile."""

    objective: Objective
    optimizer: optax.GradientTransformation
    take_batch: Callable[[Any, TrainState, jax.Array], tuple[Batch, Weights]]
    microbatches: int = 1
    layout: Layout | None = None

    def batch(self, data: Any, state: TrainState, i: jax.Array) -> tuple[Batch, Weights]:
        """Return the batch of the i-th step, in parts over the devices where there is a layout."""
        batch = self.take_batch(data, state, i)
        return batch if self.layout is None else self.layout.constrain_batch(batch)

    def laid(self, state: TrainState) -> TrainState:
        """Return the state, on the devices where the layout says."""
        return state if self.layout is None else self.layout.constrain_state(state)


@compiled_for(1, donate=0)
def chunk(program: Program, state: TrainState, data: Any, n: jax.Array) -> tuple[TrainState, Sums]:
    """Take n ≤ LONGEST steps over what the feed has; rows from n on stay zero."""
    advance = summing_step(program.objective, program.optimizer, program.microbatches)

    def one(state: TrainState, i: jax.Array) -> tuple[TrainState, Sums]:
        state, sums = advance(state, *program.batch(data, state, i))
        return program.laid(state), sums

    def body(i: jax.Array, carry: tuple[TrainState, Sums]) -> tuple[TrainState, Sums]:
        state, rows = carry
        state, sums = one(state, i)
        return state, jax.tree.map(lambda row, value: row.at[i].set(value), rows, sums)

    after, sums = jax.eval_shape(one, state, n)
    _check_stable(state, after)
    rows = jax.tree.map(lambda s: jnp.zeros((LONGEST, *s.shape), s.dtype), sums)
    state, rows = jax.lax.fori_loop(0, n, body, (state, rows))
    return program.laid(state), rows


def _check_stable(before: TrainState, after: Any) -> None:
    """Raise where a step would change the structure, a shape or a dtype of its own state."""
    old_tree, new_tree = str(jax.tree.structure(before)), str(jax.tree.structure(after))
    if old_tree != new_tree:
        raise TypeError(
            f"step: changes the structure of the training state from {old_tree} to {new_tree}; a "
            "layer must return the state it was given with the same entries"
        )
    for (path, old), new in zip(
        jax.tree_util.tree_leaves_with_path(before), jax.tree.leaves(after), strict=True
    ):
        if old.shape != new.shape or old.dtype != new.dtype:
            where = jax.tree_util.keystr(path, simple=True, separator="/")
            raise TypeError(
                f"step: changes {where} from {old.dtype}{list(old.shape)} to "
                f"{new.dtype}{list(new.shape)}; cast it back to what it was"
            )

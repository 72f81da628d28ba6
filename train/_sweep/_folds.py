"""Cross-validation by index arithmetic on one copy of the data.

With a permutation π of the N examples, fold f of k holds out π[s_f], ..., π[s_{f+1} − 1],
s_f = ⌊f N / k⌋, and slot j of its n = N − ⌈N / k⌉ training rows is π[j] below s_f and
π[j + s_{f+1} − s_f] from there on. Where k does not divide N some folds could train on one row more
and leave it out, so that one program serves them all.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Folds:
    """k folds of so many examples."""

    examples: int
    k: int

    @property
    def held_out(self) -> int:
        """The size of the largest fold."""
        return -(-self.examples // self.k)

    @property
    def training(self) -> int:
        """n, the number of rows that each fold trains on."""
        return self.examples - self.held_out

    def train_rows(self, fold: jax.Array, slots: jax.Array) -> jax.Array:
        """Rows of the data in the training slots 0 ≤ slots < n of a fold."""
        starts = self._starts()
        start, end = starts[fold], starts[fold + 1]
        return self._order()[jnp.where(slots < start, slots, slots + (end - start))]

    def test_rows(self, fold: jax.Array, slots: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Rows in the held-out slots of a fold, and whether it has so many."""
        starts = self._starts()
        start, end = starts[fold], starts[fold + 1]
        rows = self._order()[jnp.minimum(start + slots, end - 1)]
        return rows, start + slots < end

    def _starts(self) -> jax.Array:
        starts = [f * self.examples // self.k for f in range(self.k + 1)]
        return jnp.asarray(np.asarray(starts, np.int32))

    def _order(self) -> jax.Array:
        return jnp.asarray(order(self.examples))


def order(examples: int) -> NDArray[np.int32]:
    """The permutation π, always the same: data may be sorted by class.

    The legacy generator, because NumPy freezes its stream and no other.
    """
    return np.random.RandomState(0).permutation(examples).astype(np.int32)

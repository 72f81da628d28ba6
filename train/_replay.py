"""Going to a step of a run again, to look at what happened there.

A state holds the step and the key, so a run over the same data goes the same way from it, to the
bit. Where a loss was not finite, that shows what was not finite first: the parameters before the
step, the loss of some examples, or only gradients.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from laminax._paths import listed, paths
from laminax.nn import Context

from ._check import check_kind, check_optimizer, checked_batch_size, checked_count, checked_data
from ._chunk import LONGEST, Program, chunk
from ._feed import Resident
from ._objective import Batch, Objective
from ._state import TrainState, copied, part_key
from .data import gather, index


class Replay(NamedTuple):
    """What there was at a step; prints as a report.

    Attributes:
        step: which one, counted from 0.
        state: the training state before it.
        batch: its batch.
        rows: the batch's rows in the data.
        parameters: the paths of parameters that are not finite before the step.
        examples: the rows whose loss is not finite.
        gradients: the paths of parameters whose gradient is not finite.
    """

    step: int
    state: TrainState
    batch: Batch
    rows: NDArray[np.int32]
    parameters: tuple[str, ...]
    examples: tuple[int, ...]
    gradients: tuple[str, ...]

    def __str__(self) -> str:
        """What was not finite, the first cause first."""
        found = {
            "parameters before it": self.parameters,
            "the loss of the rows": tuple(map(str, self.examples)),
            "gradients": self.gradients,
        }
        told = [f"  {what}: {listed(names)}" for what, names in found.items() if names]
        return "\n".join([f"step {self.step}: not finite:", *(told or ["  nothing"])])


def replay(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    data: Batch,
    state: TrainState,
    step: int,
    *,
    batch_size: int = 128,
    microbatches: int = 1,
) -> Replay:
    """Go on from a state up to a step, as `fit` did, and look at what is not finite there.

    Args:
        objective: what was minimized.
        optimizer: the run's optimizer.
        data: the run's data, arrays.
        state: where to begin, at or before the step: `train.init` with the run's seed, or one from
            a checkpoint.
        step: counted from 0; `error.step` of `Diverged`.
        batch_size: the run's.
        microbatches: the run's.

    Raises:
        TypeError, ValueError: bad arguments or data; a state that is past the step.

    >>> import jax.numpy as jnp
    >>> from laminax import nn, optim, train
    >>> x = jnp.linspace(0, 1, 8)[:, None]
    >>> data = x, jnp.log(jnp.where(x > 0, x, -1))  # NaN in row 0, which no check has seen
    >>> objective = train.supervised(nn.dense(1), nn.losses.squared_error)
    >>> state = train.init(objective, optim.sgd(0.1), data)
    >>> found = train.replay(objective, optim.sgd(0.1), data, state, 0, batch_size=8)
    >>> print(found)
    step 0: not finite:
      the loss of the rows: 0
      gradients: b, w
    """
    check_kind("replay", "objective", objective, Objective, "use train.supervised(model, loss)")
    check_kind("replay", "state", state, TrainState, "use train.init with the run's seed")
    check_optimizer("replay", optimizer)
    size = checked_batch_size("replay", batch_size, checked_data("replay", data, finite=False))
    microbatches = checked_count("replay", "microbatches", microbatches)
    begun = int(state.step)
    if not begun <= step:
        raise ValueError(
            f"replay: the state is at step {begun}, past step {step}; give an earlier one"
        )
    feed = Resident(data, None, size)
    program = Program(objective, optimizer, feed.take_batch, microbatches)
    state = copied(state)
    while int(state.step) < step:
        n = min(step - int(state.step), LONGEST)
        state, _ = chunk(program, state, feed.take(n)[0], np.int32(n))
    rows = np.asarray(index(state.data_key, step, size, feed.examples))
    batch = gather(data, jnp.asarray(rows))
    losses, grads = _looked(objective, state, batch)
    return Replay(
        step,
        state,
        batch,
        rows,
        _bad(state.params),
        tuple(rows[~np.isfinite(losses)].tolist()),
        _bad(grads),
    )


def _looked(objective: Objective, state: TrainState, batch: Batch) -> tuple[Any, Any]:
    """The losses of a batch's examples, and the gradient of their sum."""
    ctx = Context(key=jax.random.fold_in(part_key(state.key, "step"), state.step), train=True)

    def total(params: Any) -> Any:
        value = objective.loss(params, state.state, batch, ctx)[0]
        value = value[0] if isinstance(value, tuple) else value
        return value.sum(), value

    grads, losses = jax.jit(jax.grad(total, has_aux=True))(state.params)
    return np.asarray(losses), grads


def _bad(tree: Any) -> tuple[str, ...]:
    leaves = zip(paths(tree), jax.tree.leaves(tree), strict=True)
    return tuple(path for path, leaf in leaves if not np.isfinite(np.asarray(leaf)).all())

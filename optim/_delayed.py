"""An optimizer that begins later: `delayed(adam(1e-3), 1000)`.

t < n    no update, no change of state
t ≥ n    the optimizer, from its own step 0
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from ._checks import check_steps
from ._schedules import whole


class DelayedState(NamedTuple):
    """What `delayed` keeps."""

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count
    """int32 (): the updates made, those before the start among them."""
    started: jax.Array
    """bool (): whether the latest update was the optimizer's; before any, whether the first is."""
    optimizer: optax.OptState


def delayed(
    optimizer: optax.GradientTransformation, steps: ArrayLike
) -> optax.GradientTransformationExtraArgs:
    """Make no update for n updates, then those of the optimizer, whose schedule begins there.

    `steps` is n ≥ 0. Until then its state stays too, so that bias corrections begin with the first
    gradient it sees, parameters keep every bit and `rate` is 0. Gradual unfreezing of groups of
    layers, the last first, is `select` with a longer delay for each:
    `select({"head/*": adam(1e-3), "encoder/*": delayed(adam(1e-3), 1000)})`. Raises ValueError for
    steps below 0, TypeError for steps that are not an int.

    >>> import jax.numpy as jnp
    >>> from laminax.optim import sgd
    >>> optimizer, w = delayed(sgd(0.5), 2), jnp.zeros(1)
    >>> state = optimizer.init(w)
    >>> for _ in range(4):
    ...     updates, state = optimizer.update(jnp.ones(1), state, w)
    ...     print(updates.item())
    -0.0
    -0.0
    -0.5
    -0.5

    Source: Howard and Ruder, Universal language model fine-tuning for text classification (ULMFiT),
    2018, gradual unfreezing.
    """
    check_steps("delayed", "steps", steps, "1000", least=0)
    inner = optax.with_extra_args_support(optimizer)

    def init(params: optax.Params) -> DelayedState:
        return DelayedState(jnp.zeros((), jnp.int32), whole(steps) <= 0, inner.init(params))

    def update(
        updates: optax.Updates,
        state: DelayedState,
        params: optax.Params | None = None,
        **extra: Any,
    ) -> tuple[optax.Updates, DelayedState]:
        started = state.count >= whole(steps)
        updates, kept = inner.update(updates, state.optimizer, params, **extra)
        # −0, as in `freeze`: the sum with a parameter −0 is −0.
        updates = jax.tree.map(lambda u: jnp.where(started, u, -0.0), updates)
        kept = jax.tree.map(lambda a, b: jnp.where(started, a, b), kept, state.optimizer)
        return updates, DelayedState(optax.safe_increment(state.count), started, kept)

    return optax.GradientTransformationExtraArgs(init, update)

"""Augmentation as part of what is minimized: drawn anew at every training step.

    loss(params, state, batch, ctx)  =  objective.loss(params, state, augment(key, batch), ctx)

in training, with a key of its own folded from the context's; in evaluation the batch stays as it
is. So the data stay what they are, on whatever device, and the step's number decides the draws.
"""

import zlib
from collections.abc import Callable
from typing import Any

import jax

from laminax.nn import Context
from laminax.nn.losses import PerExample

from ._check import check_kind
from ._objective import Aux, Batch, Objective, batch_size_of


def augmented(objective: Objective, augment: Callable[[jax.Array, Batch], Batch]) -> Objective:
    """Objective whose training batches go through `augment(key, batch)` first.

    Args:
        objective: what to minimize.
        augment: pure; `key` is new at each step. Some of `train.data.augment`, on the parts of the
            batch they are for; the number of examples must stay.

    Raises:
        TypeError: no objective, or an `augment` that is no function.
        ValueError: training without a key; a batch that comes back of another length.

    >>> import jax, jax.numpy as jnp
    >>> from laminax import nn, optim, train
    >>> from laminax.train.data.augment import crop, flip
    >>> def augment(key, batch):
    ...     x, y = batch
    ...     of_crop, of_flip = jax.random.split(key)
    ...     return flip(of_flip, crop(of_crop, x, padding=2)), y
    >>> model = nn.serial(nn.flatten(), nn.dense(3))
    >>> objective = train.augmented(train.supervised(model, nn.losses.cross_entropy), augment)
    >>> data = jnp.ones((8, 6, 6, 1)), jnp.arange(8) % 3
    >>> result = train.fit(objective, optim.sgd(0.1), data, epochs=1, batch_size=4, progress=False)
    >>> result.state.step.item()
    2
    """
    check_kind("augmented", "objective", objective, Objective, "use train.supervised(model, loss)")
    if not callable(augment):
        raise TypeError(
            f"augmented: augment: expected a function of a key and a batch, got "
            f"{type(augment).__name__}"
        )

    def loss(params: Any, state: Any, batch: Batch, ctx: Context) -> tuple[PerExample, Aux]:
        if ctx.train:
            key = jax.random.fold_in(ctx.key_for("augmented"), zlib.crc32(b"augmented"))
            n, batch = batch_size_of(batch), augment(key, batch)
            if batch_size_of(batch) != n:
                raise ValueError(
                    f"augmented: augment made {batch_size_of(batch)} examples of {n}; it must keep "
                    "their number"
                )
        return objective.loss(params, state, batch, ctx)

    return Objective(objective.init, loss, objective.check)

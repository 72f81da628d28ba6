"""One training step, a pure function of the training state and a batch.

g = ∂/∂θ Σ_i w_i ℓ_i(θ) / Σ_i w_i n_i,    θ ← θ + optimizer(g)

Where the optimizer keeps a loss scale s, what it is given is ∂/∂θ s Σ_i w_i ℓ_i(θ) / Σ_i w_i n_i.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import optax

from laminax import optim
from laminax.nn import Context

from ._check import check_optimizer, checked_count
from ._objective import Batch, Objective, batch_size_of, reduced
from ._state import TrainState, part_key
from .data import gather

Sums: TypeAlias = dict[str, tuple[jax.Array, jax.Array]]
"""By name, the sum of a per-example value over a batch and what to divide it by."""


def step(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    *,
    microbatches: int = 1,
) -> Callable[..., tuple[TrainState, dict[str, jax.Array]]]:
    """Make the training step `(state, batch, weights=None) -> (state, metrics)`.

    It is pure: jit, scan, vmap or shard it. `weights` (batch,) ≥ 0 weighs the examples; those
    of weight 0 never count, be they NaN.

    Args:
        objective: what to minimize.
        optimizer: an optax transform; it is given `value`, `grad` and `value_fn` too. Where it is
            `optim.loss_scaled`, the gradient is that of the scaled loss; value and metrics are not.
        microbatches: how many parts, one after another, to split the batch into: the same
            gradient with less memory. Sums are added and divided once.

    Raises:
        ValueError: a loss or metric that is not per example, weights that are not; a batch that
            does not split evenly.

    >>> import jax, jax.numpy as jnp
    >>> from laminax import nn, optim, train
    >>> objective = train.supervised(nn.dense(1), nn.losses.squared_error)
    >>> x = jnp.linspace(-1, 1, 8)[:, None]
    >>> state = train.init(objective, optim.sgd(0.5), (x, 3 * x))
    >>> step = jax.jit(train.step(objective, optim.sgd(0.5)))
    >>> for _ in range(50):
    ...     state, metrics = step(state, (x, 3 * x))
    >>> round(state.params["w"].item(), 3)
    3.0
    """
    advance = summing_step(objective, optimizer, microbatches)

    def run(
        state: TrainState, batch: Batch, weights: jax.Array | None = None
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        state, sums = advance(state, batch, weights)
        return state, {name: total / count for name, (total, count) in sums.items()}

    return run


def summing_step(
    objective: Objective, optimizer: optax.GradientTransformation, microbatches: int = 1
) -> Callable[[TrainState, Batch, jax.Array | None], tuple[TrainState, Sums]]:
    """Make the step that hands back sums and counts, which add up over steps."""
    check_optimizer("step", optimizer)
    microbatches = checked_count("step", "microbatches", microbatches)
    update = optax.with_extra_args_support(optimizer).update
    gradient = _gradient if microbatches == 1 else _accumulated(microbatches)

    def advance(
        state: TrainState, batch: Batch, weights: jax.Array | None = None
    ) -> tuple[TrainState, Sums]:
        batch = batch if weights is None else _counted(batch, weights)
        ctx = Context(key=jax.random.fold_in(part_key(state.key, "step"), state.step), train=True)
        grads, model_state, sums = gradient(objective, state, batch, weights, ctx)
        total, count = sums["loss"]
        grads = jax.tree.map(lambda g: g / count.astype(g.dtype), grads)

        def value(params: Any) -> jax.Array:
            at = state._replace(params=params)
            total, (_, sums) = _total(params, objective, at, batch, weights, ctx)
            return total / sums["loss"][1]

        updates, opt_state = update(
            grads, state.opt_state, state.params, value=total / count, grad=grads, value_fn=value
        )
        params = optim.apply_updates(state.params, updates)
        return TrainState(state.step + 1, params, model_state, opt_state, state.key), sums

    return advance


def evaluating_sums(
    objective: Objective, params: Any, state: Any, batch: Batch, weights: jax.Array | None
) -> Sums:
    """Return the sums of the loss and the metrics in evaluation."""
    per_example, aux = objective.loss(params, state, batch, Context())
    return _sums(per_example, aux.metrics, batch, weights)


def _counted(batch: Batch, weights: jax.Array) -> Batch:
    """Put a row that counts in place of those of weight 0: their NaN would get into gradients."""
    size = batch_size_of(batch)
    if jnp.shape(weights) != (size,):
        raise ValueError(
            f"step: weights must be one an example, shape ({size},), got shape "
            f"{jnp.shape(weights)}; squeeze or flatten them"
        )
    return gather(batch, jnp.where(weights > 0, jnp.arange(size), jnp.argmax(weights)))


def _sums(per_example: Any, metrics: Any, batch: Batch, weights: jax.Array | None) -> Sums:
    values = {"loss": per_example, **metrics}
    size = batch_size_of(batch)
    return {name: reduced(value, weights, name, size) for name, value in values.items()}


def _total(
    params: Any,
    objective: Objective,
    state: TrainState,
    batch: Batch,
    weights: jax.Array | None,
    ctx: Context,
) -> tuple[jax.Array, tuple[Any, Sums]]:
    per_example, aux = objective.loss(params, state.state, batch, ctx)
    sums = _sums(per_example, aux.metrics, batch, weights)
    return sums["loss"][0], (aux.state, sums)


def _gradient(
    objective: Objective,
    state: TrainState,
    batch: Batch,
    weights: jax.Array | None,
    ctx: Context,
) -> tuple[Any, Any, Sums]:
    """Return the gradient of s·Σw·ℓ, not yet divided, the model's new state and the sums."""
    scale = optim.loss_scale(state.opt_state)

    def scaled(params: Any) -> tuple[jax.Array, tuple[Any, Sums]]:
        total, aux = _total(params, objective, state, batch, weights, ctx)
        return total if scale is None else scale.astype(total.dtype) * total, aux

    grads, (model_state, sums) = jax.grad(scaled, has_aux=True)(state.params)
    return grads, model_state, sums


def _accumulated(parts: int) -> Callable[..., tuple[Any, Any, Sums]]:
    """Return `_gradient` summed over parts of the batch by a scan."""

    def gradient(
        objective: Objective, state: TrainState, batch: Batch, weights: Any, ctx: Context
    ) -> tuple[Any, Any, Sums]:
        key, size = ctx.key_for("step"), batch_size_of(batch)
        if size % parts:
            raise ValueError(
                f"step: a batch of {size} does not split into {parts} microbatches; "
                "choose a divisor of the batch size"
            )
        split = jax.tree.map(lambda a: a.reshape(parts, size // parts, *a.shape[1:]), batch)
        weights = None if weights is None else weights.reshape(parts, size // parts)

        def body(carry: Any, part: Any) -> tuple[Any, None]:
            model_state, grads, sums = carry
            i, batch, weights = part
            part_ctx = Context(key=jax.random.fold_in(key, i), train=True)
            at = state._replace(state=model_state)
            more, model_state, more_sums = _gradient(objective, at, batch, weights, part_ctx)
            added = jax.tree.map(jnp.add, (grads, sums), (more, more_sums))
            return (model_state, *added), None

        spec = jax.eval_shape(
            lambda batch, weights: _gradient(objective, state, batch, weights, ctx),
            *jax.tree.map(lambda a: a[0], (split, weights)),
        )
        nothing = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), (spec[0], spec[2]))
        carry = (state.state, *nothing)
        (model_state, grads, sums), _ = jax.lax.scan(
            body, carry, (jnp.arange(parts), split, weights)
        )
        return grads, model_state, sums

    return gradient

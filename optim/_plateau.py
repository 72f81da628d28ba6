"""A lower rate once the loss has stopped falling.

    update ← s · update,    s ← max(γ s, s_min)  after n updates in a row without improvement

optax.contrib.reduce_on_plateau takes no traced factor or threshold, and keeps s in the narrowest
dtype of the parameters, where bfloat16 holds it to two digits.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from ._checks import check_fraction, check_nonnegative, check_positive, check_steps
from ._schedules import real, whole


class PlateauState(NamedTuple):
    """What `reduce_on_plateau` keeps; its floats are of JAX's default float type."""

    scale: jax.Array
    """float (): what the updates are multiplied by."""
    best: jax.Array
    """float (): the lowest loss that counted as an improvement."""
    waited: jax.Array
    """int32 (): the losses in a row that did not."""
    cooldown: jax.Array
    """int32 (): the losses yet to be passed over after a reduction."""
    average: jax.Array
    """float (): the mean of the values seen since the latest loss was formed."""
    count: jax.Array  # type: ignore[assignment]  # hides tuple.count
    """int32 (): how many these are."""


def reduce_on_plateau(
    factor: ArrayLike = 0.1,
    patience: ArrayLike = 10,
    *,
    threshold: ArrayLike = 1e-4,
    cooldown: ArrayLike = 0,
    min_scale: ArrayLike = 0.0,
    every: ArrayLike = 1,
) -> optax.GradientTransformationExtraArgs:
    """Scale the updates by s, which falls by a factor once the loss has stopped falling.

    Stands behind an optimizer, `chain(adam(1e-3), reduce_on_plateau())`, and reads the `value` that
    `update` is given. A loss is the mean of `every` such values: 1 for a loss of the whole data,
    the steps of an epoch for one of minibatches. It improves where it is below the best by more
    than `threshold` · |best|; after `patience` losses in a row that do not, s ← max(γ s, s_min)
    with γ = `factor` and s_min = `min_scale`, and the next `cooldown` losses are not counted.
    (torch's patience is one less: it waits for one more.) A loss that is not finite is no
    improvement. Raises ValueError for an argument out of range or from `update` without `value`;
    TypeError for a patience, cooldown or `every` that is not an int.

    >>> import jax.numpy as jnp
    >>> from laminax.optim import chain, sgd
    >>> optimizer, params = chain(sgd(1.0), reduce_on_plateau(0.5, patience=2)), jnp.zeros(1)
    >>> state = optimizer.init(params)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     updates, state = optimizer.update(jnp.ones(1), state, params, value=loss)
    ...     print(updates.item())
    -1.0
    -1.0
    -1.0
    -0.5
    """
    where = "reduce_on_plateau"
    check_positive(where, "factor", factor, "0.1")
    check_fraction(where, "factor", factor, "0.1")
    check_steps(where, "patience", patience, "10")
    check_nonnegative(where, "threshold", threshold, "1e-4")
    check_steps(where, "cooldown", cooldown, "0", least=0)
    check_nonnegative(where, "min_scale", min_scale, "0.0")
    check_steps(where, "every", every, "1")

    def init(params: optax.Params) -> PlateauState:
        zero = whole(0)
        # The largest number in place of infinity, of which no share could be taken.
        best = real(jnp.finfo(real(0.0).dtype).max)  # type: ignore[no-untyped-call]
        return PlateauState(real(1.0), best, zero, zero, real(0.0), zero)

    def judged(state: PlateauState) -> PlateauState:
        improved = state.average < state.best - real(threshold) * jnp.abs(state.best)
        waited = jnp.where(improved | (state.cooldown > 0), 0, state.waited + 1)
        reduces = waited >= whole(patience)
        lower = jnp.maximum(state.scale * real(factor), real(min_scale))
        return PlateauState(
            scale=jnp.where(reduces, lower, state.scale),
            best=jnp.where(improved, state.average, state.best),
            waited=jnp.where(reduces, 0, waited),
            cooldown=jnp.where(reduces, whole(cooldown), jnp.maximum(state.cooldown - 1, 0)),
            average=real(0.0),
            count=whole(0),
        )

    def update(
        updates: optax.Updates,
        state: PlateauState,
        params: optax.Params | None = None,
        *,
        value: ArrayLike | None = None,
        **extra: Any,
    ) -> tuple[optax.Updates, PlateauState]:
        if value is None:
            raise ValueError(
                "reduce_on_plateau: value is None; expected the loss; call "
                "optimizer.update(gradient, opt_state, params, value=loss)."
            )
        count = state.count + 1
        average = state.average + (real(value) - state.average) / real(count)
        state = state._replace(average=average, count=count)
        full = count >= whole(every)
        state = jax.tree.map(lambda new, old: jnp.where(full, new, old), judged(state), state)
        return jax.tree.map(lambda leaf: _times(state.scale, leaf), updates), state

    return optax.GradientTransformationExtraArgs(init, update)


def _times(scale: jax.Array, leaf: jax.Array) -> jax.Array:
    wide = np.promote_types(leaf.dtype, np.float32)
    return (scale.astype(wide) * leaf.astype(wide)).astype(leaf.dtype)

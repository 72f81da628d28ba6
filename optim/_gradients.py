"""Gradients changed before the optimizer sees them: `chain(centralize(), momentum(0.1))`.

centralize       g ← g − the mean of g over the inputs of each output unit
gradient_noise   g ← g + n,   n normal of variance η / (1 + t)^γ,   t = 0, 1, 2, ...
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from ._checks import check_nonnegative
from ._stacked import Stacked, map_layers, unit_axes
from ._widen import Cast, widened


class NoiseState(NamedTuple):
    """What `gradient_noise` keeps."""

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count
    """int32 (): the updates made."""


def centralize(*, stacked: Stacked = None) -> optax.GradientTransformationExtraArgs:
    """Take from the gradient of each output unit its mean: g ← g − mean(g) over all axes but last.

    Of matrices (in, out) and kernels (..., out); vectors and numbers stay as they are. `stacked`
    gives the number of leading layer axes of each parameter, as `nn.stacked(model)` does. optax's
    takes the mean over all axes but the first, for weights of shape (out, in).

    >>> import jax.numpy as jnp
    >>> transform, gradient = centralize(), jnp.array([[1.0, 5.0], [3.0, 5.0]])
    >>> transform.update(gradient, transform.init(gradient))[0].tolist()
    [[-1.0, 0.0], [1.0, 0.0]]

    Source: Yong et al., Gradient centralization: a new optimization technique for deep neural
    networks, 2020.
    """

    def centered(g: jax.Array) -> jax.Array:
        return g if g.ndim < 2 else g - g.mean(unit_axes(g), keepdims=True)

    def update(
        updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, optax.OptState]:
        return map_layers("centralize", stacked, centered, updates), state

    return widened(
        lambda cast: optax.GradientTransformation(lambda params: optax.EmptyState(), update)
    )


def gradient_noise(
    key: jax.Array, variance: ArrayLike = 0.01, decay: ArrayLike = 0.55
) -> optax.GradientTransformationExtraArgs:
    """Add normal noise of the variance η / (1 + t)^γ to the gradient, t = 0 at the first update.

    `variance` is η ≥ 0, `decay` is γ ≥ 0. The noise of an update depends on `key` and t alone, so
    a run can be resumed. Raises ValueError for a number out of range.

    >>> import jax, jax.numpy as jnp
    >>> transform, zeros = gradient_noise(jax.random.key(0), 0.25), jnp.zeros(10_000)
    >>> noise, _ = transform.update(zeros, transform.init(zeros))
    >>> round(float(noise.std()), 2)
    0.5

    Source: Neelakantan et al., Adding gradient noise improves learning for very deep networks,
    2015.
    """
    check_nonnegative("gradient_noise", "variance", variance, "0.01")
    check_nonnegative("gradient_noise", "decay", decay, "0.55")

    def noisy(updates: optax.Updates, count: jax.Array, cast: Cast) -> optax.Updates:
        size = jnp.sqrt(cast(variance) / (1.0 + count) ** cast(decay))
        leaves = jax.tree.leaves(updates)
        keys = jax.random.split(jax.random.fold_in(key, count), len(leaves))
        noise = [jax.random.normal(k, g.shape, g.dtype) for k, g in zip(keys, leaves, strict=True)]
        leaves = [g + size * n for g, n in zip(leaves, noise, strict=True)]
        return jax.tree.unflatten(jax.tree.structure(updates), leaves)

    return widened(
        lambda cast: optax.GradientTransformation(
            lambda params: NoiseState(jnp.zeros((), jnp.int32)),
            lambda updates, state, params=None: (
                noisy(updates, state.count, cast),
                NoiseState(optax.safe_increment(state.count)),
            ),
        )
    )

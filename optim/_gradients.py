"""Gradients changed before the optimizer sees them: `chain(centralize(), momentum(0.1))`.

centralize   g ← g − the mean of g over the inputs of each output unit
"""

import jax
import optax

from ._stacked import Stacked, map_layers, unit_axes
from ._widen import widened


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

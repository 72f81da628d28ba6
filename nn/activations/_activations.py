"""The activations that JAX has under no name or another contract, as functions of one array."""

from collections.abc import Callable

import jax
import jax.numpy as jnp


def heaviside(x: jax.Array) -> jax.Array:
    """Heaviside step: H(x) = 1 where x ≥ 0, else 0; its gradient is zero everywhere.

    Source: the all-or-none neuron of McCulloch and Pitts, A logical calculus of the ideas immanent
    in nervous activity, 1943, which fires when its input reaches the threshold.

    Args:
        x: of any shape, floating.

    >>> from laminax import nn
    >>> nn.heaviside(jnp.array([-0.5, 0.0, 2.0]))
    Array([0., 1., 1.], dtype=float32)
    """
    return jnp.heaviside(x, 1)


def leaky_relu(slope: float) -> Callable[[jax.Array], jax.Array]:
    """Leaky ReLU with a given slope: the function x where x ≥ 0, slope · x elsewhere.

    The slope has no default, for there is no agreed one: 0.01 in the paper, in JAX and in PyTorch,
    0.1 and 0.2 in textbooks and in generators of images.

    Source: Maas, Hannun and Ng, Rectifier nonlinearities improve neural network acoustic models,
    2013.

    Args:
        slope: of the negative side.

    Returns:
        The activation, a function of one array and so a layer.

    Raises:
        TypeError: a slope that is not a number, as when the activation is used uncalled.

    >>> from laminax import nn
    >>> nn.leaky_relu(0.1)(jnp.array([-2.0, 3.0]))
    Array([-0.2,  3. ], dtype=float32)
    """
    if isinstance(slope, bool) or not isinstance(slope, int | float):
        raise TypeError(
            f"leaky_relu: slope must be a number, got {type(slope).__name__}; "
            "make the activation first: leaky_relu(0.1)(x)"
        )

    def activation(x: jax.Array) -> jax.Array:
        return jax.nn.leaky_relu(x, slope)

    activation.__name__ = activation.__qualname__ = "leaky_relu"
    return activation


leaky_relu.__dict__["is_factory"] = True  # so that `serial(leaky_relu)` says "forgot ()?"

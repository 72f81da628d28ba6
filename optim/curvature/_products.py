"""Products of curvature matrices with a vector, none of which is ever formed.

hvp    H v,  H = ∇²f(x)
gnvp   Jᵀ H_L J v,  J = ∂z / ∂x of the outputs z = model(x),  H_L = ∇²loss(z)
"""

from collections.abc import Callable
from typing import Any

import jax


def hvp(f: Callable[[Any], jax.Array], x: Any, v: Any) -> Any:
    """The product of the Hessian of f at x with v, by one derivative along v of the gradient.

    `x` and `v` are trees of one structure, as is the result. It takes about twice the time and
    memory of a gradient. Raises TypeError where v is not of x's structure, shapes and dtypes.

    >>> import jax.numpy as jnp
    >>> hvp(lambda x: x[0] ** 2 * x[1], jnp.array([1.0, 2.0]), jnp.array([1.0, 0.0])).tolist()
    [4.0, 2.0]

    Source: Pearlmutter, Fast exact multiplication by the Hessian, 1994.
    """
    return jax.jvp(jax.grad(f), (x,), (v,))[1]


def gnvp(model: Callable[[Any], Any], loss: Callable[[Any], jax.Array], x: Any, v: Any) -> Any:
    """The product of the Gauss–Newton matrix of loss(model(x)) with v: Jᵀ H_L J v.

    The Hessian without the curvature of the model: positive semidefinite for a convex loss, and
    equal to the Hessian where the model is linear or the loss's gradient is zero. `model` maps x to
    outputs, `loss` these to a scalar. Raises TypeError where v is not of x's structure, shapes and
    dtypes.

    >>> import jax.numpy as jnp
    >>> half_square = lambda z: 0.5 * jnp.sum(z**2)
    >>> gnvp(lambda x: x**2, half_square, jnp.array([1.0, 2.0]), jnp.array([1.0, 1.0])).tolist()
    [4.0, 16.0]

    Source: Schraudolph, Fast curvature matrix-vector products for second-order gradient descent,
    2002.
    """
    outputs, transpose = jax.vjp(model, x)
    change = jax.jvp(model, (x,), (v,))[1]
    (product,) = transpose(hvp(loss, outputs, change))
    return product

"""First-order optimizers: compositions of optax transforms that end in `scale_by_rate`.

With the gradient g, the parameters θ, the rate η(t), and t = 1 at the first update:

    sgd        θ ← θ − η g
    momentum   m ← μ m + g;   θ ← θ − η m
    nesterov   m ← μ m + g;   θ ← θ − η (g + μ m)
    adam       m ← β₁ m + (1 − β₁) g;   v ← β₂ v + (1 − β₂) g²
               θ ← θ − η m̂ / (√v̂ + ε),   m̂ = m / (1 − β₁ᵗ),   v̂ = v / (1 − β₂ᵗ)
    adamw      θ ← θ − η (m̂ / (√v̂ + ε) + λ θ)

Each is an optax `GradientTransformationExtraArgs`. Rates are numbers or schedules; every number may
be a JAX tracer. State is float32 or wider, updates keep the gradients' dtype.
"""

from collections.abc import Callable, Sequence

import optax
from jax.typing import ArrayLike

from ._checks import check_fraction, check_nonnegative, check_positive
from ._paths import mask
from ._rate import scale_by_rate
from ._schedules import Schedule, as_schedule
from ._widen import Cast, widened


def sgd(rate: ArrayLike | Schedule) -> optax.GradientTransformationExtraArgs:
    """Stochastic gradient descent: θ ← θ − η g.

    Raises ValueError for a rate that is not above 0 and finite.

    >>> import jax.numpy as jnp
    >>> optimizer, params = sgd(0.5), {"w": jnp.array([1.0, 2.0])}
    >>> updates, _ = optimizer.update({"w": jnp.array([1.0, 1.0])}, optimizer.init(params), params)
    >>> updates["w"].tolist()
    [-0.5, -0.5]

    Source: Robbins and Monro, A stochastic approximation method, 1951.
    """
    return _optimizer("sgd", rate)


def momentum(
    rate: ArrayLike | Schedule, decay: ArrayLike = 0.9
) -> optax.GradientTransformationExtraArgs:
    """Gradient descent with momentum (the heavy ball): m ← μ m + g; θ ← θ − η m.

    `decay` is μ, in [0, 1). A steady gradient is followed at η / (1 − μ). Raises ValueError for a
    rate that is not above 0 and finite, or a decay out of range.

    >>> import jax.numpy as jnp
    >>> optimizer, gradient = momentum(1.0, decay=0.5), jnp.ones(1)
    >>> state = optimizer.init(jnp.zeros(1))
    >>> first, state = optimizer.update(gradient, state)
    >>> second, state = optimizer.update(gradient, state)
    >>> first.tolist(), second.tolist()
    ([-1.0], [-1.5])

    Source: Polyak, Some methods of speeding up the convergence of iteration methods, 1964.
    """
    check_fraction("momentum", "decay", decay, "0.9")
    return _optimizer("momentum", rate, lambda cast: optax.trace(cast(decay)))


def nesterov(
    rate: ArrayLike | Schedule, decay: ArrayLike = 0.9
) -> optax.GradientTransformationExtraArgs:
    """Nesterov's accelerated gradient: m ← μ m + g; θ ← θ − η (g + μ m).

    `decay` is μ, in [0, 1). Written in the looked-ahead parameters, so that one gradient a step is
    enough. Raises ValueError for a rate that is not above 0 and finite, or a decay out of range.

    >>> import jax.numpy as jnp
    >>> optimizer = nesterov(1.0, decay=0.5)
    >>> updates, _ = optimizer.update(jnp.ones(1), optimizer.init(jnp.zeros(1)))
    >>> updates.tolist()
    [-1.5]

    Source: Nesterov, A method of solving a convex programming problem with convergence rate
    O(1/k²), 1983; in this form Sutskever et al., On the importance of initialization and momentum
    in deep learning, 2013.
    """
    check_fraction("nesterov", "decay", decay, "0.9")
    return _optimizer("nesterov", rate, lambda cast: optax.trace(cast(decay), nesterov=True))


def adam(
    rate: ArrayLike | Schedule,
    b1: ArrayLike = 0.9,
    b2: ArrayLike = 0.999,
    eps: ArrayLike = 1e-8,
) -> optax.GradientTransformationExtraArgs:
    """Adam: θ ← θ − η m̂ / (√v̂ + ε), running means m of g and v of g², both freed of their start.

    `b1`, `b2` are β₁, β₂ in [0, 1), `eps` is ε > 0. A step is at most about η per coordinate.
    Raises ValueError for a rate that is not above 0 and finite, or a constant out of range.

    >>> import jax.numpy as jnp
    >>> optimizer = adam(0.1)
    >>> updates, _ = optimizer.update(jnp.array([4.0, -0.01]), optimizer.init(jnp.zeros(2)))
    >>> [round(u, 4) for u in updates.tolist()]
    [-0.1, 0.1]

    Source: Kingma and Ba, Adam: a method for stochastic optimization, 2015.
    """
    return _optimizer("adam", rate, _scale_by_adam("adam", b1, b2, eps))


def adamw(
    rate: ArrayLike | Schedule,
    b1: ArrayLike = 0.9,
    b2: ArrayLike = 0.999,
    eps: ArrayLike = 1e-8,
    *,
    weight_decay: ArrayLike = 0.01,
    decayed: str | Sequence[str] = "*",
) -> optax.GradientTransformationExtraArgs:
    """Adam with decoupled weight decay: θ ← θ − η (m̂ / (√v̂ + ε) + λ θ).

    `weight_decay` is λ ≥ 0; it shrinks only the parameters whose path one of the patterns
    `decayed` matches, usually `"*/w"`: the weights, not the biases and scales. Raises ValueError
    for a rate that is not above 0 and finite, a constant out of range, or (from `init`) a pattern
    that matches no parameter.

    >>> import jax.numpy as jnp
    >>> optimizer = adamw(0.1, weight_decay=0.5, decayed="*/w")
    >>> params = {"dense_0": {"w": jnp.array([2.0]), "b": jnp.array([2.0])}}
    >>> updates, _ = optimizer.update(
    ...     {"dense_0": {"w": jnp.zeros(1), "b": jnp.zeros(1)}}, optimizer.init(params), params
    ... )
    >>> round(updates["dense_0"]["w"].item(), 4), abs(updates["dense_0"]["b"].item())
    (-0.1, 0.0)

    Source: Loshchilov and Hutter, Decoupled weight decay regularization, 2019.
    """
    check_nonnegative("adamw", "weight_decay", weight_decay, "0.01")
    patterns = (decayed,) if isinstance(decayed, str) else tuple(decayed)
    return _optimizer(
        "adamw",
        rate,
        _scale_by_adam("adamw", b1, b2, eps),
        lambda cast: optax.add_decayed_weights(
            cast(weight_decay), mask=lambda params: mask("adamw", patterns, params)
        ),
    )


Piece = Callable[[Cast], optax.GradientTransformation]


def _optimizer(
    where: str, rate: ArrayLike | Schedule, *pieces: Piece
) -> optax.GradientTransformationExtraArgs:
    schedule = as_schedule(where, rate)
    return optax.chain(*(widened(piece) for piece in pieces), scale_by_rate(schedule))


def _scale_by_adam(where: str, b1: ArrayLike, b2: ArrayLike, eps: ArrayLike) -> Piece:
    check_fraction(where, "b1", b1, "0.9")
    check_fraction(where, "b2", b2, "0.999")
    check_positive(where, "eps", eps, "1e-8")
    return lambda cast: optax.scale_by_adam(cast(b1), cast(b2), cast(eps))

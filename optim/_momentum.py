"""Gradient descent with and without momentum: the forms that papers and textbooks give it.

With the gradient g, the parameters θ, the decay μ and the rate η(t):

    sgd                θ ← θ − η g
    momentum           m ← μ m + g;               θ ← θ − η m
    momentum_velocity  v ← μ v − η g;             θ ← θ + v
    momentum_average   v ← μ v − (1 − μ) η g;     θ ← θ + v
    nesterov           m ← μ m + g;               θ ← θ − η (g + μ m)

While the rate is constant, `momentum` and `momentum_velocity` make the same steps, v = −η m, and
`momentum_average` makes those of a rate (1 − μ) η: its v is a mean of the latest steps −η g, so η
needs no retuning when μ changes. When the rate is scheduled they part: `momentum` multiplies the
whole remembered past by today's rate, θ ← θ − η(t) Σ μᵗ⁻ⁱ gᵢ, so a drop of the rate acts at once;
the other two keep each gradient at the rate of its own time, θ ← θ − Σ μᵗ⁻ⁱ η(i) gᵢ, so a drop is
felt over about 1 / (1 − μ) updates.

Rates are numbers or schedules; every number may be a JAX tracer. State is float32 or wider, updates
keep the gradients' dtype.
"""

import optax
from jax.typing import ArrayLike

from ._builder import optimizer
from ._checks import check_fraction
from ._schedules import Schedule


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
    return optimizer("sgd", rate)


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
    return optimizer("momentum", rate, lambda cast: optax.trace(cast(decay)))


def momentum_velocity(
    rate: ArrayLike | Schedule, decay: ArrayLike = 0.9
) -> optax.GradientTransformationExtraArgs:
    """Momentum that accelerates, the rate inside the velocity: v ← μ v − η g; θ ← θ + v.

    `decay` is μ, in [0, 1). With a constant rate the steps are those of `momentum`; with a schedule
    each gradient keeps the rate of its own time, so that a change of the rate is felt gradually,
    over about 1 / (1 − μ) updates. Raises ValueError for a rate that is not above 0 and finite, or
    a decay out of range.

    >>> import jax.numpy as jnp
    >>> from laminax.optim import cosine
    >>> optimizer = momentum_velocity(cosine(1.0, 2), decay=0.5)  # at the rates 1 and ½
    >>> state = optimizer.init(jnp.zeros(1))
    >>> first, state = optimizer.update(jnp.ones(1), state)
    >>> second, state = optimizer.update(jnp.ones(1), state)  # −½ of the past, −½ of now
    >>> round(first.item(), 4), round(second.item(), 4)
    (-1.0, -1.0)

    Source: Rumelhart, Hinton and Williams, Learning representations by back-propagating errors,
    1986; in this form Sutskever et al., On the importance of initialization and momentum in deep
    learning, 2013.
    """
    check_fraction("momentum_velocity", "decay", decay, "0.9")
    return optimizer("momentum_velocity", rate, after=[lambda cast: optax.trace(cast(decay))])


def momentum_average(
    rate: ArrayLike | Schedule, decay: ArrayLike = 0.9
) -> optax.GradientTransformationExtraArgs:
    """Momentum that averages, a running mean of the steps: v ← μ v − (1 − μ) η g; θ ← θ + v.

    `decay` is μ, in [0, 1). A steady gradient is followed at η whatever μ; the mean starts from 0
    and is not freed of it, so the first update is only (1 − μ) η g. With a constant rate the steps
    are those of `momentum` at the rate (1 − μ) η; with a schedule each gradient keeps the rate of
    its own time. Raises ValueError for a rate that is not above 0 and finite, or a decay out of
    range.

    >>> import jax.numpy as jnp
    >>> optimizer = momentum_average(1.0, decay=0.5)
    >>> state = optimizer.init(jnp.zeros(1))
    >>> first, state = optimizer.update(jnp.ones(1), state)
    >>> second, state = optimizer.update(jnp.ones(1), state)
    >>> first.tolist(), second.tolist()
    ([-0.5], [-0.75])

    Source: Kingma and Ba, Adam: a method for stochastic optimization, 2015, of the gradient's mean.
    """
    check_fraction("momentum_average", "decay", decay, "0.9")
    mean = [lambda cast: optax.ema(cast(decay), debias=False)]
    return optimizer("momentum_average", rate, after=mean)


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
    return optimizer("nesterov", rate, lambda cast: optax.trace(cast(decay), nesterov=True))

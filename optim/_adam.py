"""Adam and its variants.

With the gradient g, the parameters θ, the rate η(t), and t = 1 at the first update:

    m ← β₁ m + (1 − β₁) g;   m̂ = m / (1 − β₁ᵗ)
    v ← β₂ v + (1 − β₂) g²;  v̂ = v / (1 − β₂ᵗ)

    adam    θ ← θ − η m̂ / (√(v̂ + ε′) + ε)
    adamw   θ ← θ − η (m̂ / (√v̂ + ε) + λ θ)
    nadam   adam with β₁ m / (1 − β₁ᵗ⁺¹) + (1 − β₁) g / (1 − β₁ᵗ) for m̂
    radam   adam with r(t) m̂ / (√v̂ + ε), or plain m̂ while v̂ has seen too little
    amsgrad adam with the largest v so far for v
    adamax  u ← max(β₂ u, |g| + ε);  θ ← θ − η m̂ / u

Rates are numbers or schedules; every number may be a JAX tracer. State is float32 or wider, updates
keep the gradients' dtype.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from ._builder import Piece, check_eps, decay_weights, optimizer
from ._checks import check_fraction
from ._schedules import Schedule


def adam(
    rate: ArrayLike | Schedule,
    b1: ArrayLike = 0.9,
    b2: ArrayLike = 0.999,
    eps: ArrayLike = 1e-8,
    *,
    eps_root: ArrayLike = 0.0,
) -> optax.GradientTransformationExtraArgs:
    """Adam: θ ← θ − η m̂ / (√(v̂ + ε′) + ε), means m of g and v of g², both freed of their start.

    `b1`, `b2` are β₁, β₂ in [0, 1). `eps` is ε, outside the root as in the paper, `eps_root` is ε′,
    inside it: there the step has a derivative at g = 0; one of them is above 0. A step is at most
    about η per coordinate. Raises ValueError for a rate that is not above 0 and finite, or a
    constant out of range.

    >>> import jax.numpy as jnp
    >>> optimizer = adam(0.1)
    >>> updates, _ = optimizer.update(jnp.array([4.0, -0.01]), optimizer.init(jnp.zeros(2)))
    >>> [round(u, 4) for u in updates.tolist()]
    [-0.1, 0.1]

    Source: Kingma and Ba, Adam: a method for stochastic optimization, 2015.
    """
    return optimizer("adam", rate, scale_by_adam("adam", b1, b2, eps, eps_root))


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
    return optimizer(
        "adamw",
        rate,
        scale_by_adam("adamw", b1, b2, eps),
        decay_weights("adamw", weight_decay, decayed),
    )


def nadam(
    rate: ArrayLike | Schedule,
    b1: ArrayLike = 0.9,
    b2: ArrayLike = 0.999,
    eps: ArrayLike = 1e-8,
) -> optax.GradientTransformationExtraArgs:
    """Adam with Nesterov's momentum: θ ← θ − η n / (√v̂ + ε).

    n = β₁ m / (1 − β₁ᵗ⁺¹) + (1 − β₁) g / (1 − β₁ᵗ): the mean as it will stand one step ahead. β₁ is
    constant, without the paper's optional warm-up of it. Raises ValueError for a rate that is not
    above 0 and finite, or a constant out of range.

    >>> import jax.numpy as jnp
    >>> optimizer = nadam(0.1)
    >>> updates, _ = optimizer.update(jnp.array([4.0, -0.01]), optimizer.init(jnp.zeros(2)))
    >>> [round(u, 4) for u in updates.tolist()]
    [-0.1474, 0.1474]

    Source: Dozat, Incorporating Nesterov momentum into Adam, 2016.
    """
    return optimizer("nadam", rate, scale_by_adam("nadam", b1, b2, eps, nesterov=True))


def radam(
    rate: ArrayLike | Schedule,
    b1: ArrayLike = 0.9,
    b2: ArrayLike = 0.999,
    eps: ArrayLike = 1e-8,
) -> optax.GradientTransformationExtraArgs:
    """Adam rectified for the variance of its first steps: θ ← θ − η r m̂ / (√v̂ + ε).

    With ρ∞ = 2 / (1 − β₂) − 1 and ρ = ρ∞ − 2 t β₂ᵗ / (1 − β₂ᵗ), the number of squares that v̂ is
    worth: r = √((ρ − 4)(ρ − 2) ρ∞ / ((ρ∞ − 4)(ρ∞ − 2) ρ)) once ρ ≥ 5; before that the step is η m̂.
    Raises ValueError for a rate that is not above 0 and finite, or a constant out of range.

    >>> import jax.numpy as jnp
    >>> optimizer = radam(0.1)
    >>> updates, _ = optimizer.update(jnp.array([4.0, -0.01]), optimizer.init(jnp.zeros(2)))
    >>> [round(u, 4) for u in updates.tolist()]
    [-0.4, 0.001]

    Source: Liu et al., On the variance of the adaptive learning rate and beyond, 2020.
    """
    _check_means("radam", b1, b2)
    check_eps("radam", eps, 0.0)
    return optimizer(
        "radam", rate, lambda cast: optax.scale_by_radam(cast(b1), cast(b2), cast(eps))
    )


def amsgrad(
    rate: ArrayLike | Schedule,
    b1: ArrayLike = 0.9,
    b2: ArrayLike = 0.999,
    eps: ArrayLike = 1e-8,
) -> optax.GradientTransformationExtraArgs:
    """Adam that forgets no large gradient: θ ← θ − η m̂ / (√(w / (1 − β₂ᵗ)) + ε), w ← max(w, v).

    The maximum is of v itself, as in torch, and is freed of the start of v afterwards; optax takes
    that of v̂, whose first values, of few gradients, may stay the largest for ever. Raises
    ValueError for a rate that is not above 0 and finite, or a constant out of range.

    >>> import jax.numpy as jnp
    >>> optimizer = amsgrad(0.1, b1=0.0, b2=0.5)
    >>> state = optimizer.init(jnp.zeros(1))
    >>> for gradient in (4.0, 0.0, 1.0):
    ...     updates, state = optimizer.update(jnp.array([gradient]), state)
    >>> round(updates.item(), 4)  # −0.1 · 1 / √(8 / 0.875): v was 8, then 4, then 2.5
    -0.0331

    Source: Reddi, Kale and Kumar, On the convergence of Adam and beyond, 2018.
    """
    _check_means("amsgrad", b1, b2)
    check_eps("amsgrad", eps, 0.0)
    return optimizer("amsgrad", rate, lambda cast: _scale_by_amsgrad(cast(b1), cast(b2), cast(eps)))


def adamax(
    rate: ArrayLike | Schedule,
    b1: ArrayLike = 0.9,
    b2: ArrayLike = 0.999,
    eps: ArrayLike = 1e-8,
) -> optax.GradientTransformationExtraArgs:
    """Adam by the largest gradient in place of the mean square: θ ← θ − η m̂ / u.

    u ← max(β₂ u, |g| + ε) is the greatest of the gradients, each shrunk by β₂ an update; it needs
    no freeing of its start. `eps` is ε > 0. Raises ValueError for a rate that is not above 0 and
    finite, or a constant out of range.

    >>> import jax.numpy as jnp
    >>> optimizer = adamax(0.1, b1=0.5)
    >>> state = optimizer.init(jnp.zeros(2))
    >>> for gradient in (jnp.array([4.0, -0.01]), jnp.zeros(2)):
    ...     updates, state = optimizer.update(gradient, state)  # the second: ⅓ of the first
    >>> [round(u, 4) for u in updates.tolist()]
    [-0.0334, 0.0334]

    Source: Kingma and Ba, Adam: a method for stochastic optimization, 2015, section 7.1.
    """
    _check_means("adamax", b1, b2)
    check_eps("adamax", eps, 0.0)
    return optimizer(
        "adamax", rate, lambda cast: optax.scale_by_adamax(cast(b1), cast(b2), cast(eps))
    )


def scale_by_adam(
    where: str,
    b1: ArrayLike,
    b2: ArrayLike,
    eps: ArrayLike,
    eps_root: ArrayLike = 0.0,
    nesterov: bool = False,
) -> Piece:
    """m̂ / (√(v̂ + ε₀) + ε), its numbers checked; with `nesterov` the looked-ahead mean for m̂."""
    _check_means(where, b1, b2)
    check_eps(where, eps, eps_root)
    return lambda cast: optax.scale_by_adam(
        cast(b1), cast(b2), cast(eps), cast(eps_root), nesterov=nesterov
    )


def _scale_by_amsgrad(b1: ArrayLike, b2: ArrayLike, eps: ArrayLike) -> optax.GradientTransformation:
    """Optax's state, its largest v freed of the start after the maximum is taken."""
    kept = optax.scale_by_amsgrad(b1, b2, eps, bias_correction_nu=False)

    def update(
        updates: optax.Updates, state: Any, params: optax.Params | None = None
    ) -> tuple[optax.Updates, Any]:
        state = kept.update(updates, state)[1]
        mean = optax.tree.bias_correction(state.mu, b1, state.count)
        largest = optax.tree.bias_correction(state.nu_max, b2, state.count)
        return jax.tree.map(lambda m, v: m / (jnp.sqrt(v) + eps), mean, largest), state

    return optax.GradientTransformation(kept.init, update)


def _check_means(where: str, b1: ArrayLike, b2: ArrayLike) -> None:
    check_fraction(where, "b1", b1, "0.9")
    check_fraction(where, "b2", b2, "0.999")

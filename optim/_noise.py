"""Chance in an optimizer, drawn anew at each update from a key and the number of updates made.

gradient_noise   g ← g + n,   n normal of variance η / (1 + t)^γ,   t = 0, 1, 2, ...
dilution         update ← m · update,   m = 0 with probability p, else 1, of each weight

Their state is the number of updates alone, so a run that is resumed draws what it would have drawn.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from ._builder import matched
from ._checks import check_fraction, check_nonnegative
from ._widen import Cast, widened

Draw: TypeAlias = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


class NoiseState(NamedTuple):
    """What `gradient_noise` and `dilution` keep."""

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count
    """int32 (): the updates made."""


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

    def noisy(cast: Cast) -> Draw:
        def drawn(key: jax.Array, count: jax.Array, g: jax.Array) -> jax.Array:
            size = jnp.sqrt(cast(variance) / (1.0 + count) ** cast(decay))
            return g + size * jax.random.normal(key, g.shape, g.dtype)

        return drawn

    return widened(lambda cast: _drawing(key, noisy(cast)))


def dilution(
    key: jax.Array, fraction: ArrayLike, patterns: str | Sequence[str] = "*"
) -> optax.GradientTransformationExtraArgs:
    """Leave a random subset of the weights as they are at each update, the others as usual.

    Stands last in a chain, behind the optimizer, whose state moves on for all weights; so, unlike
    where gradients are dropped, neither momentum nor weight decay moves a weight that is left out.
    `fraction` is p in [0, 1): each weight is left out with this probability, of the parameters
    whose path one of the `patterns` matches. Nothing is scaled up for it. The subset of an update
    depends on `key` and the number of updates alone, so a run can be resumed. Raises ValueError
    for a fraction out of range, or from `init` for a pattern that matches no parameter.

    >>> import jax, jax.numpy as jnp
    >>> from laminax.optim import chain, sgd
    >>> optimizer, w = chain(sgd(1.0), dilution(jax.random.key(0), 0.25)), jnp.zeros(10_000)
    >>> updates, _ = optimizer.update(jnp.ones(10_000), optimizer.init(w), w)
    >>> sorted(set(updates.tolist())), round(float((updates == 0).mean()), 2)
    ([-1.0, -0.0], 0.25)

    Source: Lin et al., Learning rate dropout, 2019.
    """
    check_fraction("dilution", "fraction", fraction, "0.1")

    def diluted(cast: Cast) -> Draw:
        def drawn(key: jax.Array, count: jax.Array, u: jax.Array) -> jax.Array:
            out = jax.random.uniform(key, u.shape, jnp.float32) < cast(fraction)
            return jnp.where(out, -0.0, u)  # −0, as in `freeze`: a parameter −0 stays

        return drawn

    return matched("dilution", patterns, lambda cast: _drawing(key, diluted(cast)))


def _drawing(key: jax.Array, draw: Draw) -> optax.GradientTransformation:
    """The transform u ← draw(key, t, u) of each leaf, a key for each t and leaf."""

    def update(
        updates: optax.Updates, state: NoiseState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, NoiseState]:
        leaves = jax.tree.leaves(updates)
        keys = jax.random.split(jax.random.fold_in(key, state.count), len(leaves))
        drawn = [draw(k, state.count, leaf) for k, leaf in zip(keys, leaves, strict=True)]
        count = optax.safe_increment(state.count)
        return jax.tree.unflatten(jax.tree.structure(updates), drawn), NoiseState(count)

    return optax.GradientTransformation(lambda params: NoiseState(jnp.zeros((), jnp.int32)), update)

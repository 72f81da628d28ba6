"""Sparse codes: few units active, by keeping the k largest or by a price on activity.

    k_sparse     y_j = x_j where x_j is one of the k largest, 0 elsewhere
    l1_sparsity  y = x, at the price λ Σ_j |x_j|
    kl_sparsity  y = x, at the price λ Σ_j KL(ρ ‖ ρ̂_j), with ρ̂_j the mean of x_j over the batch

A price is a state leaf `aux_loss`, rewritten in training, which the objective adds to the loss of
every example.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from .._core._checks import default_float, feature_size, positive
from .._core._factory import factory
from .._core._layer import Context, Layer, Params, State, Variables, pointwise
from .._core._targets import wide


@factory
def k_sparse(k: int) -> Layer:
    """The k largest entries of the last axis, zeros for the others: y_j = x_j · [j in top k].

    The gradient is that of the entries kept. There are no parameters, so that a model trained with
    one k may be evaluated with another.

    Source: Makhzani and Frey, k-Sparse autoencoders, 2014.

    Args:
        k: how many entries to keep; of equal ones the first.

    Raises:
        ValueError: k < 1, or above the size of the last axis.

    >>> from laminax import nn
    >>> nn.k_sparse(2)(nn.Variables({}, {}), jnp.array([3.0, -1.0, 2.0, 0.5]))
    Array([3., 0., 2., 0.], dtype=float32)
    """
    positive("k_sparse", "k", k)

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        return Variables({}, {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        size = feature_size("k_sparse", x)
        if k > size:
            raise ValueError(
                f"k_sparse: k must be at most the {size} features of x, got {k=}; lower it"
            )
        # Not x ≥ the k-th largest: in half precision many are equal to it.
        largest = jax.lax.top_k(jax.lax.stop_gradient(x), k)[1]
        kept = jnp.put_along_axis(jnp.zeros(x.shape, bool), largest, True, axis=-1, inplace=False)
        return jnp.where(kept, x, jnp.zeros((), x.dtype)), state

    return pointwise(init, apply)


@factory
def l1_sparsity(weight: float) -> Layer:
    """A price on activity: y = x, and `aux_loss` = λ Σ_j |x_j|, its mean over the examples.

    State: aux_loss (), written in training.

    Source: Olshausen and Field, Emergence of simple-cell receptive field properties by learning a
    sparse code for natural images, 1996.

    Args:
        weight: λ, in units of the loss.

    Raises:
        ValueError: a weight that is not above 0.

    >>> from laminax import nn
    >>> layer, x = nn.l1_sparsity(0.5), jnp.array([[1.0, -2.0], [0.0, 3.0]])
    >>> state = layer.init(jax.random.key(0), x).state
    >>> y, state = layer.apply({}, state, x, nn.Context(train=True))
    >>> float(state["aux_loss"])
    1.5
    """
    weight = _price("l1_sparsity", weight)
    return _priced("l1_sparsity", lambda x: weight * jnp.abs(x).sum(-1).mean())


@factory
def kl_sparsity(weight: float, target: float = 0.05) -> Layer:
    """A price on mean activities ρ̂_j that are not ρ: y = x, and `aux_loss` = λ Σ_j KL(ρ ‖ ρ̂_j).

    KL(ρ ‖ ρ̂) = ρ log(ρ / ρ̂) + (1 - ρ) log((1 - ρ) / (1 - ρ̂)), with ρ̂ the mean of a unit over the
    batch. x must be in [0, 1], as after `nn.sigmoid`; else the price is NaN.

    State: aux_loss (), written in training.

    Source: Lee, Ekanadham and Ng, Sparse deep belief net model for visual area V2, 2008; with KL:
    Ng, Sparse autoencoder, 2011.

    Args:
        weight: λ, in units of the loss.
        target: ρ, in (0, 1).

    Raises:
        ValueError: a weight that is not above 0, a target outside (0, 1).

    >>> from laminax import nn
    >>> layer, x = nn.kl_sparsity(1.0, target=0.5), jnp.array([[0.25, 0.5], [0.25, 0.5]])
    >>> state = layer.init(jax.random.key(0), x).state
    >>> y, state = layer.apply({}, state, x, nn.Context(train=True))
    >>> round(float(state["aux_loss"]), 4)    # ½ log 2 + ½ log ⅔, and 0
    0.1438
    """
    weight = _price("kl_sparsity", weight)
    if isinstance(target, bool) or not isinstance(target, int | float) or not 0 < target < 1:
        raise ValueError(f"kl_sparsity: target must be a number in (0, 1), got {target!r}")

    def price(x: jax.Array) -> jax.Array:
        mean = x.mean(tuple(range(x.ndim - 1)))
        # A unit that is 0 for the whole batch is dear, not infinitely so.
        tiny = 1e-30
        on = target * (jnp.log(target) - jnp.log(mean + tiny))
        off = (1 - target) * (jnp.log(1 - target) - jnp.log(1 - mean + tiny))
        return weight * (on + off).sum()

    return _priced("kl_sparsity", price)


def _priced(kind: str, price: Callable[[jax.Array], jax.Array]) -> Layer:
    """Return the identity with the leaf `aux_loss` = price(x), in at least float32."""

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        feature_size(kind, x, least_rank=2)
        return Variables({}, {"aux_loss": jnp.zeros((), default_float())})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        feature_size(kind, x, least_rank=2)
        if set(state) != {"aux_loss"}:
            raise ValueError(
                f"{kind}: state must hold aux_loss, got {', '.join(state) or 'none'}; pass the "
                "state that init made or training returned with these parameters"
            )
        if not ctx.train:
            return x, state
        return x, {"aux_loss": price(wide(x)).astype(state["aux_loss"].dtype)}

    return pointwise(init, apply)


def _price(kind: str, weight: float) -> float:
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not weight > 0:
        raise ValueError(f"{kind}: weight must be a number above 0, got {weight!r}")
    return float(weight)

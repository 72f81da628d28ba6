"""The first neurons, units that fire or do not, and the network that does what none of them can.

McCulloch–Pitts   y = 1 where Σ_i x_i ≥ θ and no inhibitory input is active, else 0
perceptron        y = H(x W + b), H(s) = 1 where s ≥ 0, else 0
Adaline           y = 1 where x W + b ≥ 0, else -1
exclusive or      y = ReLU(h W_1 + b_1), h = ReLU(x W_0 + b_0)
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.nn.initializers import zeros

from .._core._checks import feature_size, positive
from .._core._combinators import serial
from .._core._factory import factory
from .._core._layer import Context, Layer, Params, State, Variables, pointwise
from .._layers._linear import dense
from ..activations._activations import heaviside


@factory
def mcculloch_pitts(threshold: int, *, inhibitory: tuple[int, ...] = ()) -> Layer:
    """McCulloch–Pitts unit: y = 1 where Σ x ≥ θ and no inhibitory input is active, else 0.

    x (..., inputs) of zeros and ones gives y (..., 1) in its dtype. Of n excitatory inputs θ = n is
    AND, θ = 1 is OR; θ = 0 and one inhibitory input is NOT. An inhibitory input is a veto, so
    counts for nothing in the sum. No parameters.

    Source: McCulloch and Pitts, A logical calculus of the ideas immanent in nervous activity, 1943.

    Args:
        threshold: θ.
        inhibitory: which inputs are inhibitory, by their index on the last axis.

    Raises:
        ValueError: an inhibitory index that x does not have.
        TypeError: a threshold or an index that is no integer.

    >>> from laminax import nn
    >>> x = jnp.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> nothing = nn.Variables({}, {})
    >>> nn.mcculloch_pitts(2)(nothing, x)[:, 0].tolist()    # AND
    [0, 0, 0, 1]
    >>> nn.mcculloch_pitts(1, inhibitory=(0,))(nothing, x)[:, 0].tolist()    # x_1 and not x_0
    [0, 1, 0, 0]
    """
    for name, value in (("threshold", threshold), *(("inhibitory", i) for i in inhibitory)):
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"mcculloch_pitts: {name} must be an integer, got {value!r}")

    def init(key: jax.Array, x: Any, **side: Any) -> Variables:
        return Variables({}, {})

    def apply(params: Params, state: State, x: Any, ctx: Context) -> tuple[jax.Array, State]:
        size = feature_size("mcculloch_pitts", x)
        if not all(0 <= i < size for i in inhibitory):
            raise ValueError(
                f"mcculloch_pitts: inhibitory must be indices in [0, {size}), got {inhibitory}"
            )
        active = jnp.asarray(x).astype(bool)
        fires = active.sum(-1, keepdims=True) >= threshold  # any inhibitory input among them vetoes
        vetoed = active[..., jnp.asarray(inhibitory, int)].any(-1, keepdims=True)
        return (fires & ~vetoed).astype(x.dtype), state

    return pointwise(init, apply)


@factory
def perceptron(features: int = 1) -> Layer:
    """Perceptron: y = H(x W + b), with H(s) = 1 where s ≥ 0, else 0.

    Parameters: those of `dense`, all zero at first. No gradient passes a step: it learns by
    `perceptron_rule`.

    Source: Rosenblatt, The perceptron: a probabilistic model for information storage and
    organization in the brain, 1958.

    Args:
        features: number of units.

    Raises:
        ValueError: features < 1.

    >>> from laminax import nn
    >>> weights = {"dense_0": {"w": jnp.array([[1.0], [1.0]]), "b": jnp.array([-1.5])}}
    >>> x = jnp.array([[0.0, 1.0], [1.0, 1.0]])
    >>> nn.perceptron()(nn.Variables(weights, {}), x).tolist()    # AND
    [[0.0], [1.0]]
    """
    positive("perceptron", "features", features)
    return serial(dense(features, init=zeros), heaviside)


@factory
def adaline(features: int = 1) -> Layer:
    """Adaline, the adaptive linear element: y = 1 where x W + b ≥ 0, else -1.

    Parameters: those of `dense`, all zero at first. It learns by `adaline_rule`.

    Source: Widrow and Hoff, Adaptive switching circuits, 1960.

    Args:
        features: number of units.

    Raises:
        ValueError: features < 1.

    >>> from laminax import nn
    >>> weights = {"dense_0": {"w": jnp.array([[2.0]]), "b": jnp.array([-1.0])}}
    >>> nn.adaline()(nn.Variables(weights, {}), jnp.array([[0.0], [1.0]])).tolist()
    [[-1.0], [1.0]]
    """
    positive("adaline", "features", features)
    return serial(dense(features, init=zeros), bipolar)


@factory
def xor_net() -> Layer:
    """Network for exclusive or: h = ReLU(x W_0 + b_0) of two units, y = ReLU(h W_1 + b_1).

    x (..., 2), y (..., 1). `xor_solution()` are weights that solve it.

    Source: Goodfellow, Bengio and Courville, Deep learning, 2016, section 6.1.

    >>> from laminax import nn
    >>> jax.tree.map(jnp.shape, nn.xor_net().init(jax.random.key(0), jnp.zeros((1, 2))).params)
    {'dense_0': {'b': (2,), 'w': (2, 2)}, 'dense_1': {'b': (1,), 'w': (2, 1)}}
    """
    return serial(dense(2), jax.nn.relu, dense(1), jax.nn.relu)


def xor_solution() -> Variables:
    """Exact weights of `xor_net`: h₁ = ReLU(x₁ + x₂), h₂ = ReLU(x₁ + x₂ - 1), y = ReLU(h₁ - 2 h₂).

    >>> from laminax import nn
    >>> x = jnp.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> nn.xor_net()(nn.xor_solution(), x)[:, 0].tolist()
    [0.0, 1.0, 1.0, 0.0]
    """
    hidden = {"w": jnp.array([[1.0, 1.0], [1.0, 1.0]]), "b": jnp.array([0.0, -1.0])}
    answer = {"w": jnp.array([[1.0], [-2.0]]), "b": jnp.array([0.0])}
    return Variables({"dense_0": hidden, "dense_1": answer}, {})


def bipolar(s: jax.Array) -> jax.Array:
    """Sign without a zero: 1 where s ≥ 0, else -1."""
    return 2 * heaviside(s) - 1

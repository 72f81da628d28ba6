"""What an estimator is made of, made once for all its clones, which then share their programs."""

import functools
from collections.abc import Callable, Hashable
from typing import Any, TypeAlias

import jax
import numpy as np
import optax
from numpy.typing import ArrayLike, NDArray

from laminax.nn import Layer, mlp

from ._check import check_kind, check_optimizer
from ._objective import Objective, supervised

Model: TypeAlias = Callable[[int], Layer]
"""From the number of outputs to the layer."""

Optimizer: TypeAlias = Callable[[float], optax.GradientTransformation]
"""From the learning rate to the transform."""


def default_model(outputs: int) -> Layer:
    """The model of an estimator that is given none: one hidden layer of 100 units.

    >>> from laminax.train._estimator import default_model
    >>> list(default_model(3).children)
    ['flatten_0', 'dense_0', 'relu_0', 'dense_1']
    """
    return mlp(100, outputs)


def layer_of(where: str, model: Model, outputs: int) -> Layer:
    """Return the model of so many outputs.

    Raises:
        TypeError: `model` is no hashable function from a number to a layer.
    """
    repair = "give a function of the number of outputs, such as functools.partial(nn.mlp, 64)"
    _check_function(where, "model", model, Layer, repair)
    layer: Layer = _made(where, "model", model, outputs)
    check_kind(where, "model(outputs)", layer, Layer, repair)
    return layer


def optimizer_of(where: str, optimizer: Optimizer, rate: float) -> optax.GradientTransformation:
    """Return the transform of that rate.

    Raises:
        TypeError: `optimizer` is no hashable function from a rate to a transform.
    """
    repair = "give a function of the rate, such as optim.adam, and rate= beside it"
    _check_function(where, "optimizer", optimizer, tuple, repair)
    made: optax.GradientTransformation = _made(where, "optimizer", optimizer, rate)
    check_optimizer(where, made)
    return made


@functools.lru_cache(maxsize=128)
def objective_of(layer: Layer, loss: Callable[[Any, Any], Any]) -> Objective:
    """Return the loss of (outputs, (y, w)) as the pair (wℓ, w), which the step adds and divides."""

    def weighted(outputs: Any, target: tuple[Any, jax.Array]) -> tuple[jax.Array, jax.Array]:
        y, weights = target
        value = loss(outputs, y)
        return weights.astype(value.dtype) * value, weights

    return supervised(layer, weighted)


def check_outputs(where: str, layer: Layer, x: Any, outputs: int) -> None:
    """Raise unless the layer maps x (n, ...) to (n, outputs)."""
    y = jax.eval_shape(lambda x: layer(layer.init(jax.random.key(0), x), x), x)
    if getattr(y, "shape", None) != (len(x), outputs):
        got = jax.tree.map(lambda leaf: leaf.shape, y)
        raise ValueError(
            f"{where}: model({outputs}) must map x {x.shape} to {(len(x), outputs)}, got {got}; "
            "use the number of outputs that the function is given"
        )


def weights_of(where: str, sample_weight: ArrayLike | None, examples: int) -> NDArray[Any]:
    """Return one weight an example, 1 unless given.

    Raises:
        ValueError: of another shape, not finite, negative, or all zero.
    """
    if sample_weight is None:
        return np.ones(examples, float_dtype())
    weights = np.asarray(sample_weight, float_dtype())
    if weights.shape != (examples,):
        raise ValueError(
            f"{where}: sample_weight must be one weight an example, shape ({examples},), "
            f"got shape {weights.shape}"
        )
    if not (np.isfinite(weights).all() and weights.min() >= 0 and weights.max() > 0):
        raise ValueError(
            f"{where}: each sample_weight must be at least 0 and finite and not all of them zero, "
            f"got {weights.min()} to {weights.max()}; leave out what is not to count"
        )
    return weights


def float_dtype() -> np.dtype[Any]:
    """Return what JAX computes in: float32 unless told otherwise."""
    return np.dtype(jax.dtypes.canonicalize_dtype(float))


def _check_function(where: str, name: str, value: Any, made: type, repair: str) -> None:
    if isinstance(value, made) or not callable(value):
        raise TypeError(f"{where}: {name}: got {type(value).__name__}; {repair}")


def _made(where: str, name: str, function: Callable[[Any], Any], value: Any) -> Any:
    """Call the function, once for all equal ones: clones copy a partial, but not its parts."""
    parts: tuple[Any, ...] = function, (), ()
    if isinstance(function, functools.partial):
        parts = function.func, function.args, tuple(function.keywords.items())
    try:
        hash((parts, value))
    except TypeError as error:
        raise TypeError(
            f"{where}: {name}: {error}; give tuples for lists, and numbers for arrays"
        ) from None
    return _called(*parts, value)


@functools.lru_cache(maxsize=128)
def _called(
    function: Callable[..., Any], args: tuple[Any, ...], keywords: tuple[Any, ...], value: Hashable
) -> Any:
    return function(*args, value, **dict(keywords))

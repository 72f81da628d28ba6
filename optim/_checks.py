"""Eager checks of arguments: a value that is known is judged at once, a JAX tracer is let through.

Every function names the factory (`where`), the argument (`name`), what came and what would do.
"""

import math
import operator
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike


def check_positive(where: str, name: str, value: ArrayLike, example: str = "") -> None:
    """Raise unless 0 < value < ∞."""
    number = _known(where, name, value)
    if number is not None and not 0.0 < number < math.inf:
        raise ValueError(_message(where, name, value, "a finite number above 0", example))


def check_nonnegative(where: str, name: str, value: ArrayLike, example: str = "") -> None:
    """Raise unless 0 ≤ value < ∞."""
    number = _known(where, name, value)
    if number is not None and not 0.0 <= number < math.inf:
        raise ValueError(_message(where, name, value, "a finite number, 0 or above", example))


def check_least(where: str, name: str, value: ArrayLike, least: float, example: str = "") -> None:
    """Raise unless least ≤ value < ∞."""
    number = _known(where, name, value)
    if number is not None and not least <= number < math.inf:
        expected = f"a finite number, {least:g} or above"
        raise ValueError(_message(where, name, value, expected, example))


def check_fraction(where: str, name: str, value: ArrayLike, example: str = "") -> None:
    """Raise unless 0 ≤ value < 1."""
    number = _known(where, name, value)
    if number is not None and not 0.0 <= number < 1.0:
        raise ValueError(_message(where, name, value, "a number in [0, 1)", example))


def check_share(where: str, name: str, value: ArrayLike, example: str = "") -> None:
    """Raise unless 0 ≤ value ≤ 1."""
    number = _known(where, name, value)
    if number is not None and not 0.0 <= number <= 1.0:
        raise ValueError(_message(where, name, value, "a number in [0, 1]", example))


def check_steps(
    where: str, name: str, value: ArrayLike, example: str = "", *, least: int = 1
) -> None:
    """Raise unless value is a whole number, `least` or above."""
    number = _known(where, name, value)
    if number is None:
        return
    try:
        operator.index(value)  # type: ignore[arg-type]  # the call is the check
    except TypeError as error:
        raise TypeError(_message(where, name, value, "a whole number (an int)", example)) from error
    if number < least:
        expected = f"a whole number, {least} or above"
        raise ValueError(_message(where, name, value, expected, example))


def check_boundaries(where: str, boundaries: Sequence[ArrayLike] | jax.Array) -> None:
    """Raise unless the boundaries are a row of whole numbers that rise from 1 or above."""
    listed = isinstance(boundaries, (list, tuple))
    if not listed and getattr(boundaries, "ndim", 0) != 1:
        raise ValueError(
            f"{where}: boundaries are {boundaries!r}; expected a row of steps such as [1000, 2000]."
        )
    if isinstance(boundaries, jax.core.Tracer):
        return
    for index, boundary in enumerate(boundaries):
        check_steps(where, f"boundaries[{index}]", boundary)
    known = [int(np.asarray(at)) for at in boundaries if not isinstance(at, jax.core.Tracer)]
    if known != sorted(set(known)):
        raise ValueError(f"{where}: boundaries are {known}; expected each above the one before it.")


def check_params(where: str, params: Any) -> None:
    """Raise ValueError where `update` was called without the parameters."""
    if params is None:
        raise ValueError(
            f"{where}: params is None; expected the parameters that the updates are for; call "
            "optimizer.update(gradient, opt_state, params)."
        )


def check_transform(where: str, optimizer: Any) -> None:
    """Raise TypeError for what is no gradient transformation."""
    if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
        name = getattr(optimizer, "__name__", repr(optimizer))
        raise TypeError(
            f"{where}: optimizer is {name}; expected a gradient transformation such as adam(1e-3)."
        )


def _known(where: str, name: str, value: ArrayLike) -> float | None:
    """The value as a float, or None for a tracer; anything but one real number raises."""
    if np.shape(value) != ():
        raise ValueError(
            f"{where}: {name} has shape {np.shape(value)}; expected one number; to try several "
            f"values, jax.vmap over a function that builds the optimizer from one."
        )
    if isinstance(value, jax.core.Tracer):
        return None
    if isinstance(value, (bool, str, bytes)) or not np.isrealobj(value):
        raise TypeError(_message(where, name, value, "a real number"))
    try:
        return float(np.asarray(value))
    except (TypeError, ValueError) as error:
        raise TypeError(_message(where, name, value, "a real number")) from error


def _message(where: str, name: str, value: object, expected: str, example: str = "") -> str:
    repair = f"; try {name}={example}" if example else ""
    return f"{where}: {name} is {value!r}; expected {expected}{repair}."

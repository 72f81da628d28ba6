"""What metrics of a whole set share: arrays on the host, checked."""

from typing import Any, TypeAlias

import jax
import numpy as np
from numpy.typing import NDArray

from .._core._specs import describe

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]


def floats(kind: str, name: str, x: Any) -> Floats:
    """Return an array of numbers in float64.

    Raises:
        TypeError: it is traced, or holds no numbers.
        ValueError: it is empty or not finite.
    """
    values = _on_host(kind, name, x).astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"{kind}: {name} must be finite, got {values[~np.isfinite(values)][0]}")
    return values


def classes_of(kind: str, name: str, x: Any, classes: int) -> Integers:
    """Return class numbers.

    Raises:
        TypeError: it is traced, or not of integers or booleans.
        ValueError: it is empty, or holds what is no class.
    """
    values = _on_host(kind, name, x)
    if values.dtype.kind not in "iub":
        raise TypeError(
            f"{kind}: {name} must be integers, got {describe(values)}; "
            "of logits take argmax(-1), of one logit (z > 0).astype(int)"
        )
    wrong = values[(values < 0) | (values >= classes)]
    if wrong.size:
        raise ValueError(f"{kind}: {name} must lie in [0, {classes}), got {wrong[0]}")
    return values.astype(np.int64)


def check_same(kind: str, **arrays: NDArray[Any]) -> None:
    """Raise where arrays differ in shape."""
    if len({a.shape for a in arrays.values()}) > 1:
        shapes = ", ".join(f"{name} {list(a.shape)}" for name, a in arrays.items())
        raise ValueError(f"{kind}: arrays must have one shape, got {shapes}; flatten them alike")


def _on_host(kind: str, name: str, x: Any) -> NDArray[Any]:
    if isinstance(x, jax.core.Tracer):
        raise TypeError(
            f"{kind}: {name} is traced, but the metric is of a whole set and computed on the host; "
            "call it outside jit, on what train.predict returns"
        )
    values = np.asarray(x)
    if values.dtype.kind not in "iubf" and values.dtype.name != "bfloat16":
        raise TypeError(f"{kind}: {name} must be an array of numbers, got {values.dtype}")
    if not values.size:
        raise ValueError(f"{kind}: {name} is empty, got {describe(values)}")
    return values

"""Features brought to mean 0 and standard deviation 1, as measured on the training split alone.

y = (x - μ) / σ,    μ, σ for each entry of the last axis, over all others of the training data
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

_AT_ONCE = 2**22  # numbers that are in float64 at a time


class Standardizer(NamedTuple):
    """y = (x - μ) / σ: one mean and deviation for each feature, or channel of images.

    Fit it on the training split, and apply it to every split: to host arrays, or in the program,
    where uint8 data stay small: `nn.serial(standardize, ...)`. It is a pytree of its numbers. A
    feature that never varies becomes 0.

    For tables with missing values, categories or heavy tails fit scikit-learn's `preprocessing` on
    the training rows; what its `transform` returns are the arrays to train on.

    Attributes:
        mean: μ, float64 (features,).
        std: σ, float64 (features,), 1 where a feature never varies.

    >>> train, test = np.array([[0.0, 5.0], [2.0, 5.0]]), np.array([[4.0, 6.0]])
    >>> standardize = Standardizer.fit(train)
    >>> standardize(train).tolist(), standardize(test).tolist()
    ([[-1.0, 0.0], [1.0, 0.0]], [[3.0, 1.0]])
    """

    mean: Any
    std: Any

    @classmethod
    def fit(cls, x: Any) -> "Standardizer":
        """Measure the training data, in float64; read in pieces, so a memory-mapped file will do.

        Args:
            x: (examples, ..., features), of any dtype of numbers.

        Raises:
            TypeError: no array of numbers.
            ValueError: no examples, no last axis of features, values that are not finite.
        """
        x = _checked(x)
        mean = sum(part.sum(0) for part in _parts(x)) / (x.size // x.shape[-1])
        if not np.isfinite(mean).all():
            raise ValueError(
                "Standardizer.fit: values that are not finite in features "
                f"{np.flatnonzero(~np.isfinite(mean)).tolist()}; clean or impute them"
            )
        square = sum(np.square(part - mean).sum(0) for part in _parts(x))
        std = np.sqrt(square / (x.size // x.shape[-1]))
        # Not by std == 0: rounding may leave a deviation to a feature that never varies.
        first = next(_parts(x))[0]
        varies = np.any([(part != first).any(0) for part in _parts(x)], 0)
        return cls(mean, np.where(varies, std, 1.0))

    def __call__(self, x: Any) -> Any:
        """Return (x - μ) / σ, in at least float32; of a NumPy array it is one, too."""
        values, mean, std = self._alike(x)
        return (values - mean) / std

    def inverse(self, y: Any) -> Any:
        """Return σ y + μ: what was standardized, as it was."""
        values, mean, std = self._alike(y)
        return values * std + mean

    def _alike(self, x: Any) -> tuple[Any, Any, Any]:
        library: Any = np if isinstance(x, np.ndarray) else jnp
        values = library.asarray(x)
        if not values.ndim or values.shape[-1:] != np.shape(self.mean):
            raise ValueError(
                f"Standardizer: x must have {np.shape(self.mean)[0]} features on its last axis, as "
                f"it was fitted to, got {values.dtype}{list(values.shape)}"
            )
        exact = jnp.issubdtype(values.dtype, jnp.floating) and values.dtype.itemsize >= 4
        values = values if exact else values.astype(np.float32)
        ahead = (1,) * (values.ndim - 1)
        mean, std = (
            library.asarray(part).astype(values.dtype).reshape(*ahead, -1) for part in self
        )
        return values, mean, std


def _checked(data: Any) -> NDArray[Any]:
    if not isinstance(data, np.ndarray | jax.Array):
        raise TypeError(f"Standardizer.fit: x must be an array, got {type(data).__name__}")
    x: NDArray[Any] = np.asarray(data)
    if x.dtype != bool and not jnp.issubdtype(x.dtype, jnp.number):
        raise TypeError(f"Standardizer.fit: x must hold numbers, got {x.dtype}; encode them first")
    if x.ndim < 2 or not x.size:
        raise ValueError(
            "Standardizer.fit: x must be (examples, ..., features), at least one of each, got shape"
            f" {list(x.shape)}; x[:, None] for one feature"
        )
    return x


def _parts(x: NDArray[Any]) -> Iterator[NDArray[np.float64]]:
    """Yield x in pieces (numbers, features) of float64."""
    rows = max(1, _AT_ONCE // (x.size // len(x)))
    for start in range(0, len(x), rows):
        yield x[start : start + rows].reshape(-1, x.shape[-1]).astype(np.float64)

"""Which steps of a padded batch of sequences are real: side inputs `mask` or `lengths`.

    mask (batch, time) bool, True where x is real;    lengths (batch,): mask[b, t] = t < lengths[b]

Of memory, that is of another sequence read from, `memory_mask` or `memory_lengths` say the same.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._checks import indices
from ._layer import Context
from ._specs import describe


def padding_mask(kind: str, ctx: Context, x: Any, name: str = "mask") -> jax.Array | None:
    """Return the (batch, time) bool mask of `x` (batch, time, ...), or None where none is given.

    Args:
        kind: the layer that asks, for its errors.
        ctx: its `side` holds the mask or the lengths; an entry of None counts as not given.
        x: the sequence it is of; only its shape is read.
        name: "mask", or "memory_mask" where `x` is memory.

    Raises:
        ValueError: both are given; a shape that is not the one of `x`; a length outside [0, time].
        TypeError: a mask that does not hold bools, lengths that do not hold integers.
    """
    lengths_name = name.replace("mask", "lengths")
    mask, lengths = ctx.side.get(name), ctx.side.get(lengths_name)
    if mask is not None and lengths is not None:
        raise ValueError(f"{kind}: got both {name} and {lengths_name}; give one of the two")
    if mask is not None:
        _check(kind, name, mask, np.bool_, "(batch, time)", x.shape[:2])
        return jnp.asarray(mask)
    if lengths is not None:
        _check(kind, lengths_name, lengths, np.integer, "(batch,)", x.shape[:1])
        _check_range(kind, lengths_name, lengths, x.shape[1])
        return _prefix(indices(lengths), x.shape[1])
    return None


def _prefix(lengths: jax.Array, time: int) -> jax.Array:
    return jnp.arange(time, dtype=lengths.dtype)[None, :] < lengths[:, None]


def _check(
    kind: str, name: str, value: Any, dtype: type, axes: str, shape: tuple[int, ...]
) -> None:
    if not hasattr(value, "dtype") or not jnp.issubdtype(value.dtype, dtype):
        word = "bools, True where x is real" if dtype is np.bool_ else "integers"
        raise TypeError(f"{kind}: {name} must be an array of {word}, got {describe(value)}")
    if jnp.shape(value) != tuple(shape):
        raise ValueError(
            f"{kind}: {name} must have shape {axes} = {tuple(shape)} as x has, "
            f"got {describe(value)}"
        )


def _check_range(kind: str, name: str, lengths: Any, time: int) -> None:
    if isinstance(lengths, jax.core.Tracer) or not np.size(lengths):
        return
    values = np.asarray(lengths)  # NumPy's own: JAX's would be traced inside a scan
    least, most = int(values.min()), int(values.max())
    if least < 0 or most > time:
        raise ValueError(
            f"{kind}: {name} must lie in [0, {time}], the number of time steps of x, "
            f"got {least} to {most}; count the real steps of each row"
        )

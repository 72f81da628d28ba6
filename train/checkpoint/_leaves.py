"""One leaf of a tree as JSON and bytes, and back.

An entry is {"value": v} for a Python number or string; {"dtype", "shape", "sha256"} for an array,
whose bytes stand in the file under the same path; and with "key" added, the name of the
implementation, for typed keys, whose bytes are their key data.
"""

import hashlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from numpy.typing import NDArray

from .._processes import put

Entry = dict[str, Any]


class DamageError(Exception):
    """What is in the file is not what was saved."""


_SCALARS = (bool, int, float, str)
# Others are stored as bytes: the format lacks them, or its NumPy reader does.
NATIVE = {
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("bfloat16", "float16", "float32", "float64"),
}


def describe(path: str, leaf: Any) -> tuple[Entry, Any]:
    """The entry of a leaf, its digest not taken, and what of it is an array: a key's data."""
    if type(leaf) in _SCALARS:
        return {"value": leaf}, None
    spec(path, leaf)
    if isinstance(leaf, jax.core.Tracer | jax.ShapeDtypeStruct):
        raise TypeError(
            f"save: {path!r} is {leaf}, which holds no numbers; save the arrays, outside of jit."
        )
    entry: Entry = {}
    if is_key(leaf):
        entry["key"] = str(jax.random.key_impl(leaf))
        leaf = jax.random.key_data(leaf)
    return entry | {"dtype": np.dtype(leaf.dtype).name, "shape": list(leaf.shape)}, leaf


def encode(path: str, leaf: Any) -> tuple[Entry, NDArray[Any] | None]:
    """The entry of a leaf, and the array to store for it, if any."""
    entry, leaf = describe(path, leaf)
    if leaf is None:
        return entry, None
    # The writer stores memory as it lies, so: row-major, native byte order, and unlike
    # np.ascontiguousarray no axis added to a scalar.
    array = np.asarray(leaf, order="C")
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    flat = array.reshape(-1).view(np.uint8)
    entry["sha256"] = digest(flat)
    return entry, array if array.dtype.name in NATIVE else flat


def decode(path: str, entry: Entry, stored: NDArray[Any] | None, template: Any) -> Any:
    """The leaf of an entry: NumPy where the template is, a JAX array else, or the plain value.

    Where the template is laid out over a mesh, so is the leaf.
    """
    if stored is None:
        return entry["value"]
    flat = check(path, entry, stored)
    array = flat.view(np.dtype(entry["dtype"])).reshape(entry["shape"])
    if "key" in entry:
        return placed(jax.random.wrap_key_data(jnp.array(array), impl=entry["key"]), template)
    if isinstance(template, np.ndarray | np.generic):
        return array
    return placed(array, template)


def check(path: str, entry: Entry, stored: NDArray[Any]) -> NDArray[np.uint8]:
    """The bytes of a stored array, once they are known to be those that were saved.

    Raises:
        DamageError: they are not.
    """
    flat = stored.reshape(-1).view(np.uint8)
    if digest(flat) != entry["sha256"]:
        raise DamageError(f"the bytes of {path!r} are not those that were saved")
    return flat


def placed(leaf: Any, template: Any) -> jax.Array:
    """An array laid out as the template is, on the default device where it is not."""
    sharding = getattr(template, "sharding", None)
    if isinstance(sharding, NamedSharding):
        array: jax.Array = put(leaf, sharding)
        return array
    return leaf if isinstance(leaf, jax.Array) else jnp.array(leaf)


def stored_spec(entry: Entry) -> str:
    """What an entry holds, to compare with `spec` of a template's leaf."""
    if "value" in entry:
        return type(entry["value"]).__name__
    shape = tuple(entry["shape"])
    if "key" not in entry:
        return _name(np.dtype(entry["dtype"]), shape)
    data = np.zeros(shape, np.uint32)
    key = jax.eval_shape(lambda d: jax.random.wrap_key_data(d, impl=entry["key"]), data)
    return _name(key.dtype, key.shape)


def spec(path: str, leaf: Any) -> str:
    """What a leaf is: "float32[3, 4]", "key<fry>[]", "int".

    Raises:
        TypeError: a leaf that is no array of numbers, key, number or string.
    """
    if type(leaf) in _SCALARS:
        return type(leaf).__name__
    dtype = getattr(leaf, "dtype", None)
    if dtype is None or not (is_key(leaf) or _is_numeric(dtype)):
        found = type(leaf).__name__ if dtype is None else f"an array of {dtype}"
        raise TypeError(
            f"checkpoint: {path!r} is {found}; a tree to save holds arrays of numbers, typed keys,"
            " bool, int, float and str. Convert it or leave it out."
        )
    return _name(dtype, leaf.shape)


def too_wide(leaf: Any) -> bool:
    """Whether JAX would narrow this leaf of a template, for want of `jax_enable_x64`."""
    if isinstance(leaf, (*_SCALARS, np.ndarray, np.generic)) or is_key(leaf):
        return False
    return bool(jax.dtypes.canonicalize_dtype(leaf.dtype) != leaf.dtype)


def _name(dtype: Any, shape: tuple[int, ...]) -> str:
    return f"{getattr(dtype, 'name', dtype)}{list(shape)}"


def is_key(leaf: Any) -> bool:
    """Whether a leaf holds typed keys."""
    return bool(jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key))


def _is_numeric(dtype: Any) -> bool:
    wider = np.dtype(dtype).itemsize > (16 if np.dtype(dtype).kind == "c" else 8)
    return not wider and bool(jnp.issubdtype(dtype, jnp.number) or dtype == np.bool_)


def digest(flat: NDArray[np.uint8]) -> str:
    """SHA-256 of bytes."""
    return hashlib.sha256(flat.data).hexdigest()

"""Trees to save and read back, and what must be the same."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st

WIDE = ["bool", "int8", "int16", "int32", "uint8", "uint16", "uint32", "float16", "float32"]
NUMPY_ONLY = ["int64", "uint64", "float64", "complex128"]
SMALL = ["bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3b11fnuz", "float8_e8m0fnu"]
TINY = ["int4", "uint4", "int2", "uint2", "float4_e2m1fn"]
DTYPES = [*WIDE, *NUMPY_ONLY, "complex64", *SMALL, *TINY]


class Pair(NamedTuple):
    first: Any
    second: Any


@jax.tree_util.register_dataclass
@dataclass
class Box:
    content: Any
    extra: Any


def numbers(dtype: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Every bit pattern a type of this width can have, NaN and infinity included."""
    size = np.dtype(dtype).itemsize * int(np.prod(shape))
    raw = np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)
    if dtype == "bool":
        raw %= 2
    if dtype in TINY:
        return (raw % 4).astype(dtype).reshape(shape)
    return raw.view(dtype).reshape(shape)


def raw(leaf: Any) -> tuple[Any, ...]:
    """What must come back to the bit."""
    if type(leaf) in (bool, int, float, str):
        return type(leaf), repr(leaf)
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return str(leaf.dtype), leaf.shape, np.asarray(jax.random.key_data(leaf)).tobytes()
    return leaf.dtype.name, leaf.shape, np.asarray(leaf).tobytes()


def same(found: Any, expected: Any) -> None:
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    assert [raw(leaf) for leaf in jax.tree.leaves(found)] == [
        raw(leaf) for leaf in jax.tree.leaves(expected)
    ]


def containers(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1)
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.tuples(inner, inner),
            st.dictionaries(names, inner, max_size=3),
            st.builds(Pair, inner, inner),
            st.builds(Box, inner, inner),
        ),
        max_leaves=6,
    )


ARRAYS = st.builds(
    numbers,
    st.sampled_from(DTYPES),
    st.lists(st.integers(0, 3), max_size=3).map(tuple),
    st.integers(0, 99),
)
LEAVES = st.one_of(
    ARRAYS,
    ARRAYS.map(np.transpose),
    st.none(),
    st.booleans(),
    st.integers(-(2**80), 2**80),
    st.floats(),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.builds(
        lambda seed: np.random.default_rng(seed).normal(size=(6, 4))[::-2, 1::2], st.integers(0, 9)
    ),
)

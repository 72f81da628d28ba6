"""Arrays kept in 8 or 16 bits, rounded at random so that they are right on average.

8 bits: a block of 256 numbers keeps its largest magnitude s in float32, and of each number x a
signed code k, of 127 levels either side of 0; a block without a negative number has 255 levels. A
level is a fourth power, which keeps apart numbers far below s:

    x = s sign(k) (|k| / 127)⁴,    or    x = s ((k + 128) / 255)⁴

16 bits: bfloat16, the upper half of a float32.

A number between the levels a < b becomes b with probability (x − a) / (b − a), else a: rounded to
the nearest, an average that moves by a thousandth of itself would stay where it is. No number but 0
becomes 0, nor does one change its sign; below the first level, 4·10⁻⁹ s or 2·10⁻¹⁰ s, it is put on
it. So of Adam the root of v cannot fall far below what is left of m: a finer first level of v alone
would let the steps explode.

Source: Dettmers et al., 8-bit optimizers via block-wise quantization, 2022, whose levels are others
and whose rounding is to the nearest; of the rounding Gupta et al., Deep learning with limited
numerical precision, 2015.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

MOST = 256  # numbers in a block; where it does not divide an array, down to half of it


class Blocks(NamedTuple):
    """An array in 8 bits; its float32 numbers are read block by block in the order of C."""

    codes: jax.Array
    """int8, of the array's own shape."""
    scales: jax.Array
    """float32 (blocks,): the largest magnitude of each, made negative where no number is."""


def encode(x: jax.Array, bits: jax.Array) -> Blocks:
    """The float32 array in 8 bits, rounded by random bits, uint32 of its shape.

    Its error is below the distance of two levels, at most 4/127 of the block's largest magnitude.

    >>> x = jnp.array([-2.0, 1e-3, 0.0, 0.5])
    >>> blocks = encode(x, random_bits(jnp.int32(0), 0, x.shape))
    >>> blocks.codes.dtype, blocks.scales.tolist(), decode(blocks)[:3:2].tolist()
    (dtype('int8'), [2.0], [-2.0, 0.0])
    """
    rows = _rows(x)
    high, low = _extremes(rows)
    # A block of zeros has no sign of its scale to tell that none is negative.
    scale, positive = jnp.maximum(high, -low), (low >= 0) & (high > 0)
    step = jnp.where(positive, jnp.float32(1 / 255), jnp.float32(1 / 127))
    size = jnp.abs(rows)
    share = size / jnp.where(scale > 0, scale, 1)
    code = jnp.floor(jnp.sqrt(jnp.sqrt(share)) / step)
    below, above = _fourth(code * step), _fourth((code + 1) * step)
    # 24 bits are what a float32 in [0, 1) holds.
    draw = (_rows(bits) >> 8).astype(jnp.float32) * np.float32(2**-24)
    code += (draw * (above - below) < share - below).astype(jnp.float32)
    code = jnp.where(size > 0, jnp.clip(code, 1, jnp.where(positive, 255.0, 127.0)), 0)
    code = jnp.where(positive, code - 128, jnp.sign(rows) * code).astype(jnp.int8)
    return Blocks(_like(x, code), jnp.where(positive, -scale, scale)[:, 0])


def decode(blocks: Blocks) -> jax.Array:
    """The float32 array, of the codes' shape; a block that was not finite is not finite."""
    code, scale = _rows(blocks.codes).astype(jnp.float32), blocks.scales[:, None]
    level = jnp.where(scale < 0, (code + 128) * np.float32(1 / 255), code * np.float32(1 / 127))
    size = jnp.abs(scale) * _fourth(level)
    # The smallest levels of a block of tiny numbers would underflow.
    tiny = jnp.finfo(jnp.float32).tiny  # type: ignore[no-untyped-call]
    size = jnp.where((level != 0) & (size < tiny), tiny, size)
    return _like(blocks.codes, jnp.where(level < 0, -size, size))


def halve(x: jax.Array, bits: jax.Array) -> jax.Array:
    """The float32 array in bfloat16, rounded by random bits, uint32 of its shape.

    >>> x = jnp.full(10_000, 1 + 2**-9)  # a quarter of the way from 1 to the next, 1 + 2⁻⁷
    >>> round(float((halve(x, random_bits(jnp.int32(0), 0, x.shape)) > 1).mean()), 2)
    0.25
    """
    # Magnitudes are ordered as their bits are, and the lower half is the share of the way up.
    raised = jax.lax.bitcast_convert_type(x, jnp.uint32) + (bits >> 16)
    cut = jax.lax.bitcast_convert_type((raised >> 16).astype(jnp.uint16), jnp.bfloat16)
    return jnp.where(jnp.isfinite(x), cut, x.astype(jnp.bfloat16))


def random_bits(count: jax.Array, start: ArrayLike, shape: tuple[int, ...]) -> jax.Array:
    """uint32 of the shape: a hash of `count`, int32 (), and of the places from `start`, uint32, on.

    That is all that rounding needs; JAX's generator takes tens of times as long on a CPU.

    Source: Appleby, MurmurHash3, 2011, of the mixing.
    """
    places = jax.lax.iota(jnp.uint32, math.prod(shape)) + jnp.asarray(start, jnp.uint32)
    return _mixed(places ^ _mixed(count.astype(jnp.uint32))).reshape(shape)


def _mixed(bits: jax.Array) -> jax.Array:
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        bits = (bits ^ (bits >> shift)) * np.uint32(factor)
    return bits ^ (bits >> 16)


def _extremes(rows: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The largest and the least number of each row (n, 1), NaN where one is.

    Both in one pass, into which the compiler draws what makes the rows: it keeps no copy of them.
    """
    high, low = jax.lax.reduce(
        (rows, rows),
        (np.float32(-np.inf), np.float32(np.inf)),
        lambda a, b: (jnp.maximum(a[0], b[0]), jnp.minimum(a[1], b[1])),
        (1,),
    )
    return high[:, None], low[:, None]


def _rows(x: jax.Array) -> jax.Array:
    """The blocks as rows, the last one filled up with zeros."""
    size = _block(x.size)
    return jnp.pad(x.reshape(-1), (0, -x.size % size)).reshape(-1, size)


def _block(size: int) -> int:
    """The largest block that divides the array: filling one up costs a copy of the whole."""
    return next((block for block in range(MOST, MOST // 2 - 1, -1) if size % block == 0), MOST)


def _like(x: jax.Array, rows: jax.Array) -> jax.Array:
    return rows.reshape(-1)[: x.size].reshape(x.shape)


def _fourth(x: jax.Array) -> jax.Array:
    return jnp.square(jnp.square(x))

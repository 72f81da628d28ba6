"""The endless stream of shuffled examples, computed inside the program.

Slot j of step s is position p = s·B + j of one permutation of the n examples after another:

    row_j = perm(fold_in(key, p // n))[p mod n]

so every batch is full, every epoch shows every example once, and any step can be asked for on its
own. From n = 64 on, perm is an 8-round Feistel network on pairs (left, right), left < a, right < b,
a·b ≥ n, walked along its cycle until it lands below n: its cost does not depend on n.
"""

from functools import partial
from math import isqrt
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike
from numpy.typing import NDArray

Tree = TypeVar("Tree")

_FEISTEL_FROM = 64  # with fewer examples the halves are so short that the rounds show
_ROUNDS = 8
_EXAMPLES = 2**30  # bound on n: every sum and product below then fits 32 bits


def index(key: jax.Array, step: ArrayLike, batch_size: int, n: int) -> jax.Array:
    """Rows of the training batch at `step`: int32 of shape (batch_size,).

    Slot j holds perm(fold_in(key, p // n))[p mod n] at position p = step·batch_size + j. A pure
    function of `key` and `step`, to be traced, scanned or vmapped at will; `batch_size` and `n` are
    static. A batch that crosses the end of an epoch takes rows of both permutations. Epochs are
    counted modulo 2³².

    Args:
        key: typed key of the data stream.
        step: training step, 0 ≤ step < 2³².
        batch_size: B, at least 1.
        n: number of examples, 1 ≤ n < 2³⁰.

    Raises:
        TypeError: `key` is not one typed key.
        ValueError: `step`, `batch_size` or `n` is out of range.

    >>> import jax
    >>> batches = [index(jax.random.key(0), step, 2, 6) for step in range(3)]
    >>> sorted(int(row) for batch in batches for row in batch)
    [0, 1, 2, 3, 4, 5]

    Source: J. Black and P. Rogaway, Ciphers with Arbitrary Finite Domains, 2002.
    """
    check_stream("index", key, batch_size, n)
    if isinstance(step, int) and not 0 <= step < 2**32:
        raise ValueError(f"index: step is {step}; steps are counted from 0 to 2**32 - 1.")
    step = jnp.asarray(step, dtype=jnp.uint32)
    rows: jax.Array = _index(key, step, int(batch_size), int(n))
    return rows


def gather(data: Tree, rows: jax.Array) -> Tree:
    """The examples `rows` of every array in `data`, along the leading axis.

    The rows are promised to be in range and are not checked: a row that `index` or
    `padded_batches` made always is.

    >>> import numpy as np
    >>> x, y = gather((np.arange(6).reshape(3, 2), np.arange(3)), np.array([2, 0]))
    >>> x.tolist(), y.tolist()
    ([[4, 5], [0, 1]], [2, 0])
    """

    def take(a: ArrayLike) -> jax.Array:
        a = jnp.asarray(a)
        # On a CPU a row of one axis is copied as a piece, one of several element by element.
        flat = a.reshape(a.shape[0], -1) if a.ndim > 2 else a
        return flat.at[rows].get(mode="promise_in_bounds").reshape(*rows.shape, *a.shape[1:])

    taken: Tree = jax.tree.map(take, data)
    return taken


def padded_batches(n: int, batch_size: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Rows and weights of an evaluation pass: every example once, in order, in full batches.

    Two arrays of shape (ceil(n / batch_size), batch_size): int32 rows, and float32 weights of 1.
    The last batch is filled up with row 0 at weight 0.

    Raises:
        ValueError: `n` or `batch_size` is out of range.

    >>> rows, weights = padded_batches(5, 3)
    >>> rows.tolist(), weights.tolist()
    ([[0, 1, 2], [3, 4, 0]], [[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]])
    """
    check_sizes("padded_batches", batch_size, n)
    slots = np.arange(-(-n // batch_size) * batch_size, dtype=np.int32).reshape(-1, batch_size)
    real = slots < n
    return np.where(real, slots, np.int32(0)), real.astype(np.float32)


def steps_until(epoch: int, batch_size: int, n: int) -> int:
    """Steps after which `epoch`, counted from 0, has been seen whole: ceil((epoch + 1)·n / B).

    >>> [steps_until(epoch, batch_size=4, n=10) for epoch in range(3)]
    [3, 5, 8]
    """
    return -(-(epoch + 1) * n // batch_size)


@partial(jax.jit, static_argnums=(2, 3), inline=True)  # so that a call by hand compiles once, too
def _index(key: jax.Array, step: jax.Array, batch_size: int, n: int) -> jax.Array:
    epoch, start = _position(step, batch_size, n)
    slots = start + lax.iota(jnp.uint32, batch_size)
    ahead, position = slots // np.uint32(n), slots % np.uint32(n)
    touched = (batch_size + n - 2) // n + 1  # epochs that one batch may reach into
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, epoch + lax.iota(jnp.uint32, touched))
    if n < _FEISTEL_FROM:
        orders = jax.vmap(lambda k: jax.random.permutation(k, n))(keys)
        return orders[ahead, position].astype(jnp.int32)
    return _walk(position, jax.vmap(_round_keys)(keys)[ahead], n).astype(jnp.int32)


def _position(step: jax.Array, batch_size: int, n: int) -> tuple[jax.Array, jax.Array]:
    """The pair divmod(step·batch_size, n) in 32-bit words, the quotient modulo 2³².

    Long multiplication: with step = c·n + r the product is c·B·n + r·B, and r·B is built from the
    digits of B, reduced modulo n after each. The base is as large as n leaves room for: one digit
    is the common case.
    """
    bits = 31 - n.bit_length()  # rest·base + r·digit < 2·n·base ≤ 2³²
    modulus, base = np.uint32(n), np.uint32(1 << bits)
    cycles, r = step // modulus, step % modulus
    epoch = rest = jnp.zeros_like(step)
    for shift in reversed(range(0, batch_size.bit_length(), bits)):
        digit = np.uint32(batch_size >> shift & int(base) - 1)
        value = rest * base + r * digit
        epoch, rest = epoch * base + value // modulus, value % modulus
    return cycles * np.uint32(batch_size) + epoch, rest


def _round_keys(key: jax.Array) -> jax.Array:
    """Eight words; by folding alone, since random bits may differ between back ends."""
    folded = jax.vmap(jax.random.fold_in, (None, 0))(key, lax.iota(jnp.uint32, _ROUNDS // 2))
    return jax.random.key_data(folded).reshape(-1)[:_ROUNDS]


def _walk(position: jax.Array, keys: jax.Array, n: int) -> jax.Array:
    """The permutation of [0, n): the network's own, of [0, a·b), skipping what lies outside."""

    def outside(x: jax.Array) -> jax.Array:
        return jnp.any(x >= np.uint32(n))

    def again(x: jax.Array) -> jax.Array:
        return jnp.where(x < np.uint32(n), x, _feistel(x, keys, n))

    return lax.while_loop(outside, again, _feistel(position, keys, n))


def _feistel(x: jax.Array, keys: jax.Array, n: int) -> jax.Array:
    """A permutation of [0, a·b): each round adds a hash of one half to the other half."""
    a = isqrt(n - 1) + 1  # a·b < n + a: hardly a position has to walk
    b = -(-n // a)
    left, right = x // np.uint32(b), x % np.uint32(b)
    for i in range(0, _ROUNDS, 2):
        left = (left + _hash(right, keys[..., i])) % np.uint32(a)
        right = (right + _hash(left, keys[..., i + 1])) % np.uint32(b)
    return left * np.uint32(b) + right


def _hash(x: jax.Array, key: jax.Array) -> jax.Array:
    """24 mixed bits: enough that reducing them modulo a half is even, too few to overflow a sum."""
    h = (x ^ key) * np.uint32(0x85EBCA6B)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return (h ^ (h >> np.uint32(16))) >> np.uint32(8)


def check_stream(where: str, key: jax.Array, batch_size: int, n: int) -> None:
    """Raise unless there is a stream of these batches: one typed key, sizes in range."""
    dtype = getattr(key, "dtype", None)
    if dtype is None or not jnp.issubdtype(dtype, jax.dtypes.prng_key) or key.shape != ():
        raise TypeError(
            f"{where}: key is {key!r}; it must be one typed key: make it with jax.random.key(seed)."
        )
    check_sizes(where, batch_size, n)


def check_sizes(where: str, batch_size: int, n: int) -> None:
    """Raise ValueError for sizes that cannot be."""
    if not 1 <= n < _EXAMPLES:
        raise ValueError(
            f"{where}: the data holds n = {n} examples; between 1 and 2**30 - 1 are supported."
            " Give at least one example, or split larger data."
        )
    if not isinstance(batch_size, int | np.integer) or not 1 <= batch_size < _EXAMPLES:
        raise ValueError(
            f"{where}: batch_size is {batch_size}; it must be an integer from 1 to 2**30 - 1,"
            " 32 or 128 for example."
        )

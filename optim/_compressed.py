"""Any optimizer with its memory kept small: `compressed(adam(1e-3), "int8")`.

    state ← small(update(wide(state), g)),    wide: float32 again; small: bfloat16 or 8-bit blocks

Adam's two averages are twice the parameters in float32; in bfloat16 they are as large as they, in
8 bits half as large. The update itself is made in float32.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import DTypeLike

from ._blocks import Blocks, decode, encode, halve, random_bits
from ._checks import check_steps, check_transform
from ._wrappers import check_no_average

Small: TypeAlias = Callable[[jax.Array, jax.Array], Any]


class CompressedState(NamedTuple):
    """What `compressed` keeps."""

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count
    """int32 (): the updates made, from which each one's rounding is drawn."""
    optimizer: optax.OptState
    """The optimizer's state; its large float32 arrays as bfloat16 arrays or `Blocks`."""


def compressed(
    optimizer: optax.GradientTransformation, dtype: DTypeLike, *, least: int = 4096
) -> optax.GradientTransformationExtraArgs:
    """Keep the optimizer's state in `dtype`, "bfloat16" or "int8", between its updates.

    Of its state every float32 array of `least` numbers or more is kept so: in half the bytes, or in
    just over a quarter, 8 bits a number and one float32 for 256 of them. All else is left as it is.
    While an update is made the compiler may hold more. Rounding is at random: averages stay right
    in the mean however slowly they move; v neither freezes nor turns 0 or negative. In bfloat16 the
    root of Adam's v is off by 2%, in 8 bits by 5 to 15%, the more the more the gradients of a block
    differ in size. The rounding of an update depends on its number alone, so a run can be resumed.

    Averages of the parameters are no such memory: `ema`, `lookahead` and `schedule_free` stand
    outside, `chain(compressed(adam(1e-3), "int8"), ema(0.999))`. Raises ValueError for another
    dtype, a number out of range, or (from `init`) for one of those inside; TypeError for what is
    no transform.

    >>> import jax.numpy as jnp
    >>> from laminax.optim import adam
    >>> optimizer, params = compressed(adam(0.1), "int8"), jnp.zeros((64, 128))
    >>> state = optimizer.init(params)
    >>> updates, state = optimizer.update(jnp.ones_like(params), state)
    >>> round(updates[0, 0].item(), 4), state.optimizer[0].nu.codes.dtype
    (-0.1, dtype('int8'))

    Source: Dettmers et al., 8-bit optimizers via block-wise quantization, 2022.
    """
    check_transform("compressed", optimizer)
    check_steps("compressed", "least", least, "4096")
    small = _small(dtype)
    inner = optax.with_extra_args_support(optimizer)

    def large(leaf: jax.Array) -> bool:
        # Single numbers, such as the rate, are read by others.
        return leaf.ndim > 0 and leaf.size >= least

    def restored(leaf: Any) -> Any:
        if isinstance(leaf, Blocks):
            return _decoded(leaf)
        halved = small is halve and leaf.dtype == jnp.bfloat16 and large(leaf)
        return leaf.astype(jnp.float32) if halved else leaf

    def stored(kept: optax.OptState, count: jax.Array) -> CompressedState:
        leaves, structure = jax.tree.flatten(kept)
        leaves = [
            _rounded(small, leaf, count, _start(i))
            if leaf.dtype == jnp.float32 and large(leaf)
            else leaf
            for i, leaf in enumerate(leaves)
        ]
        return CompressedState(count, jax.tree.unflatten(structure, leaves))

    def init(params: optax.Params) -> CompressedState:
        kept = inner.init(params)
        check_no_average(
            "compressed",
            kept,
            "which few bits would spoil",
            'chain(compressed(adam(1e-3), "int8"), ema(0.999))',
        )
        # Else the compiler would itself, and slowly, compress what starts as a constant.
        kept = jax.lax.optimization_barrier(kept)
        return stored(kept, jnp.zeros((), jnp.int32))

    def update(
        updates: optax.Updates,
        state: CompressedState,
        params: optax.Params | None = None,
        **extra: Any,
    ) -> tuple[optax.Updates, CompressedState]:
        kept = jax.tree.map(
            restored, state.optimizer, is_leaf=lambda node: isinstance(node, Blocks)
        )
        updates, kept = inner.update(updates, kept, params, **extra)
        return updates, stored(kept, optax.safe_increment(state.count))

    return optax.GradientTransformationExtraArgs(init, update)


# Both are traced once for all leaves of a shape.
_decoded = jax.jit(decode)


@functools.partial(jax.jit, static_argnums=0)
def _rounded(small: Small, leaf: jax.Array, count: jax.Array, start: np.uint32) -> Any:
    return small(leaf, random_bits(count, start, leaf.shape))


def _start(index: int) -> np.uint32:
    """Where the random bits of a leaf start: one of eight places, far from each other.

    Not a place for each, because leaves that share all constants share the compiled loop too.
    """
    return np.uint32(index * 0x9E3779B1 & 0xE0000000)  # 2³² / φ spreads the indices evenly


def _small(dtype: DTypeLike) -> Small:
    """The function from a float32 array, and random bits, to its small kind."""
    kinds: dict[str, Small] = {"bfloat16": halve, "int8": encode}
    try:
        name = jnp.dtype(dtype).name
    except TypeError:
        name = repr(dtype)
    if name not in kinds:
        raise ValueError(f"compressed: dtype is {name}; expected one of {', '.join(kinds)}.")
    return kinds[name]

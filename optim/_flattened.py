"""Many small arrays updated as one: `flattened(adam(1e-3))`.

    g = [g₁; g₂; …],    u, state ← update(g, state),    [u₁; u₂; …] = u

An update of a small array costs its start, not its arithmetic; a thousand joined cost one start.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ._checks import check_steps, check_transform
from ._paths import paths
from ._wrappers import check_no_average

_TREES = {"grad", "value_fn"}  # extra arguments in the shape of the parameters
_TRIAL: tuple[Any, Any] = (  # parameters and a gradient
    {"a": np.array([1, -2], "f"), "b": np.array([[3, 0.5], [0.25, -4], [1, 1]], "f")},
    {"a": np.array([0.3, -5], "f"), "b": np.array([[2, -0.1], [0.7, 4], [-3, 0.2]], "f")},
)


def flattened(
    optimizer: optax.GradientTransformation, *, largest: int = 4096
) -> optax.GradientTransformationExtraArgs:
    """Update all arrays of up to `largest` numbers joined in one vector, one for each dtype.

    For models of hundreds of small arrays, where starting each update is what costs; larger arrays
    stay whole, since joining copies them. Only for optimizers that treat every number alike, such
    as `adam`: their updates stay the same, within rounding. To the optimizer the parameters are a
    flat dict, large arrays by path and the joined ones as "joined float32". So patterns that tell
    small arrays apart stand outside, and so do averages of the parameters:

        select({"*/w": flattened(adamw(1e-3)), "*": flattened(adam(1e-3))})
        chain(flattened(adam(1e-3)), ema(0.999))

    Raises ValueError for a number out of range, or (from `init`) for an optimizer that tells arrays
    apart, such as `lars`, or averages the parameters; TypeError for what is no transform.

    >>> import jax.numpy as jnp
    >>> from laminax.optim import adam
    >>> optimizer, params = flattened(adam(0.1)), {"b": jnp.zeros(2), "w": jnp.zeros((3, 2))}
    >>> state = optimizer.init(params)
    >>> updates, state = optimizer.update({"b": jnp.ones(2), "w": jnp.ones((3, 2))}, state)
    >>> updates["w"].shape, {path: m.shape for path, m in state[0].mu.items()}
    ((3, 2), {'joined float32': (8,)})
    """
    check_transform("flattened", optimizer)
    check_steps("flattened", "largest", largest, "4096")
    inner = optax.with_extra_args_support(optimizer)

    def init(params: optax.Params) -> optax.OptState:
        _check_alike(inner)
        state = inner.init(_joined(params, largest))
        check_no_average(
            "flattened",
            state,
            "which would be joined too",
            "chain(flattened(adam(1e-3)), ema(0.999))",
        )
        return state

    def update(
        updates: optax.Updates,
        state: optax.OptState,
        params: optax.Params | None = None,
        **extra: Any,
    ) -> tuple[optax.Updates, optax.OptState]:
        extra = {name: value for name, value in extra.items() if name not in _TREES}
        joined = None if params is None else _joined(params, largest)
        flat, state = inner.update(_joined(updates, largest), state, joined, **extra)
        return _split(flat, updates, largest), state

    return optax.GradientTransformationExtraArgs(init, update)


def _places(tree: Any, largest: int) -> list[str]:
    """The key in the flat dict that each leaf comes under."""
    return [
        f"joined {leaf.dtype}" if leaf.size <= largest else path
        for path, leaf in zip(paths(tree), jax.tree.leaves(tree), strict=True)
    ]


def _joined(tree: Any, largest: int) -> dict[str, jax.Array]:
    parts: dict[str, list[jax.Array]] = {}
    for place, leaf in zip(_places(tree, largest), jax.tree.leaves(tree), strict=True):
        parts.setdefault(place, []).append(leaf if leaf.size > largest else leaf.reshape(-1))
    return {
        place: leaves[0] if leaves[0].size > largest else jnp.concatenate(leaves)
        for place, leaves in parts.items()
    }


def _split(flat: Mapping[str, jax.Array], like: Any, largest: int) -> Any:
    leaves, structure = jax.tree.flatten(like)
    places = _places(like, largest)
    sizes: dict[str, list[int]] = {}
    for place, leaf in zip(places, leaves, strict=True):
        sizes.setdefault(place, []).append(leaf.size)
    parts = {place: iter(_cut(flat[place], sizes[place])) for place in sizes}
    return jax.tree.unflatten(
        structure,
        [
            next(parts[place]).reshape(leaf.shape)
            for place, leaf in zip(places, leaves, strict=True)
        ],
    )


def _cut(vector: jax.Array, sizes: list[int]) -> list[jax.Array]:
    return [vector] if len(sizes) == 1 else jnp.split(vector, np.cumsum(sizes)[:-1])


def _check_alike(optimizer: optax.GradientTransformationExtraArgs) -> None:
    """Raise where the updates of two small arrays are not those of the same numbers joined."""
    with jax.ensure_compile_time_eval():
        apart = _trial(optimizer, *_TRIAL)
        joined = _trial(optimizer, *(_joined(tree, 8) for tree in _TRIAL))
        if isinstance(apart, jax.core.Tracer):  # of a traced rate nothing can be compared
            return
        alike = np.allclose(apart, joined, rtol=0, atol=1e-3 * np.abs(apart).max())
    if not alike:
        raise ValueError(
            "flattened: the optimizer treats numbers by the array that they are in, as lars and "
            "muon do; expected one that treats all alike, such as adam(1e-3); leave flattened out, "
            "or what tells arrays apart out of it, such as "
            "chain(centralize(), flattened(adam(1e-3)))."
        )


def _trial(
    optimizer: optax.GradientTransformationExtraArgs, params: Any, gradient: Any
) -> jax.Array:
    """Two updates with the same gradient, as one vector."""
    state, parts = optimizer.init(params), []
    for _ in range(2):
        updates, state = optimizer.update(gradient, state, params, value=jnp.float32(1))
        parts += [leaf.reshape(-1) for leaf in jax.tree.leaves(updates)]
    return jnp.concatenate(parts)

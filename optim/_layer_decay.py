"""Rates that fall from the output of a model to its input, as fine-tuning wants them.

    update ← γᵈ · update,    d the depth from the output: 0 of the last group

The optimizer's own state is as without: the factor is that of its rate.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from ._checks import check_share
from ._paths import assign_all, paths
from ._stacked import Stacked, layer_axes
from ._widen import widened

_WHERE = "layerwise_decay"
_REPAIR = "add a pattern that does, at the place of its layers between the input and the output"


def layerwise_decay(
    optimizer: optax.GradientTransformation,
    groups: Sequence[str | Sequence[str]],
    decay: ArrayLike,
    *,
    stacked: Stacked = None,
) -> optax.GradientTransformationExtraArgs:
    """Multiply the optimizer's updates by γᵈ, d the depth of their layer counted from the output.

    `groups` are the model's layers from the input to the output, each a pattern of paths or several
    of one depth; every parameter belongs to the group of the first pattern that matches it. The
    last has depth 0, each before it one more. `decay` is γ in [0, 1]. `stacked` gives the number of
    leading layer axes of each parameter, as `nn.stacked(model)` does: a group of n stacked layers
    counts n depths, and each layer has the factor of its own. `rate` is that of depth 0. Raises
    ValueError for a decay out of range, and from `init` for a pattern that matches nothing that an
    earlier one left, parameters that none matches, or a group whose leaves are not stacked alike.

    >>> import jax, jax.numpy as jnp
    >>> from laminax.optim import sgd
    >>> params = {"embed": jnp.ones(1), "blocks": jnp.ones((3, 1)), "head": jnp.ones(1)}
    >>> stacked = {"embed": 0, "blocks": 1, "head": 0}
    >>> optimizer = layerwise_decay(sgd(1.0), ["embed", "blocks", "head"], 0.5, stacked=stacked)
    >>> updates, _ = optimizer.update(params, optimizer.init(params), params)
    >>> updates["embed"].tolist(), updates["blocks"].ravel().tolist(), updates["head"].tolist()
    ([-0.0625], [-0.125, -0.25, -0.5], [-1.0])

    Source: Howard and Ruder, Universal language model fine-tuning for text classification (ULMFiT),
    2018, with γ = 1 / 2.6; Clark et al., ELECTRA: pre-training text encoders as discriminators
    rather than generators, 2020, with γ = 0.8 and 0.9.
    """
    check_share(_WHERE, "decay", decay, "0.9")
    layers = _checked(groups)

    def init(params: optax.Params) -> optax.OptState:
        _depths(layers, stacked, params)
        return optax.EmptyState()

    def falling(updates: optax.Updates, decay: ArrayLike) -> optax.Updates:
        rows = zip(jax.tree.leaves(updates), _depths(layers, stacked, updates), strict=True)
        scaled = [u * decay ** jnp.asarray(d, u.dtype) for u, d in rows]
        return jax.tree.unflatten(jax.tree.structure(updates), scaled)

    return optax.chain(
        optimizer,
        widened(
            lambda cast: optax.GradientTransformation(
                init, lambda updates, state, params=None: (falling(updates, cast(decay)), state)
            )
        ),
    )


def _depths(layers: list[tuple[str, ...]], stacked: Stacked, tree: Any) -> list[np.ndarray]:
    """The depth from the output of each leaf's layers, in a shape that broadcasts with the leaf."""
    owners = [group for group, patterns in enumerate(layers) for _ in patterns]
    hits = assign_all(_WHERE, [p for patterns in layers for p in patterns], tree, _REPAIR)
    leaves, groups = jax.tree.leaves(tree), [owners[hit] for hit in hits]
    axes = layer_axes(_WHERE, stacked, tree)
    stacks = [leaf.shape[:n] for leaf, n in zip(leaves, axes, strict=True)]
    _check_alike(paths(tree), [layers[group] for group in groups], stacks)
    sizes = {group: math.prod(stack) for group, stack in zip(groups, stacks, strict=True)}
    below = {group: sum(sizes[i] for i in range(group + 1, len(layers))) for group in sizes}

    def depth(leaf: jax.Array, group: int, stack: tuple[int, ...]) -> np.ndarray:
        depths: np.ndarray = below[group] + np.arange(sizes[group])[::-1]
        return depths.reshape(*stack, *[1] * (leaf.ndim - len(stack)))

    return [depth(*row) for row in zip(leaves, groups, stacks, strict=True)]


def _check_alike(
    names: list[str], groups: list[tuple[str, ...]], stacks: list[tuple[int, ...]]
) -> None:
    """Raise where leaves of one group have different stacks of layers."""
    first: dict[tuple[str, ...], tuple[str, tuple[int, ...]]] = {}
    for name, group, stack in zip(names, groups, stacks, strict=True):
        other, expected = first.setdefault(group, (name, stack))
        if stack != expected:
            raise ValueError(
                f"{_WHERE}: in the group {group} the layers of {other} are {expected}, those of "
                f"{name} are {stack}; expected as many of each; give them groups of their own."
            )


def _checked(groups: Any) -> list[tuple[str, ...]]:
    listed = isinstance(groups, Sequence) and not isinstance(groups, str) and len(groups) > 0
    if not listed or not all(isinstance(group, Sequence) and len(group) > 0 for group in groups):
        raise TypeError(
            f"{_WHERE}: groups is {groups!r}; expected patterns from the input to the output, such "
            'as ["embed/*", "blocks/*", ["norm/*", "head/*"]].'
        )
    return [(group,) if isinstance(group, str) else tuple(group) for group in groups]

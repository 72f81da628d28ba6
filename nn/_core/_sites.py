"""Where in a tree the leaves stand that a pattern matches, and how to put others in their place."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax

from laminax._paths import matched, path_of

from ._layer import Layer, Params


class Site(NamedTuple):
    """A place in the tree of parameters.

    Attributes:
        keys: from the root to it.
        parts: what stands there, an array or a dict of arrays.
        axes: how many leading layer axes its arrays have.
    """

    keys: tuple[str, ...]
    parts: Any
    axes: int

    @property
    def path(self) -> str:
        """The keys joined by "/"."""
        return "/".join(self.keys)

    def over_layers(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Map a function of one layer over the stacked ones."""
        for _ in range(self.axes):
            function = jax.vmap(function)
        return function

    def layer_keys(self, key: jax.Array) -> jax.Array:
        """Return a key for each stacked layer; the key itself where none are stacked."""
        shape = jax.tree.leaves(self.parts)[0].shape[: self.axes]
        return jax.random.split(key, shape) if self.axes else key


def find_sites(
    kind: str, layer: Layer, params: Params, pattern: str, parts: Sequence[str]
) -> list[Site]:
    """Return the sites that `pattern` matches, of arrays or of dicts that hold `parts`.

    Raises:
        ValueError: there is none, or arrays stand where `parts` should.
    """

    def in_parts(node: Any) -> bool:
        return (
            isinstance(node, Mapping)
            and bool(parts)
            and set(node) == set(parts)
            and not any(isinstance(part, Mapping) for part in node.values())
        )

    nodes = jax.tree.leaves_with_path(params, in_parts)
    hits = matched(kind, pattern, [path_of(keys) for keys, _ in nodes])
    sites = []
    for (keys, node), hit in zip(nodes, hits, strict=True):
        if hit and parts and not in_parts(node):
            raise ValueError(
                f"{kind}: params must hold {', '.join(parts)} under {path_of(keys)!r}, got one "
                f"array; were these made without {kind}?"
            )
        if hit:
            names = tuple(key.key for key in keys)
            sites.append(Site(names, node, _layer_axes(layer, names)))
    return sites


def put(tree: Any, keys: Sequence[str], value: Any) -> Any:
    """Return the tree with `value` under `keys`."""
    if not keys:
        return value
    return {**tree, keys[0]: put(tree.get(keys[0], {}), keys[1:], value)}


def take(tree: Any, keys: Sequence[str]) -> tuple[Any, Any]:
    """Return what stands under `keys`, and the tree without it and without what that empties."""
    rest = {name: entry for name, entry in tree.items() if name != keys[0]}
    if len(keys) == 1:
        return tree[keys[0]], rest
    value, below = take(tree[keys[0]], keys[1:])
    return value, {**rest, keys[0]: below} if below else rest


def _layer_axes(layer: Layer, names: Sequence[str]) -> int:
    axes = layer._stacked
    for name in names:
        if name not in layer.children:
            break
        layer = layer.children[name]
        axes += layer._stacked
    return axes

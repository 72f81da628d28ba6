"""A transform for each group of parameters, the groups named by patterns of paths.

    update of leaf p = update of transforms[first pattern that matches p]

Every parameter belongs to exactly one group; a group that would be empty is an error.
"""

import html
import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from ._paths import assign, assign_all, listed, paths

_HEAD = ("pattern", "leaves", "parameters", "paths")


class Match(NamedTuple):
    """What one pattern matched."""

    pattern: str
    paths: tuple[str, ...]
    parameters: int
    """The number of elements in all its leaves."""


@dataclass(frozen=True, repr=False)
class Matches:
    """A table of what each pattern matched; prints as text, shows as HTML in a notebook."""

    rows: tuple[Match, ...]

    def __str__(self) -> str:
        """The table as aligned text."""
        cells = [_HEAD, *map(_cells, self.rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(3)]
        return "\n".join(
            f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}"
            for row in cells
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        lines = [_html_row("th", _HEAD), *(_html_row("td", _cells(row)) for row in self.rows)]
        return f"<table>{''.join(lines)}</table>"


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class SelectState:
    """What `select` keeps."""

    patterns: tuple[str, ...] = field(metadata={"static": True})
    """The pattern of each group."""
    groups: dict[int, optax.OptState]
    """By its place among the patterns, the state of each group's transform."""


def matches(patterns: Iterable[str], params: optax.Params) -> Matches:
    """A table of what each pattern matches, the first match winning as in `select`.

    `patterns` is a list of patterns or the very dict given to `select`; parameters (arrays or
    their specs) that none matches stand in a last row, `(none)`. Raises ValueError for a pattern
    that matches nothing, TypeError for one that is no string.

    >>> import jax.numpy as jnp
    >>> params = {"encoder": {"w": jnp.zeros((3, 4)), "b": jnp.zeros(4)}, "head": jnp.zeros((4, 2))}
    >>> print(matches(["encoder/*", "*"], params))
    pattern    leaves  parameters  paths
    encoder/*       2          16  encoder/b, encoder/w
    *               1           8  head
    """
    ordered = (patterns,) if isinstance(patterns, str) else tuple(patterns)
    return _matches("matches", ordered, params)


def select(
    transforms: Mapping[str, optax.GradientTransformation],
) -> optax.GradientTransformationExtraArgs:
    """A transform for each group of parameters: the first pattern that matches a path decides.

    In a pattern `*` stands for any text, "/" included: `"encoder/*"`, `"*/b"`, `"*"`. A path is
    the keys down to a leaf joined by "/". What each pattern matched is logged by `init` at level
    INFO of the logger "laminax"; `matches(transforms, params)` gives the same table. Raises from
    `init`, before any compile, ValueError for a pattern that matches nothing (or nothing that an
    earlier one left) and for parameters that none matches; TypeError for a value that is no
    transform.

    >>> import jax.numpy as jnp
    >>> from laminax.optim import freeze, sgd
    >>> optimizer = select({"encoder/*": freeze(), "*": sgd(0.5)})
    >>> params = {"encoder": {"w": jnp.ones(1)}, "head": {"w": jnp.ones(1)}}
    >>> updates, _ = optimizer.update(params, optimizer.init(params), params)
    >>> abs(updates["encoder"]["w"].item()), updates["head"]["w"].item()
    (0.0, -0.5)
    """
    if not isinstance(transforms, Mapping) or not transforms:
        raise TypeError(
            f"select: got {transforms!r}; expected a dict from patterns to transforms such as "
            f'{{"encoder/*": freeze(), "*": adam(1e-3)}}.'
        )
    for pattern, transform in transforms.items():
        if not (hasattr(transform, "init") and hasattr(transform, "update")):
            raise TypeError(
                f"select: the transform of pattern {pattern!r} is {transform!r}; expected a "
                f"gradient transformation such as adam(1e-3) or freeze()."
            )
    patterns = tuple(transforms)
    # Groups are numbered: a pattern holds "/", and numbers keep their order through a pytree.
    inner = optax.partition(
        dict(enumerate(transforms.values())),
        lambda tree: _labels(patterns, tree),
        mask_compatible_extra_args=True,
    )
    logged: set[str] = set()  # init is traced more than once; the same table is logged once

    def init(params: optax.Params) -> SelectState:
        table = str(_matches("select", patterns, params))
        if table not in logged:
            logged.add(table)
            logging.getLogger("laminax").info("select:\n%s", table)
        return SelectState(patterns, inner.init(params).inner_states)

    def update(
        updates: optax.Updates,
        state: SelectState,
        params: optax.Params | None = None,
        **extra: Any,
    ) -> tuple[optax.Updates, SelectState]:
        before = optax.transforms.PartitionState(state.groups)
        updates, after = inner.update(updates, before, params, **extra)
        return updates, SelectState(patterns, after.inner_states)

    return optax.GradientTransformationExtraArgs(init, update)


def freeze() -> optax.GradientTransformationExtraArgs:
    """No update and no state: parameters keep every bit.

    >>> import jax.numpy as jnp
    >>> transform = freeze()
    >>> updates, _ = transform.update(jnp.array([3.0]), transform.init(jnp.zeros(1)))
    >>> abs(updates.item())
    0.0
    """

    def update(
        updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, optax.OptState]:
        # −0 is the neutral element of IEEE addition: −0 + 0 would turn a parameter −0 into 0.
        return jax.tree.map(lambda leaf: jnp.full_like(leaf, -0.0), updates), state

    return optax.with_extra_args_support(
        optax.GradientTransformation(lambda params: optax.EmptyState(), update)
    )


def _labels(patterns: tuple[str, ...], tree: Any) -> Any:
    """The number of its group for each leaf."""
    repair = 'add a last pattern "*" with a transform for the rest, or with freeze()'
    hits = assign_all("select", patterns, tree, repair)
    return jax.tree.unflatten(jax.tree.structure(tree), hits)


def _matches(where: str, patterns: tuple[str, ...], params: optax.Params) -> Matches:
    hits = assign(where, patterns, params)
    rows: dict[int | None, tuple[list[str], list[int]]] = {}
    for name, leaf, hit in zip(paths(params), jax.tree.leaves(params), hits, strict=True):
        names, sizes = rows.setdefault(hit, ([], []))
        names.append(name)
        sizes.append(math.prod(leaf.shape))
    return Matches(
        tuple(
            Match("(none)" if hit is None else patterns[hit], tuple(names), sum(sizes))
            for hit, (names, sizes) in sorted(rows.items(), key=lambda row: (row[0] is None, row))
        )
    )


def _cells(row: Match) -> tuple[str, str, str, str]:
    return row.pattern, f"{len(row.paths):,}", f"{row.parameters:,}", listed(row.paths, shown=3)


def _html_row(tag: str, cells: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

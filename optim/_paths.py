"""Paths of leaves and the patterns that select them: public API for whatever acts on some leaves.

A path is the keys from the root to a leaf, joined by "/": `encoder/dense_0/w`. A pattern is a path
in which `*` stands for any text, of any length, "/" included; all else stands for itself:

    encoder/*        everything under encoder, however deep
    */b              every b below the top level
    */dense_1/*      every leaf of every dense_1, not those of dense_10
    *                everything
"""

import re
from collections.abc import Sequence
from typing import Any

import jax

_SHOWN = 12


def paths(tree: Any) -> list[str]:
    """The paths of a tree's leaves, in the order of `jax.tree.leaves`.

    >>> paths({"head": {"w": 1.0, "b": 0.0}, "scale": 1.0})
    ['head/b', 'head/w', 'scale']
    """
    leaves = jax.tree.leaves_with_path(tree)
    return [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves]


def match(pattern: str, path: str) -> bool:
    """Whether a pattern matches a whole path; `*` is any text, "/" included.

    >>> match("encoder/*", "encoder/dense_0/w"), match("*/b", "encoder/dense_0/w")
    (True, False)
    """
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), path, re.DOTALL) is not None


def assign(where: str, patterns: Sequence[str], tree: Any) -> list[int | None]:
    """For each leaf the index of the first pattern that matches it, None where none does.

    Raises TypeError for a pattern that is no string, ValueError for one that gets no leaf.
    """
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise TypeError(
                f"{where}: pattern {pattern!r} is {type(pattern).__name__}; expected a string "
                f'such as "encoder/*" or "*/b".'
            )
    names = paths(tree)
    hits = [
        next((i for i, pattern in enumerate(patterns) if match(pattern, name)), None)
        for name in names
    ]
    for index, pattern in enumerate(patterns):
        if index not in hits:
            raise ValueError(_nothing(where, pattern, names))
    return hits


def mask(where: str, patterns: Sequence[str], tree: Any) -> Any:
    """A tree of bools: whether any of the patterns matches the leaf."""
    hits = assign(where, patterns, tree)
    return jax.tree.unflatten(jax.tree.structure(tree), [hit is not None for hit in hits])


def listed(names: Sequence[str], shown: int = _SHOWN) -> str:
    """The names in a line, cut after the first few."""
    rest = len(names) - shown
    return ", ".join(names[:shown]) + (f", and {rest} more" if rest > 0 else "")


def _nothing(where: str, pattern: str, names: Sequence[str]) -> str:
    taken = [name for name in names if match(pattern, name)]
    if taken:
        return (
            f"{where}: pattern {pattern!r} comes too late: earlier patterns have taken all it "
            f"matches ({listed(taken)}); the first match wins, so put it before them or drop it."
        )
    return (
        f"{where}: pattern {pattern!r} matches nothing; expected a path in which * is any text; "
        f"the paths are {listed(names) or 'none, the tree is empty'}."
    )

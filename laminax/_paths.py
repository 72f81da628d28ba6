"""Paths of leaves and the patterns that select them: public API for whatever acts on some leaves.

A path is the keys from the root to a leaf, joined by "/": `encoder/dense_0/w`. A pattern is a path
in which `*` stands for any text, of any length, "/" included; all else stands for itself:

    encoder/*        everything under encoder, however deep
    */b              every b below the top level
    */dense_1/*      every leaf of every dense_1, not those of dense_10
    *                everything
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import jax

_SHOWN = 12


def path_of(keys: Sequence[Any]) -> str:
    """The path of JAX's keys from the root to a leaf.

    >>> path_of((jax.tree_util.DictKey("dense_0"), jax.tree_util.DictKey("w")))
    'dense_0/w'
    """
    return jax.tree_util.keystr(tuple(keys), simple=True, separator="/")


def paths(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list[str]:
    """The paths of a tree's leaves, in the order of `jax.tree.leaves`.

    >>> paths({"head": {"w": 1.0, "b": 0.0}, "scale": 1.0})
    ['head/b', 'head/w', 'scale']
    """
    return [path_of(keys) for keys, _ in jax.tree.leaves_with_path(tree, is_leaf)]


def match(pattern: str, path: str) -> bool:
    """Whether a pattern matches a whole path; `*` is any text, "/" included.

    >>> match("encoder/*", "encoder/dense_0/w"), match("*/b", "encoder/dense_0/w")
    (True, False)
    """
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), path, re.DOTALL) is not None


def matched(where: str, pattern: str, names: Sequence[str]) -> list[bool]:
    """Whether the pattern matches each path; `where` names the caller in errors.

    Raises TypeError for a pattern that is no string, ValueError for one that matches none.

    >>> matched("freeze", "*/w", ["dense_0/b", "dense_0/w"])
    [False, True]
    """
    check_pattern(where, pattern)
    hits = [match(pattern, name) for name in names]
    if not any(hits):
        raise ValueError(
            f"{where}: pattern {pattern!r} matches nothing; expected a path in which * is any "
            f"text; got the paths {listed(names) or '(none, the tree is empty)'}."
        )
    return hits


def assign(where: str, patterns: Sequence[str], tree: Any) -> list[int | None]:
    """For each leaf the index of the first pattern that matches it, None where none does.

    Raises TypeError for a pattern that is no string, ValueError for one that gets no leaf.
    """
    names = paths(tree)
    found = [matched(where, pattern, names) for pattern in patterns]
    hits = [
        next((i for i, matches in enumerate(found) if matches[leaf]), None)
        for leaf in range(len(names))
    ]
    for index, (pattern, matches) in enumerate(zip(patterns, found, strict=True)):
        if index not in hits:
            taken = [name for name, hit in zip(names, matches, strict=True) if hit]
            raise ValueError(
                f"{where}: pattern {pattern!r} comes too late: earlier patterns have taken all it "
                f"matches ({listed(taken)}); the first match wins, so put it before them or drop "
                "it."
            )
    return hits


def assign_all(where: str, patterns: Sequence[str], tree: Any, repair: str) -> list[int]:
    """As `assign`, of a tree that the patterns cover.

    Raises ValueError for a leaf that none matches, with the repair, and as `assign` does.
    """
    hits = assign(where, patterns, tree)
    missed = [name for name, hit in zip(paths(tree), hits, strict=True) if hit is None]
    if missed:
        raise ValueError(
            f"{where}: no pattern matches {listed(missed)}; the patterns are {listed(patterns)}; "
            f"{repair}."
        )
    return [hit for hit in hits if hit is not None]


def check_pattern(where: str, pattern: Any) -> None:
    """Raise TypeError for a pattern that is no string."""
    if not isinstance(pattern, str):
        raise TypeError(
            f"{where}: pattern {pattern!r} is {type(pattern).__name__}; expected a string "
            f'such as "encoder/*" or "*/b".'
        )


def listed(names: Sequence[str], shown: int = _SHOWN) -> str:
    """The names in a line, cut after the first few."""
    rest = len(names) - shown
    return ", ".join(names[:shown]) + (f", and {rest} more" if rest > 0 else "")

"""Leaves in groups, named by patterns of paths: the first pattern that matches a leaf has it."""

from collections.abc import Sequence
from typing import Any

import jax

from laminax._paths import listed as listed
from laminax._paths import match as match
from laminax._paths import matched
from laminax._paths import paths as paths


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


def mask(where: str, patterns: Sequence[str], tree: Any) -> Any:
    """A tree of bools: whether any of the patterns matches the leaf."""
    hits = assign(where, patterns, tree)
    return jax.tree.unflatten(jax.tree.structure(tree), [hit is not None for hit in hits])

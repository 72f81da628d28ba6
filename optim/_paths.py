"""Leaves in groups, named by patterns of paths: the first pattern that matches a leaf has it."""

from collections.abc import Sequence
from typing import Any

import jax

from laminax._paths import assign as assign
from laminax._paths import assign_all as assign_all
from laminax._paths import listed as listed
from laminax._paths import match as match
from laminax._paths import paths as paths


def mask(where: str, patterns: Sequence[str], tree: Any) -> Any:
    """A tree of bools: whether any of the patterns matches the leaf."""
    hits = assign(where, patterns, tree)
    return jax.tree.unflatten(jax.tree.structure(tree), [hit is not None for hit in hits])

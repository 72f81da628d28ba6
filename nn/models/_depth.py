"""What the depth of a family's network means: how many layers or blocks each stage has."""

from collections.abc import Mapping
from typing import Any

from .._core._checks import positive


def stages_of(kind: str, depth: Any, table: Mapping[int, tuple[int, ...]]) -> tuple[int, ...]:
    """Return the numbers that the family's table has for `depth`, or those given in a tuple."""
    if isinstance(depth, tuple) and depth:
        return tuple(positive(kind, "each of depth", number) for number in depth)
    if not isinstance(depth, int) or depth not in table:
        offered = ", ".join(map(str, table))
        raise ValueError(
            f"{kind}: depth must be one of {offered}, or a number for each stage as "
            f"{next(iter(table.values()))}, got {depth!r}"
        )
    return table[depth]

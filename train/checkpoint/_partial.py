"""Reading what fits of what `save` wrote, for a tree that is not the one saved."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import jax

from laminax._paths import listed, match, matched

from ._leaves import Entry, spec, stored_spec
from ._tree import named, opened

Tree = TypeVar("Tree")


class Partial(NamedTuple, Generic[Tree]):
    """What `restore_partial` found; prints as a report.

    Attributes:
        tree: the template, with the leaves in `restored` from the file.
        restored: the paths read.
        missing: the paths of the template that the file lacks.
        unexpected: the paths of the file that the template lacks.
        differing: the paths of both whose shape or dtype differs.
        unmatched: the paths of both that no pattern matches.
    """

    tree: Tree
    restored: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    differing: tuple[str, ...]
    unmatched: tuple[str, ...]

    def __str__(self) -> str:
        """A line for each kind of path."""
        names = self._fields[1:]
        return "\n".join(
            f"{name:<11}{len(found):>5}  {listed(found, shown=3)}".rstrip()
            for name, found in zip(names, self[1:], strict=True)
        )


def restore_partial(
    path: str | PathLike[str], template: Tree, patterns: str | Sequence[str] = "*"
) -> Partial[Tree]:
    """Read the leaves that fit of what `save` wrote to `path`; the others stay the template's.

    A leaf fits where path, shape and dtype are those of the file and one of the `patterns` matches
    the path: to fine-tune an encoder under a new head, give the new variables and `"*encoder/*"`.
    Look at the report: what did not fit is no error.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged or no checkpoint; a pattern that matches nothing in it; no
            leaf fits.
        TypeError: a leaf of the template that would stay and holds no numbers.

    >>> import tempfile, numpy as np
    >>> from laminax import train
    >>> old = {"encoder": {"w": np.ones(2)}, "head": {"w": np.ones(3)}}
    >>> new = {"encoder": {"w": np.zeros(2)}, "head": {"w": np.zeros(5)}, "b": np.zeros(1)}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     train.save(f"{folder}/old.safetensors", old)
    ...     found = train.restore_partial(f"{folder}/old.safetensors", new)
    >>> found.tree["encoder"]["w"].tolist(), found.tree["head"]["w"].tolist()
    ([1.0, 1.0], [0.0, 0.0, 0.0, 0.0, 0.0])
    >>> print(found)
    restored       1  encoder/w
    missing        1  b
    unexpected     0
    differing      1  head/w
    unmatched      0
    """
    leaves = named(template)
    patterns = (patterns,) if isinstance(patterns, str) else tuple(patterns)
    with opened(Path(path)) as stored:
        entries: dict[str, Entry] = stored.document["leaves"]
        for pattern in patterns:
            matched("restore_partial", pattern, list(entries))
        kinds = {name: _kind(name, entries, leaves, patterns) for name in leaves | entries}
        read = stored.read({n: leaf for n, leaf in leaves.items() if kinds[n] == "restored"})
    if not read:
        raise ValueError(
            f"restore_partial: nothing in {path} fits the template; it holds "
            f"{listed(list(entries))}, the template {listed(list(leaves))}"
        )
    for name in leaves.keys() - read.keys():
        if isinstance(leaves[name], jax.ShapeDtypeStruct):
            raise TypeError(
                f"restore_partial: {name!r} is not in the file as {spec(name, leaves[name])}, and "
                "the template holds no numbers to keep; give arrays, such as model.init returns"
            )
    values = [read.get(name, leaf) for name, leaf in leaves.items()]
    tree: Tree = jax.tree.unflatten(jax.tree.structure(template), values)
    sorts = (tuple(name for name in kinds if kinds[name] == kind) for kind in Partial._fields[1:])
    return Partial(tree, *sorts)


def _kind(
    name: str, entries: dict[str, Entry], leaves: dict[str, Any], patterns: tuple[str, ...]
) -> str:
    if name not in entries:
        return "missing"
    if name not in leaves:
        return "unexpected"
    if not any(match(pattern, name) for pattern in patterns):
        return "unmatched"
    return "restored" if stored_spec(entries[name]) == spec(name, leaves[name]) else "differing"

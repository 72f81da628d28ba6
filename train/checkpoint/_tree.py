"""Any pytree on the disk, and back; the path's suffix names the format.

A `.orbax` is a folder that several processes write together, each what its devices hold; anything
else is one safetensors file.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Protocol, TypeVar

import jax
import jax.numpy as jnp

from .._processes import first, whole
from . import _orbax, _safetensors
from ._document import Document
from ._leaves import DamageError, Entry, is_key, spec, stored_spec, too_wide

Tree = TypeVar("Tree")


class Stored(Protocol):
    """What `save` wrote, opened."""

    document: Document

    def read(self, templates: Mapping[str, Any]) -> dict[str, Any]:
        """The leaves of these paths, verified, each as its template is."""

    def verify(self) -> None:
        """Read all of it; damage raises DamageError."""


def save(
    path: str | PathLike[str], tree: Any, *, metadata: Mapping[str, Any] | None = None
) -> None:
    """Write a pytree to `path`, replacing what stood there only when all is on the disk.

    Leaves are arrays of any number type, JAX's or NumPy's, typed keys, and Python bool, int, float
    and str; None is an empty subtree. `metadata` is any JSON beside them, for `read_metadata`; a
    tuple in it comes back as a list.

    What is written is one safetensors file; under a path that ends in `.orbax` it is a folder, by
    orbax (the `orbax` extra), into which each process writes what its own devices hold, so that
    no one needs room for all of it. Every process calls then, and nothing may stand there yet.

    Raises:
        TypeError: a leaf or `metadata` cannot be stored.
        ValueError: two leaves have the same path, or `path` is a folder.
        FileExistsError: a `.orbax` is there already.
        ImportError: orbax is missing.
        OSError: the file cannot be written; the previous one is unharmed.

    >>> import tempfile, numpy as np
    >>> tree = {"w": np.arange(6.0).reshape(2, 3), "steps": 12}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(f"{folder}/last.safetensors", tree, metadata={"epoch": 3})
    ...     restored = restore(f"{folder}/last.safetensors", tree)
    ...     read_metadata(f"{folder}/last.safetensors")
    {'epoch': 3}
    >>> restored["steps"], restored["w"].tolist()
    (12, [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])
    """
    path = Path(path)
    if is_orbax(path):
        _orbax.begin(path, named(tree), metadata)()
    else:
        _safetensors.write(path, named(tree), metadata)


def begin(path: Path, tree: Any, metadata: Mapping[str, Any] | None = None) -> Callable[[], None]:
    """Take of a tree what `save` needs; return the rest of the work, for another thread.

    Every process calls, and the tree may be written over at once.
    """
    if is_orbax(path):
        return _orbax.begin(path, named(tree), metadata)
    copy = jax.tree.map(_host_copy, tree)
    return partial(save, path, copy, metadata=metadata) if first() else lambda: None


def _host_copy(leaf: jax.Array) -> Any:
    """An array apart from the device's memory; nothing in the processes that do not write."""
    copy = jnp.copy(leaf) if is_key(leaf) else whole(leaf)
    return copy if first() else None


def restore(path: str | PathLike[str], template: Tree) -> Tree:
    """The pytree that `save` wrote to `path`, in the structure of `template`.

    Of the template only structure, shapes and dtypes are read: it holds arrays or
    ShapeDtypeStructs, and plain values for plain values. Arrays come back as NumPy's where the
    template has NumPy's, else as JAX's, on the default device, or laid out over a mesh as the
    template is, whatever the layout was that was saved. Every byte is verified.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, no checkpoint of this library, of an unknown version, or
            does not fit the template: all missing, unexpected and differing paths are listed.
        TypeError: a leaf of the template is no array and no plain value.

    >>> import tempfile, jax
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(f"{folder}/key.safetensors", {"key": jax.random.key(7)})
    ...     restored = restore(f"{folder}/key.safetensors", {"key": jax.random.key(0)})
    >>> bool(jax.numpy.all(restored["key"] == jax.random.key(7)))
    True
    """
    leaves = named(template)
    with opened(Path(path)) as stored:
        _fit(Path(path), stored.document["leaves"], leaves)
        read = stored.read(leaves)
    tree: Tree = jax.tree.unflatten(jax.tree.structure(template), [read[name] for name in leaves])
    return tree


def read_metadata(path: str | PathLike[str]) -> dict[str, Any]:
    """The `metadata` that was given to `save`.

    Raises:
        FileNotFoundError, ValueError: as `restore`.
    """
    with opened(Path(path)) as stored:
        metadata: dict[str, Any] = stored.document["metadata"]
    return metadata


def verify(path: str | PathLike[str]) -> dict[str, str]:
    """Read all of what `save` wrote, and tell what it holds: paths and what stands there.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or no checkpoint of this library.

    >>> import tempfile, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(f"{folder}/last.safetensors", {"w": np.zeros((2, 3)), "steps": 12})
    ...     verify(f"{folder}/last.safetensors")
    {'steps': 'int', 'w': 'float64[2, 3]'}
    """
    with opened(Path(path)) as stored:
        stored.verify()
        entries: dict[str, Entry] = stored.document["leaves"]
    return {name: stored_spec(entry) for name, entry in sorted(entries.items())}


def is_orbax(path: Path) -> bool:
    """Whether a path is a folder of parts, not one file."""
    return path.suffix == _orbax.SUFFIX


@contextmanager
def opened(path: Path) -> Iterator[Stored]:
    """Open what `save` wrote; what is damaged raises ValueError, naming it."""
    try:
        with (_orbax if is_orbax(path) else _safetensors).opened(path) as stored:
            yield stored
    except DamageError as error:
        raise ValueError(
            f"restore: {path} is damaged: {error}; use another copy, or an earlier checkpoint."
        ) from error


def named(tree: Any) -> dict[str, Any]:
    """The leaves by path, in the tree's order."""
    leaves: dict[str, Any] = {}
    for keys, leaf in jax.tree.leaves_with_path(tree):
        path = jax.tree_util.keystr(keys, simple=True, separator="/")
        if path in leaves or path == "__metadata__":
            why = "two leaves share it" if path in leaves else "safetensors reserves that name"
            raise ValueError(
                f"checkpoint: the path {path!r} cannot be used: {why}. Rename an entry of the tree"
                " (names should hold no '/')."
            )
        leaves[path] = leaf
    return leaves


def _fit(path: Path, entries: Mapping[str, Entry], leaves: Mapping[str, Any]) -> None:
    found = {name: stored_spec(entry) for name, entry in entries.items()}
    wanted = {name: spec(name, leaf) for name, leaf in leaves.items()}
    problems = [f"missing in the file: {name!r}, {wanted[name]}" for name in wanted.keys() - found]
    problems += [
        f"unexpected in the file: {name!r}, {found[name]}" for name in found.keys() - wanted
    ]
    for name in wanted.keys() & found:
        if found[name] != wanted[name]:
            problems.append(
                f"{name!r} is {found[name]} in the file, {wanted[name]} in the template"
            )
        elif too_wide(leaves[name]):
            problems.append(f"{name!r} is {found[name]}, which JAX holds under jax_enable_x64 only")
    if problems:
        raise ValueError(
            f"restore: {path} does not fit the template:\n  "
            + "\n  ".join(sorted(problems))
            + "\nRestore into the tree that was saved: same model, optimizer and settings."
        )

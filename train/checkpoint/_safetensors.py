"""Checkpoints: any pytree as one safetensors file that carries its own JSON.

Arrays stand in the file under their paths, "params/dense_0/w". The JSON, in the header's metadata
under "laminax", maps every path to what the leaf is and to the SHA-256 of its bytes, holds plain
numbers and strings themselves, and ends in its own SHA-256. One file, because only the rename of
one file replaces arrays and JSON together, whatever happens meanwhile; no pickle, and no name in
it is ever looked up as code.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import jax
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ._files import commit, writable
from ._leaves import DamageError, Entry, check, decode, encode, spec, stored_spec, too_wide

Tree = TypeVar("Tree")

_FORMAT = 1


def save(
    path: str | PathLike[str], tree: Any, *, metadata: Mapping[str, Any] | None = None
) -> None:
    """Write a pytree to the file `path`, replacing what stood there only when all is on the disk.

    Leaves are arrays of any number type, JAX's or NumPy's, typed keys, and Python bool, int, float
    and str; None is an empty subtree. `metadata` is any JSON beside them, for `read_metadata`; a
    tuple in it comes back as a list.

    Raises:
        TypeError: a leaf or `metadata` cannot be stored.
        ValueError: two leaves have the same path, or `path` is a folder.
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
    if path.is_dir():
        raise ValueError(
            f"save: {path} is a folder; give the path of a file, such as"
            f" {path / 'checkpoint.safetensors'}."
        )
    writable(path.parent)
    encoded = {name: encode(name, leaf) for name, leaf in named(tree).items()}
    entries = {name: entry for name, (entry, _) in encoded.items()}
    arrays = {name: array for name, (_, array) in encoded.items() if array is not None}
    header = {"laminax": _dump(entries, metadata)}
    try:
        commit(path, lambda part: save_file(arrays, part, header))
    except (OSError, SafetensorError) as error:
        raise OSError(
            f"save: cannot write {path}: {error}; what stood there before is unharmed. Free some"
            " space or choose another folder."
        ) from error


def restore(path: str | PathLike[str], template: Tree) -> Tree:
    """The pytree that `save` wrote to `path`, in the structure of `template`.

    Of the template only structure, shapes and dtypes are read: it holds arrays or
    ShapeDtypeStructs, and plain values for plain values. Arrays come back as NumPy's where the
    template has NumPy's, else as JAX's, on the default device. Every byte is verified.

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
    with reading(Path(path)) as file:
        entries: dict[str, Entry] = load(file, Path(path))["leaves"]
        _fit(Path(path), entries, leaves)
        values = [
            decode(name, entry, None if "value" in entry else file.get_tensor(name), leaves[name])
            for name, entry in ((name, entries[name]) for name in leaves)
        ]
    tree: Tree = jax.tree.unflatten(jax.tree.structure(template), values)
    return tree


def read_metadata(path: str | PathLike[str]) -> dict[str, Any]:
    """The `metadata` that was given to `save`.

    Raises:
        FileNotFoundError, ValueError: as `restore`.
    """
    with reading(Path(path)) as file:
        metadata: dict[str, Any] = load(file, Path(path))["metadata"]
    return metadata


def verify(path: str | PathLike[str]) -> dict[str, str]:
    """Read all of a file that `save` wrote, and tell what it holds: paths and what stands there.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or no checkpoint of this library.

    >>> import tempfile, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(f"{folder}/last.safetensors", {"w": np.zeros((2, 3)), "steps": 12})
    ...     verify(f"{folder}/last.safetensors")
    {'steps': 'int', 'w': 'float64[2, 3]'}
    """
    with reading(Path(path)) as file:
        entries: dict[str, Entry] = load(file, Path(path))["leaves"]
        for name, entry in entries.items():
            if "value" not in entry:
                check(name, entry, file.get_tensor(name))
    return {name: stored_spec(entry) for name, entry in sorted(entries.items())}


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


def _dump(entries: dict[str, Entry], metadata: Mapping[str, Any] | None) -> str:
    try:
        text = json.dumps({"format": _FORMAT, "leaves": entries, "metadata": dict(metadata or {})})
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"save: metadata cannot be written as JSON: {error}; give it dicts, lists, strings,"
            " numbers, bool and None, and put arrays in the tree."
        ) from error
    document = json.loads(text)  # as it will be read: keys are strings
    return json.dumps(document | {"sha256": _digest(document)})


def load(file: Any, path: Path) -> dict[str, Any]:
    """The JSON in the header of an open file."""
    text = (file.metadata() or {}).get("laminax")
    if text is None:
        raise ValueError(
            f"restore: {path} is a safetensors file but holds no checkpoint of laminax; read its"
            " arrays with safetensors.numpy.load_file, or give a file that save wrote."
        )
    try:
        document: dict[str, Any] = json.loads(text)
    except json.JSONDecodeError as error:
        raise DamageError(f"its JSON does not parse ({error})") from error
    if document.get("format") != _FORMAT:
        raise ValueError(
            f"restore: {path} has format version {document.get('format')}, but this laminax reads"
            f" version {_FORMAT}; read it with the laminax that wrote it."
        )
    if document.pop("sha256", None) != _digest(document):
        raise DamageError("its JSON is not what was saved")
    return document


@contextmanager
def reading(path: Path) -> Iterator[Any]:
    """Open a file that `save` wrote; what is damaged raises ValueError, naming it."""
    if not path.is_file():
        raise FileNotFoundError(
            f"restore: no file at {path.absolute()}; give the path that was given to save."
        )
    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except (SafetensorError, DamageError) as error:
        raise ValueError(
            f"restore: {path} is damaged: {error}; use another copy, or an earlier checkpoint."
        ) from error


def _digest(document: Any) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()

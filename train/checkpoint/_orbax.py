"""A checkpoint as a folder, by orbax: each process writes and reads what its own devices hold.

    NAME.orbax/...                   orbax's files: the arrays in parts
    NAME.orbax/manifests/0.json ...  of each process: the SHA-256 of a share of those files; of the
                                     first also the JSON of `_document`

orbax renames the folder into place once all parts are there, but does not notice when one changes
later: hence the digests. A folder that lacks a manifest is one whose writing was broken off.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from .._processes import agreed, first
from ._document import Document, dump, load
from ._files import commit, writable
from ._leaves import NATIVE, DamageError, Entry, describe, digest, placed

SUFFIX = ".orbax"
_MANIFESTS = "manifests"
_PATIENCE = 600_000  # milliseconds to wait for another process's manifest
_KINDS = NATIVE | {"complex64", "complex128"}  # the others are stored as bytes


def begin(
    path: Path, leaves: Mapping[str, Any], metadata: Mapping[str, Any] | None
) -> Callable[[], None]:
    """Copy leaves to the host; return what writes them, for another thread. All processes call."""
    ocp = _library()
    writable(path.parent)
    if path.exists():
        raise FileExistsError(
            f"save: {path} is there already, and a folder cannot be replaced at once; delete it, "
            "or choose another name"
        )
    described = {name: describe(name, leaf) for name, leaf in leaves.items()}
    document = dump({name: entry for name, (entry, _) in described.items()}, metadata)
    arrays = {
        _key(name): _storable(name, leaf)
        for name, (entry, leaf) in described.items()
        if _held(entry)
    }
    # Named, processes wait for each other by messages; else by a program on their devices, which
    # would come among those of the training.
    named = ocp.options.MultiprocessingOptions(active_processes=set(range(jax.process_count())))
    saver = ocp.AsyncCheckpointer(ocp.PyTreeCheckpointHandler(), multiprocessing_options=named)
    all_there = ocp.multihost.get_barrier_sync_fn()
    if arrays:  # which orbax demands
        saver.save(path.absolute(), args=ocp.args.PyTreeSave(arrays))

    def finish() -> None:
        try:
            saver.wait_until_finished()
            saver.close()
            _write_manifest(path, document)
        except Exception as error:  # of many kinds
            raise OSError(f"save: cannot write {path}: {error}") from error
        finally:  # who fails keeps nobody waiting
            all_there(key=f"laminax:{path.name}", timeout_ms=_PATIENCE)
        try:
            _read_manifests(path)
        except DamageError as error:
            raise OSError(f"save: another process could not write {path}: {error}") from error

    return finish


class Opened:
    """A folder that `begin` wrote."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._digests, text = _read_manifests(path)
        self.document: Document = load(text, path)

    def read(self, templates: Mapping[str, Any]) -> dict[str, Any]:
        """The leaves of these paths, verified, cut as the templates are. All processes call."""
        self.verify()
        ocp, entries = _library(), self.document["leaves"]
        held = {name: template for name, template in templates.items() if _held(entries[name])}
        arguments = {_key(name): _restoring(entries[name], leaf) for name, leaf in held.items()}
        arrays: dict[str, Any] = {}
        if held:
            with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as reader:
                restoring = ocp.args.PyTreeRestore(
                    dict.fromkeys(arguments, 0), arguments, partial_restore=True
                )
                arrays = reader.restore(self._path.absolute(), args=restoring)
        return {
            name: _decoded(name, entries[name], arrays.get(_key(name)), template)
            for name, template in templates.items()
        }

    def verify(self) -> None:
        """Compare every file with its digest; processes share the work, and all call."""
        found = set(_files(self._path))
        wrong = [f"{name} is missing" for name in self._digests.keys() - found]
        wrong += [f"{name} is not of it" for name in found - self._digests.keys()]
        for name in _share(sorted(found & self._digests.keys())):
            if _digest(self._path / name) != self._digests[name]:
                wrong.append(f"the bytes of {name} are not those that were saved")
        if agreed(len(wrong))[0]:
            raise DamageError("; ".join(wrong) or "another process found damage in its share")


@contextmanager
def opened(path: Path) -> Iterator[Opened]:
    """Open a folder that `begin` wrote."""
    if not path.is_dir():
        raise FileNotFoundError(
            f"restore: no folder at {path.absolute()}; give the path that was given to save."
        )
    yield Opened(path)


def _write_manifest(path: Path, document: str) -> None:
    folder = writable(path / _MANIFESTS)
    told: dict[str, Any] = {
        "processes": jax.process_count(),
        "files": {name: _digest(path / name) for name in _share(sorted(_files(path)))},
    }
    if first():
        told["document"] = document
    text = json.dumps(told)
    commit(folder / f"{jax.process_index()}.json", lambda part: part.write_text(text))


def _read_manifests(path: Path) -> tuple[dict[str, str], str]:
    """The digests by file, and the document."""
    try:
        found = [json.loads(file.read_text()) for file in (path / _MANIFESTS).glob("*.json")]
        processes = {told["processes"] for told in found}
        digests = {name: value for told in found for name, value in told["files"].items()}
        documents = [told["document"] for told in found if "document" in told]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamageError(f"a manifest of it does not parse ({error})") from error
    if processes != {len(found)} or len(documents) != 1:
        raise DamageError(f"it has {len(found)} manifests, of {sorted(processes)} that were to be")
    return digests, documents[0]


def _files(path: Path) -> Iterator[str]:
    """Name the files that orbax wrote, and look at no others: those come and go meanwhile."""
    for top in path.iterdir():
        if top.name != _MANIFESTS:
            yield from (str(f.relative_to(path)) for f in [top, *top.rglob("*")] if f.is_file())


def _share(names: list[str]) -> list[str]:
    return names[jax.process_index() :: jax.process_count()]


def _digest(path: Path) -> str:
    return digest(np.fromfile(path, np.uint8))


def _key(name: str) -> str:
    """What orbax calls a leaf; a tree that is but a leaf has the path ""."""
    return name or "."


def _held(entry: Entry) -> bool:
    """Whether orbax has the leaf: a value is in the document, and no empty array is stored."""
    return "value" not in entry and 0 not in entry["shape"]


def _storable(name: str, leaf: Any) -> Any:
    """An array of a dtype that orbax has; NumPy's are copied, as their owner may write in them."""
    if not isinstance(leaf, jax.Array):
        array = np.array(leaf, order="C")
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        return array if array.dtype.name in _KINDS else array[..., None].view(np.uint8)
    if leaf.dtype.name in _KINDS:
        return leaf
    if jax.dtypes.itemsize_bits(leaf.dtype) < 8:
        raise TypeError(
            f"save: {name!r} is {leaf.dtype.name}; orbax holds no numbers smaller than a byte; "
            "convert it, or save to one file, as NAME.safetensors"
        )
    return leaf[..., None].view(jnp.uint8)


def _restoring(entry: Entry, template: Any) -> Any:
    """How orbax is to read an array: for the parts of a mesh, or for the host."""
    ocp = _library()
    sharding = getattr(template, "sharding", None)
    if not isinstance(sharding, NamedSharding):
        return ocp.RestoreArgs(restore_type=np.ndarray)
    everywhere = NamedSharding(sharding.mesh, PartitionSpec())
    return ocp.ArrayRestoreArgs(sharding=everywhere if "key" in entry else sharding)


def _decoded(name: str, entry: Entry, array: Any, template: Any) -> Any:
    if "value" in entry:
        return entry["value"]
    if array is None:
        array = np.zeros(entry["shape"], np.dtype(entry["dtype"]))
    elif entry["dtype"] not in _KINDS:
        array = array.view(np.dtype(entry["dtype"]))[..., 0]
    found = f"{array.dtype.name}{list(array.shape)}"
    if found != f"{entry['dtype']}{entry['shape']}":
        raise DamageError(f"{name!r} is {found}, not as the JSON says")
    if "key" in entry:
        array = jax.random.wrap_key_data(jnp.asarray(array), impl=entry["key"])
    as_read = isinstance(array, jax.Array) or isinstance(template, np.ndarray | np.generic)
    return array if as_read else placed(array, template)


def _library() -> Any:
    try:
        import orbax.checkpoint as ocp  # type: ignore[import-untyped]
    except ImportError as error:
        raise ImportError(
            "a .orbax checkpoint needs orbax, which is not installed; pip install 'laminax[orbax]'"
        ) from error
    return ocp

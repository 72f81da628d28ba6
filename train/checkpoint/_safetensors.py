"""A checkpoint as one safetensors file that carries its own JSON.

Arrays stand in the file under their paths, "params/dense_0/w". The JSON, in the header's metadata
under "laminax", maps every path to what the leaf is and to the SHA-256 of its bytes, holds plain
numbers and strings themselves, and ends in its own SHA-256. One file, because only the rename of
one file replaces arrays and JSON together, whatever happens meanwhile; no pickle, and no name in
it is ever looked up as code.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ._document import Document, dump, load
from ._files import commit, writable
from ._leaves import DamageError, check, decode, encode


def write(path: Path, leaves: Mapping[str, Any], metadata: Mapping[str, Any] | None) -> None:
    """Write leaves by path, replacing what stood there only when all is on the disk."""
    if path.is_dir():
        raise ValueError(
            f"save: {path} is a folder; give the path of a file, such as"
            f" {path / 'checkpoint.safetensors'}."
        )
    writable(path.parent)
    encoded = {name: encode(name, leaf) for name, leaf in leaves.items()}
    entries = {name: entry for name, (entry, _) in encoded.items()}
    arrays = {name: array for name, (_, array) in encoded.items() if array is not None}
    header = {"laminax": dump(entries, metadata)}
    try:
        commit(path, lambda part: save_file(arrays, part, header))
    except (OSError, SafetensorError) as error:
        raise OSError(
            f"save: cannot write {path}: {error}; what stood there before is unharmed. Free some"
            " space or choose another folder."
        ) from error


class Opened:
    """An open file that `write` wrote."""

    def __init__(self, file: Any, path: Path) -> None:
        self._file = file
        text = (file.metadata() or {}).get("laminax")
        if text is None:
            raise ValueError(
                f"restore: {path} is a safetensors file but holds no checkpoint of laminax; read "
                "its arrays with safetensors.numpy.load_file, or give a file that save wrote."
            )
        self.document: Document = load(text, path)

    def read(self, templates: Mapping[str, Any]) -> dict[str, Any]:
        """The leaves of these paths, verified."""
        return {name: self._leaf(name, template) for name, template in templates.items()}

    def verify(self) -> None:
        """Read all of it."""
        for name, entry in self.document["leaves"].items():
            if "value" not in entry:
                check(name, entry, self._file.get_tensor(name))

    def _leaf(self, name: str, template: Any) -> Any:
        entry = self.document["leaves"][name]
        stored = None if "value" in entry else self._file.get_tensor(name)
        return decode(name, entry, stored, template)


@contextmanager
def opened(path: Path) -> Iterator[Opened]:
    """Open a file that `write` wrote."""
    if not path.is_file():
        raise FileNotFoundError(
            f"restore: no file at {path.absolute()}; give the path that was given to save."
        )
    try:
        with safe_open(path, framework="numpy") as file:
            yield Opened(file, path)
    except SafetensorError as error:
        raise DamageError(str(error)) from error

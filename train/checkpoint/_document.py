"""The JSON of a checkpoint: what stands under every path, metadata, and its own SHA-256."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ._leaves import DamageError, Entry

Document = dict[str, Any]

_FORMAT = 1


def dump(entries: Mapping[str, Entry], metadata: Mapping[str, Any] | None) -> str:
    """Return the document as text.

    Raises:
        TypeError: metadata that is no JSON.
    """
    try:
        text = json.dumps({"format": _FORMAT, "leaves": entries, "metadata": dict(metadata or {})})
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"save: metadata cannot be written as JSON: {error}; give it dicts, lists, strings,"
            " numbers, bool and None, and put arrays in the tree."
        ) from error
    document = json.loads(text)  # as it will be read: keys are strings
    return json.dumps(document | {"sha256": _digest(document)})


def load(text: str, path: Path) -> Document:
    """Return the document that `dump` wrote.

    Raises:
        ValueError: it is of another version of the format.
        DamageError: it is not what was saved.
    """
    try:
        document: Document = json.loads(text)
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


def _digest(document: Any) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()

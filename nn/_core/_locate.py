"""Errors that say where: one note an error, with the full path of the layer and its input."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ._layer import Layer
from ._specs import describe

_MARK = "in layer '"


@contextmanager
def located(name: str, layer: Layer, x: Any) -> Iterator[None]:
    """Note where an error arose; an outer level puts its name before the path noted inside."""
    try:
        yield
    except Exception as error:
        notes = getattr(error, "__notes__", [])
        for i, note in enumerate(notes):
            if note.startswith(_MARK):
                notes[i] = f"{_MARK}{name}/{note.removeprefix(_MARK)}"
                break
        else:
            written = repr(layer) if not layer.children else layer.name
            error.add_note(f"{_MARK}{name}' ({written}), input {describe(x)}")
        raise

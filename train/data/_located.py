"""Where the files of a data set lie: the folder that the user names, else the cache folder."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ._download import Content, cache_folder, download


def located(name: str, files: Mapping[str, Content], mirrors: Sequence[str]) -> list[Path]:
    """Return the paths of a data set's files: `$LAMINAX_DATA/name`, or downloaded once.

    Where that variable is set, each file may be plain or `.gz`; a download is `.gz`, but text.

    Args:
        name: of the data set and its folder.
        files: what each must unpack to, by name.
        mirrors: addresses of folders that serve them.

    Raises:
        FileNotFoundError: a folder or file is missing in `$LAMINAX_DATA`.
        OSError: the download failed.
    """
    if os.environ.get("LAMINAX_DATA"):
        return given(name, files, else_downloaded=True)
    paths = []
    for file, content in files.items():
        path = cache_folder() / name / (file if file.endswith(".txt") else f"{file}.gz")
        if not path.is_file():
            download([f"{mirror}{path.name}" for mirror in mirrors], path, content)
        paths.append(path)
    return paths


def given(name: str, files: Iterable[str], *, else_downloaded: bool = False) -> list[Path]:
    """Return the paths of files in `$LAMINAX_DATA/name`, each plain or `.gz`.

    Args:
        name: of the data set and its folder.
        files: their names.
        else_downloaded: whether they would be downloaded if that variable were not set.

    Raises:
        FileNotFoundError: the variable is not set, or a folder or file is missing.
    """
    place = os.environ.get("LAMINAX_DATA")
    if not place:
        raise FileNotFoundError(
            f"{name}: cannot be downloaded; put it into a folder {name} and set LAMINAX_DATA to "
            "the folder around it."
        )
    unset = ", or unset LAMINAX_DATA to have it downloaded" if else_downloaded else ""
    folder = Path(place).expanduser() / name
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{name}: no folder {folder}, which LAMINAX_DATA names; put its files there{unset}."
        )
    paths = []
    for file in files:
        found = [path for path in (folder / file, folder / f"{file}.gz") if path.is_file()]
        if not found:
            raise FileNotFoundError(
                f"{name}: {folder} holds neither {file} nor {file}.gz; add the file{unset}."
            )
        paths.append(found[0])
    return paths

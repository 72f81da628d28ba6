"""Sentences in two languages, and lines of text files."""

import gzip
import zlib
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from ._located import given

Pairs = tuple[list[str], list[str]]


class Translations(NamedTuple):
    """Sentences in two languages, in three parts that share none.

    Each part is a pair of lists, line for line one another's translation, in the order of
    `languages`.
    """

    name: str
    train: Pairs
    validation: Pairs
    test: Pairs
    languages: tuple[str, str]


def multi30k() -> Translations:
    """Multi30k, descriptions of pictures in German and English: 29,000, 1,014 and 1,000 pairs.

    Read from `$LAMINAX_DATA/multi30k`, text files `train`, `val` and `test_2016_flickr` with the
    endings `.de` and `.en`, plain or `.gz`. The sentences are as they were written: not tokenized.

    Raises:
        FileNotFoundError: `LAMINAX_DATA` is not set, or a file is missing there.
        ValueError: a file is damaged, or two are of different lengths.

    >>> multi30k().train[1][0]  # doctest: +SKIP
    'Two young, White males are outside near many bushes.'

    Source: Elliott et al., Multi30K: multilingual English-German image descriptions, 2016.
    """
    return Translations(
        "multi30k",
        train=_pairs("train", 29_000),
        validation=_pairs("val", 1_014),
        test=_pairs("test_2016_flickr", 1_000),
        languages=("de", "en"),
    )


def read_lines(path: str | PathLike[str]) -> list[str]:
    r"""Lines of a text file in UTF-8, plain or gzip-compressed, without their ends.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or not UTF-8.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "text")
    ...     _ = path.write_text("to be\nor not\n")
    ...     read_lines(path)
    ['to be', 'or not']
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"read_lines: no file at {path}; give the path of a text file.")
    raw = path.read_bytes()
    try:
        text = (gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw).decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ValueError(
            f"read_lines: {path} is damaged or not in UTF-8 ({error}); replace or convert it"
        ) from error
    # Not splitlines, which would cut at characters inside sentences, too.
    lines = text.replace("\r\n", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _pairs(part: str, n: int) -> Pairs:
    paths = given("multi30k", [f"{part}.{language}" for language in ("de", "en")])
    german, english = map(read_lines, paths)
    if not len(german) == len(english) == n:
        raise ValueError(
            f"multi30k: {paths[0].name} and {paths[1].name} in {paths[0].parent} hold "
            f"{len(german)} and {len(english)} lines, expected {n}; put intact files there"
        )
    return german, english

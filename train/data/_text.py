"""Text as integers: a vocabulary of characters, windows over a series, tiny Shakespeare."""

import gzip
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._download import Content
from ._located import located

_FILES = {
    "input.txt": Content(
        1_115_394, "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
    )
}
_MIRRORS = ("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/",)


@dataclass(frozen=True)
class Characters:
    """A vocabulary of characters, numbered from 0 in order of their code points.

    >>> characters = Characters.of("hello")
    >>> characters.encode("hole").tolist(), characters.decode([1, 0, 2])
    ([1, 3, 2, 0], 'hel')
    """

    symbols: str

    @classmethod
    def of(cls, text: str) -> "Characters":
        """Return the vocabulary of a text."""
        return cls("".join(sorted(set(text))))

    def __len__(self) -> int:
        return len(self.symbols)

    def encode(self, text: str) -> NDArray[np.uint16]:
        """Return the numbers of a text's characters.

        Raises:
            ValueError: a character that is not in the vocabulary.
        """
        number = {symbol: i for i, symbol in enumerate(self.symbols)}
        unknown = sorted(set(text) - set(number))
        if unknown:
            raise ValueError(
                f"encode: the vocabulary has no {', '.join(map(repr, unknown))}; it holds "
                f"{self.symbols!r}; make it of all texts, Characters.of(text)"
            )
        return np.fromiter((number[symbol] for symbol in text), np.uint16, len(text))

    def decode(self, numbers: Iterable[Any]) -> str:
        """Return the text of numbers."""
        return "".join(self.symbols[int(i)] for i in numbers)


class Text(NamedTuple):
    """A text as numbers, in two parts that share none, and its vocabulary."""

    name: str
    train: NDArray[np.uint16]
    validation: NDArray[np.uint16]
    characters: Characters


def tiny_shakespeare() -> Text:
    """Tiny Shakespeare: 1,115,394 characters of 65 kinds, the first 90% to train.

    Read from `$LAMINAX_DATA/tinyshakespeare` where that variable is set; else from the user's cache
    folder, into which it is downloaded once (1.1 MB), checked by size and SHA-256.

    Raises:
        FileNotFoundError: the file is missing in `$LAMINAX_DATA/tinyshakespeare`.
        OSError: the download failed.

    >>> data = tiny_shakespeare()  # doctest: +SKIP
    >>> data.characters.decode(data.train[:14])  # doctest: +SKIP
    'First Citizen:'

    Source: A. Karpathy, The unreasonable effectiveness of recurrent neural networks, 2015.
    """
    (path,) = located("tinyshakespeare", _FILES, _MIRRORS)
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    characters = Characters.of(text)
    numbers = characters.encode(text)
    n = len(numbers) * 9 // 10
    return Text("tinyshakespeare", numbers[:n], numbers[n:], characters)


def windows(series: NDArray[Any], length: int, *, step: int | None = None) -> NDArray[Any]:
    """Windows of a series: row i holds `length` values from i·step on.

    What is left over at the end is dropped. For prediction of the next value take windows of
    length + 1, x = w[:, :-1], y = w[:, 1:].

    Args:
        series: (time, ...).
        length: of a window, at least 1.
        step: from one window to the next; by default the length, so that none overlap.

    Returns:
        A view (windows, length, ...).

    Raises:
        ValueError: a length or step < 1; a series shorter than one window.

    >>> windows(np.arange(7), 3, step=2).tolist()
    [[0, 1, 2], [2, 3, 4], [4, 5, 6]]
    """
    step = length if step is None else step
    if length < 1 or step < 1:
        raise ValueError(f"windows: length and step must be at least 1, got {length} and {step}")
    if len(series) < length:
        raise ValueError(
            f"windows: the series has {len(series)} values, fewer than one window of {length}; "
            "choose a shorter length"
        )
    view = np.lib.stride_tricks.sliding_window_view(series, length, axis=0)[::step]
    return np.moveaxis(view, -1, 1)

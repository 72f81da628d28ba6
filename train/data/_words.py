"""Text as words: a vocabulary counted on the training text."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PADDING, UNKNOWN, START, END = range(4)
SPECIAL = ("<pad>", "<unk>", "<start>", "<end>")


@dataclass(frozen=True)
class Words:
    """A vocabulary of words and marks, the most frequent first, after four special ones.

    Number 0 is padding, 1 stands for all words that the vocabulary does not hold, 2 and 3 for the
    start and the end of a sequence; `encode` writes only 1 of them. A word is a run of letters,
    digits and underscores, each other mark but spaces one of its own; the case is kept.

    >>> words = Words.of("to be, or not to be", min_count=2)
    >>> words.symbols[4:], words.encode("be to them").tolist()
    (('be', 'to'), [4, 5, 1])
    >>> words.decode([5, 4, 0, 0])
    'to be'
    """

    symbols: tuple[str, ...]

    @classmethod
    def of(cls, text: str, *, min_count: int = 1) -> "Words":
        """Return the vocabulary of a text: its words that come at least `min_count` times.

        Words that come equally often are in alphabetical order.

        Raises:
            ValueError: a count below 1.
        """
        if isinstance(min_count, bool) or not isinstance(min_count, int) or min_count < 1:
            raise ValueError(
                f"Words.of: min_count must be an integer of at least 1, got {min_count!r}"
            )
        counts = Counter(split_words(text))
        kept = [word for word, count in counts.items() if count >= min_count]
        return cls((*SPECIAL, *sorted(kept, key=lambda word: (-counts[word], word))))

    def __len__(self) -> int:
        return len(self.symbols)

    def encode(self, text: str) -> NDArray[np.int32]:
        """Return the numbers of a text's words, 1 for those not in the vocabulary."""
        number = {word: i for i, word in enumerate(self.symbols)}
        return np.array([number.get(word, UNKNOWN) for word in split_words(text)], np.int32)

    def decode(self, numbers: Iterable[Any]) -> str:
        """Return the words of numbers, with spaces between and without padding."""
        return " ".join(self.symbols[int(i)] for i in numbers if int(i) != PADDING)


def split_words(text: str) -> list[str]:
    """Return the words and marks of a text, in order.

    >>> split_words("It's 3 o'clock.")
    ['It', "'", 's', '3', 'o', "'", 'clock', '.']
    """
    return re.findall(r"\w+|[^\w\s]", text)

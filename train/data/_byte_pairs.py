"""Text as byte pairs: the most frequent pair of symbols is made a new one, again and again."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._words import SPECIAL


@dataclass(frozen=True)
class BytePairs:
    """A vocabulary of byte pairs, learned by the tokenizers library (`laminax[text]`).

    It begins with the four special symbols of `Words` and the 256 bytes, so any text can be written
    and comes back exactly; merges never cross from a word into the next.

    Attributes:
        json: the tokenizer, as the library writes it.

    >>> pairs = BytePairs.fit(["low lower lowest"] * 9, size=264)  # doctest: +SKIP
    >>> len(pairs), pairs.decode(pairs.encode("slow übel"))  # doctest: +SKIP
    (264, 'slow übel')

    Source: Sennrich, Haddow and Birch, Neural machine translation of rare words with subword units,
    2016; over bytes: Radford et al., Language models are unsupervised multitask learners, 2019.
    """

    json: str

    @classmethod
    def fit(cls, texts: Iterable[str], *, size: int) -> "BytePairs":
        """Learn a vocabulary of at most `size` symbols from texts, those of the training split.

        Raises:
            ImportError: tokenizers is missing.
            TypeError: one text instead of several.
            ValueError: a size below 260, the special symbols and the bytes.
        """
        if isinstance(texts, str):
            raise TypeError("BytePairs.fit: texts must be several, got one str; give [text]")
        least = len(SPECIAL) + 256
        if isinstance(size, bool) or not isinstance(size, int) or size < least:
            raise ValueError(
                f"BytePairs.fit: size must be an integer of at least {least}, 256 bytes and "
                f"{len(SPECIAL)} special symbols, got {size!r}; 8000 for example"
            )
        library = _library()
        made = library.Tokenizer(library.models.BPE())
        made.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = library.decoders.ByteLevel()
        trainer = library.trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=list(SPECIAL),
            initial_alphabet=sorted(library.pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        made.train_from_iterator(texts, trainer)
        return cls(made.to_str())

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "BytePairs":
        """Return what `save` wrote.

        Raises:
            ImportError: tokenizers is missing.
            FileNotFoundError: there is no such file.
            ValueError: the file holds no tokenizer.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"BytePairs.load: no file at {path}; give one that save wrote")
        pairs = cls(path.read_text(encoding="utf-8"))
        try:
            len(pairs)
        except ImportError:
            raise
        except Exception as error:  # the library raises no narrower one
            raise ValueError(
                f"BytePairs.load: {path} holds no tokenizer ({error}); give one that save wrote"
            ) from error
        return pairs

    def save(self, path: str | PathLike[str]) -> None:
        """Write the vocabulary to a JSON file, which the tokenizers library reads too."""
        Path(path).write_text(self.json, encoding="utf-8")

    def __len__(self) -> int:
        size: int = self._tokenizer.get_vocab_size()
        return size

    def encode(self, text: str) -> NDArray[np.int32]:
        """Return the numbers of a text; the special symbols are never read from it."""
        return np.array(self._tokenizer.encode(text, add_special_tokens=False).ids, np.int32)

    def decode(self, numbers: Iterable[Any]) -> str:
        """Return the text of numbers, without the special symbols."""
        text: str = self._tokenizer.decode([int(i) for i in numbers], skip_special_tokens=True)
        return text

    @functools.cached_property
    def _tokenizer(self) -> Any:
        made = _library().Tokenizer.from_str(self.json)
        made.encode_special_tokens = True  # as the text that they are
        return made


def _library() -> Any:
    try:
        import tokenizers
        import tokenizers.decoders
        import tokenizers.models
        import tokenizers.pre_tokenizers
        import tokenizers.trainers
    except ImportError as error:
        raise ImportError(
            "byte pairs need tokenizers, which is not installed; pip install 'laminax[text]'"
        ) from error
    return tokenizers

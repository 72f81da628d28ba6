import collections

import numpy as np
import pytest

from laminax.train.data import Words

TEXT = "The cat, the dog and the bird; the cat! A bird?"


def test_the_vocabulary_is_ordered_by_how_often_words_come():
    text = "The cat , the dog and the bird ; the cat ! A bird ?"
    counts = collections.Counter(text.split())
    words = Words.of(TEXT)
    assert words.symbols[:4] == ("<pad>", "<unk>", "<start>", "<end>")
    assert words.symbols[4:7] == ("the", "bird", "cat")
    assert words.symbols[7:] == tuple(sorted(w for w, n in counts.items() if n == 1))
    assert len(words) == 4 + len(counts)


@pytest.mark.parametrize(("least", "kept"), [(1, 11), (2, 3), (3, 1), (4, 0)])
def test_rare_words_are_left_out(least, kept):
    words = Words.of(TEXT, min_count=least)
    assert len(words) == 4 + kept
    known = words.encode(TEXT) != 1
    assert known.sum() == [15, 7, 3, 0][least - 1]


def test_words_come_back():
    words = Words.of(TEXT)
    numbers = words.encode("the dog, the unicorn")
    assert numbers.dtype == np.int32 and numbers.tolist().count(1) == 1
    assert words.decode([*numbers, 0, 0]) == "the dog , the <unk>"
    assert words.decode([2, 4, 3]) == "<start> the <end>"
    assert words.encode("").shape == (0,)


def test_other_scripts_and_what_looks_special():
    words = Words.of("Käse schmeckt. 猫は好き")
    assert words.decode(words.encode("猫は好き Käse")) == "猫は好き Käse"
    assert 0 not in words.encode("<pad>")


@pytest.mark.parametrize("count", [0, 1.5, True])
def test_misuse(count):
    with pytest.raises(ValueError, match=r"Words.of: min_count must be an integer of at least 1"):
        Words.of(TEXT, min_count=count)

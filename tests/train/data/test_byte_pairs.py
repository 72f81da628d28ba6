import itertools
import json
import sys

import numpy as np
import pytest

from laminax.train.data import BytePairs

pytest.importorskip("tokenizers", reason="tokenizers is not installed")

TEXTS = ["low lower lowest", "new newer newest wider", "übel, das Übel; 猫は好き"] * 5


@pytest.fixture(scope="module")
def pairs():
    return BytePairs.fit(TEXTS, size=290)


def letters():
    """The letter that stands for each byte: itself where it is printed, else one from 256 on."""
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in printed]
    return {
        **{byte: chr(byte) for byte in printed},
        **{byte: chr(256 + i) for i, byte in enumerate(rest)},
    }


def written(word, merges):
    """A word in symbols: the merge learned first comes first."""
    symbols = [letters()[byte] for byte in word.encode()]
    while True:
        ranks = [merges.get(pair, 10**9) for pair in itertools.pairwise(symbols)]
        if not ranks or min(ranks) == 10**9:
            return symbols
        best = min(ranks)
        out, i = [], 0
        while i < len(symbols):
            if i < len(ranks) and ranks[i] == best:
                out.append(symbols[i] + symbols[i + 1])
                i += 2
            else:
                out.append(symbols[i])
                i += 1
        symbols = out


@pytest.mark.parametrize("text", ["lowest", "newlower", "wide", "überlow", "猫"])
def test_texts_are_written_by_the_merges_in_their_order(pairs, text):
    model = json.loads(pairs.json)["model"]
    merges = {tuple(pair): rank for rank, pair in enumerate(model["merges"])}
    assert len(merges) == 290 - 260
    expected = [model["vocab"][symbol] for symbol in written(text, merges)]
    numbers = pairs.encode(text)
    assert numbers.dtype == np.int32 and numbers.tolist() == expected


def test_the_first_merge_is_of_the_most_frequent_pair():
    merges = json.loads(BytePairs.fit(["aab aab aab ab"], size=262).json)["model"]["merges"]
    assert [tuple(pair) for pair in merges] == [("a", "b"), ("a", "ab")]


@pytest.mark.parametrize(
    "text", ["", "low  lower\n\tnew ", "<pad> <unk>", "naïve 猫\u0000 \U0001f600", " leading"]
)
def test_every_text_comes_back(pairs, text):
    numbers = pairs.encode(text)
    assert pairs.decode(numbers) == text
    assert not text or numbers.min() > 3  # nothing is unknown, nothing special


def test_special_symbols_come_first_and_are_left_out_of_texts(pairs):
    low = pairs.encode("low").tolist()
    assert pairs.decode([2, *low, 3, 0, 0]) == "low"
    vocabulary = json.loads(pairs.json)["model"]["vocab"]
    assert [vocabulary[s] for s in ("<pad>", "<unk>", "<start>", "<end>")] == [0, 1, 2, 3]
    assert len(pairs) == len(vocabulary) == 290


def test_saved_and_loaded(pairs, tmp_path):
    pairs.save(tmp_path / "pairs.json")
    loaded = BytePairs.load(tmp_path / "pairs.json")
    assert (
        loaded == pairs
        and loaded.encode("newest 猫").tolist() == pairs.encode("newest 猫").tolist()
    )
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(ValueError, match=r"other.json holds no tokenizer .*; give one that save"):
        BytePairs.load(tmp_path / "other.json")
    with pytest.raises(FileNotFoundError, match=r"no file at .*none.json"):
        BytePairs.load(tmp_path / "none.json")


def test_misuse():
    with pytest.raises(TypeError, match=r"texts must be several, got one str; give \[text\]"):
        BytePairs.fit("text", size=300)
    for size in (259, 300.0, True):
        with pytest.raises(ValueError, match="size must be an integer of at least 260, 256 bytes"):
            BytePairs.fit(TEXTS, size=size)


def test_without_the_library(monkeypatch, pairs):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(
        ImportError, match=r"byte pairs need tokenizers.*pip install 'laminax\[text"
    ):
        BytePairs.fit(TEXTS, size=300)
    with pytest.raises(ImportError, match="byte pairs need tokenizers"):
        len(BytePairs(pairs.json))

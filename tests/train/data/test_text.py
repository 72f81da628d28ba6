import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from laminax.train.data import Characters, tiny_shakespeare, windows

DATA = os.environ.get("LAMINAX_DATA")


def test_a_text_comes_back_from_its_numbers():
    text = "to be, or not to be: that is the question\n"
    characters = Characters.of(text)
    assert characters.symbols == "\n ,:abehinoqrstu"
    numbers = characters.encode(text)
    assert numbers.max() == len(characters) - 1 and characters.decode(numbers) == text


def test_a_character_outside_the_vocabulary_is_named():
    with pytest.raises(ValueError, match=r"encode: the vocabulary has no '!', 'z'; it holds 'abc'"):
        Characters.of("abc").encode("az!")


@pytest.mark.skipif(not DATA, reason="LAMINAX_DATA names no folder of data")
def test_tiny_shakespeare_facts():
    data = tiny_shakespeare()
    assert len(data.characters) == 65
    assert (len(data.train), len(data.validation)) == (1_003_854, 111_540)
    assert data.characters.decode(data.train[:14]) == "First Citizen:"
    text = data.characters.decode(np.concatenate([data.train, data.validation]))
    assert text == Path(str(DATA), "tinyshakespeare", "input.txt").read_text()


def test_a_packed_text_reads_the_same(tmp_path, monkeypatch):
    (tmp_path / "tinyshakespeare").mkdir()
    packed = gzip.compress(b"hear me speak", mtime=0)
    (tmp_path / "tinyshakespeare" / "input.txt.gz").write_bytes(packed)
    monkeypatch.setenv("LAMINAX_DATA", str(tmp_path))
    data = tiny_shakespeare()
    assert data.characters.decode(data.train) + data.characters.decode(data.validation) == (
        "hear me speak"
    )


@pytest.mark.parametrize(
    ("n", "length", "step"), [(10, 3, None), (10, 3, 1), (11, 4, 3), (4, 4, 9)]
)
def test_windows_are_slices(n, length, step):
    series = np.arange(2 * n).reshape(n, 2)
    got = windows(series, length, step=step)
    starts = range(0, n - length + 1, step or length)
    assert got.tolist() == [series[i : i + length].tolist() for i in starts]


def test_windows_that_cannot_be():
    with pytest.raises(ValueError, match="has 3 values, fewer than one window of 4"):
        windows(np.arange(3), 4)
    with pytest.raises(ValueError, match="at least 1, got 0 and 2"):
        windows(np.arange(3), 0, step=2)

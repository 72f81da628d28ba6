import gzip
import os

import pytest

from laminax.train.data import multi30k, read_lines

DATA = os.environ.get("LAMINAX_DATA")


@pytest.mark.skipif(not DATA, reason="LAMINAX_DATA names no folder of data")
def test_multi30k_facts():
    data = multi30k()
    assert data.languages == ("de", "en")
    for pairs, n in zip(data[1:4], (29_000, 1_014, 1_000), strict=True):
        assert [len(lines) for lines in pairs] == [n, n]
        assert all(line == line.strip("\n") and line for lines in pairs for line in lines)
    german, english = data.train
    assert german[0].startswith("Zwei junge") and english[0].startswith("Two young")
    assert sum(" und " in line for line in german) > 5 * sum(" and " in line for line in german)
    assert not set(data.test[1][:3]) & set(data.train[1])


def test_lines_of_files(tmp_path):
    path = tmp_path / "text"
    text = "eins\r\nzwei\u2028drei\x0b\n\nvier"  # a separator inside a sentence is no end
    for raw in (text.encode(), gzip.compress(text.encode())):
        path.write_bytes(raw)
        assert read_lines(path) == ["eins", "zwei\u2028drei\x0b", "", "vier"]
    path.write_bytes(b"")
    assert read_lines(path) == []
    path.write_bytes(b"\n\n")
    assert read_lines(path) == ["", ""]


@pytest.mark.parametrize(
    "raw",
    [b"\xff\xfe", b"\x1f\x8bnot gzip", gzip.compress(b"cut off")[:-9]],
    ids=["no text", "no gzip", "cut off"],
)
def test_damaged_files(tmp_path, raw):
    (tmp_path / "text").write_bytes(raw)
    with pytest.raises(ValueError, match=r"read_lines: .*text is damaged or not in UTF-8"):
        read_lines(tmp_path / "text")
    with pytest.raises(FileNotFoundError, match=r"read_lines: no file at .*none"):
        read_lines(tmp_path / "none")


def test_files_that_do_not_fit_together(tmp_path, monkeypatch):
    monkeypatch.setenv("LAMINAX_DATA", str(tmp_path))
    (tmp_path / "multi30k").mkdir()
    (tmp_path / "multi30k" / "train.de").write_text("eins\nzwei\n")
    with pytest.raises(FileNotFoundError, match=r"holds neither train.en nor train.en.gz"):
        multi30k()
    (tmp_path / "multi30k" / "train.en.gz").write_bytes(gzip.compress(b"one\n"))
    with pytest.raises(
        ValueError, match=r"train.de and train.en.gz in .* hold 2 and 1 lines, expec"
    ):
        multi30k()

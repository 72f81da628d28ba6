import gzip
import hashlib
import os
import shutil
import struct
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from laminax.train.data import _datasets, _download, digits, mnist
from laminax.train.data._download import Content, cache_folder, download

DATA = os.environ.get("LAMINAX_DATA")
NAMES = list(_datasets._MNIST)


def packed(shape: tuple[int, ...], fill: int = 0) -> bytes:
    body = bytes([fill]) * int(np.prod(shape))
    header = bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
    return gzip.compress(header + body, compresslevel=1, mtime=0)


def put_blank_mnist(folder: Path, label: int = 3) -> None:
    folder.mkdir(parents=True)
    shapes = [(60_000, 28, 28), (60_000,), (10_000, 28, 28), (10_000,)]
    for name, shape in zip(NAMES, shapes, strict=True):
        (folder / f"{name}.gz").write_bytes(packed(shape, label if len(shape) == 1 else 0))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    served = tmp_path / "served"
    served.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=served)) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}/", served
        http.shutdown()
        thread.join()


def test_digits_are_the_ones_scikit_learn_carries() -> None:
    reference = pytest.importorskip("sklearn.datasets").load_digits()
    data = digits()
    x, y = (np.concatenate(pair) for pair in zip(data.train, data.test, strict=True))
    assert x.dtype == np.uint8 and y.dtype == np.int32 and x.shape == (1797, 8, 8, 1)
    ours = sorted((int(label), image.tobytes()) for image, label in zip(x, y, strict=True))
    images = reference.images.astype(np.uint8)
    theirs = sorted((int(t), i.tobytes()) for i, t in zip(images, reference.target, strict=True))
    assert ours == theirs


def test_digits_split_is_pinned() -> None:
    data = digits()
    assert data.name == "digits" and data.classes == tuple("0123456789")
    assert len(data.train[1]) == 1258 and len(data.test[1]) == 539
    assert data.test[1][:10].tolist() == [9, 9, 7, 1, 8, 5, 0, 8, 7, 7]
    assert np.bincount(data.train[1]).min() > 100
    assert int(data.train[0].max()) == 16


@pytest.mark.skipif(not DATA, reason="LAMINAX_DATA names no folder of data")
def test_mnist_facts() -> None:
    data = mnist()
    assert data.name == "mnist" and data.classes == tuple("0123456789")
    for (x, y), n, first in (
        (data.train, 60_000, [5, 0, 4, 1, 9]),
        (data.test, 10_000, [7, 2, 1, 0, 4]),
    ):
        assert x.shape == (n, 28, 28, 1) and x.dtype == np.uint8 and x.max() == 255
        assert y.shape == (n,) and y.dtype == np.int32 and y[:5].tolist() == first
    assert abs(data.train[0].mean() / 255 - 0.1307) < 1e-4
    assert abs(data.train[0].std() / 255 - 0.3081) < 1e-4


@pytest.mark.skipif(not DATA, reason="LAMINAX_DATA names no folder of data")
@pytest.mark.parametrize("name", NAMES)
def test_mnist_content_is_what_the_download_expects(name: str) -> None:
    content = gzip.decompress(Path(str(DATA), "mnist", f"{name}.gz").read_bytes())
    found = Content(len(content), hashlib.sha256(content).hexdigest())
    assert found == _datasets._MNIST[name]


def test_mnist_folder_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMINAX_DATA", str(tmp_path / "absent"))
    with pytest.raises(
        FileNotFoundError, match=r"no folder .*absent/mnist, which LAMINAX_DATA names"
    ):
        mnist()


def test_mnist_file_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMINAX_DATA", str(tmp_path))
    put_blank_mnist(tmp_path / "mnist")
    (tmp_path / "mnist" / f"{NAMES[1]}.gz").unlink()
    with pytest.raises(FileNotFoundError, match="holds neither train-labels-idx1-ubyte nor"):
        mnist()


def test_mnist_files_that_are_not_mnists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMINAX_DATA", str(tmp_path))
    put_blank_mnist(tmp_path / "mnist")
    assert mnist().test[1].tolist() == [3] * 10_000
    labels = tmp_path / "mnist" / f"{NAMES[3]}.gz"
    labels.write_bytes(packed((10_000,), 10))
    with pytest.raises(ValueError, match=r"t10k-labels.* holds the label 10, expected 0 to 9"):
        mnist()
    labels.write_bytes(packed((60_000,), 1))
    with pytest.raises(ValueError, match=r"holds uint8\[60000\], expected uint8\[10000\]"):
        mnist()


def test_mnist_is_downloaded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: tuple[str, Path]
) -> None:
    url, served = server
    put_blank_mnist(served / "here")
    contents = {}
    for name in NAMES:
        content = gzip.decompress((served / "here" / f"{name}.gz").read_bytes())
        contents[name] = Content(len(content), hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(_datasets, "_MNIST", contents)
    monkeypatch.setattr(_datasets, "_MIRRORS", (f"{url}gone/", f"{url}here/"))
    monkeypatch.delenv("LAMINAX_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert mnist().train[0].shape == (60_000, 28, 28, 1)
    folder = tmp_path / "cache" / "laminax" / "mnist"
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{name}.gz" for name in NAMES)
    shutil.rmtree(served / "here")
    assert mnist().test[1].tolist() == [3] * 10_000


GOOD = gzip.compress(b"four score", mtime=0)
WANTED = Content(10, hashlib.sha256(b"four score").hexdigest())


@pytest.mark.parametrize(
    ("served_bytes", "words"),
    [
        (gzip.compress(b"four scope", mtime=0), "unpacks to sha256 .*, expected"),
        (gzip.compress(b"four scores", mtime=0), "unpacks to 11 bytes or more, expected 10"),
        (gzip.compress(b"x" * 10**6, mtime=0), "unpacks to 11 bytes or more, expected 10"),
        (gzip.compress(b"four", mtime=0), "unpacks to 4 bytes or more, expected 10"),
        (GOOD[:-5], "do not unpack"),
        (b"<html>not found</html>", "do not unpack"),
        (b"", "unpacks to 0 bytes|do not unpack"),
        (None, "404"),
    ],
)
def test_a_bad_download_leaves_nothing(
    tmp_path: Path, server: tuple[str, Path], served_bytes: bytes | None, words: str
) -> None:
    url, served = server
    if served_bytes is not None:
        (served / "f.gz").write_bytes(served_bytes)
    path = tmp_path / "cache" / "f.gz"
    with pytest.raises(OSError, match=rf"(?s)cannot get f.gz:.*{words}.*by hand"):
        download([f"{url}f.gz"], path, WANTED)
    assert not path.parent.exists() or list(path.parent.iterdir()) == []


def test_a_download_is_kept_as_it_came(tmp_path: Path, server: tuple[str, Path]) -> None:
    url, served = server
    (served / "f.gz").write_bytes(GOOD)
    path = tmp_path / "cache" / "f.gz"
    download([f"{url}gone", f"{url}f.gz"], path, WANTED)
    assert path.read_bytes() == GOOD and list(path.parent.iterdir()) == [path]
    download([(served / "f.gz").as_uri()], path, WANTED)
    assert path.read_bytes() == GOOD


def test_a_plain_file_is_checked_as_it_is(tmp_path: Path, server: tuple[str, Path]) -> None:
    url, served = server
    (served / "f.txt").write_bytes(b"four score")
    path = tmp_path / "cache" / "f.txt"
    download([f"{url}f.txt"], path, WANTED)
    assert path.read_bytes() == b"four score"
    (served / "f.txt").write_bytes(b"four scope")
    with pytest.raises(OSError, match="sha256"):
        download([f"{url}f.txt"], tmp_path / "cache" / "g.txt", WANTED)


def test_a_write_that_fails_leaves_nothing(
    tmp_path: Path, server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, served = server
    (served / "f.gz").write_bytes(GOOD)
    path = tmp_path / "cache" / "f.gz"

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"cannot write .*f\.gz: No space left.*XDG_CACHE_HOME"):
        download([f"{url}f.gz"], path, WANTED)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("system", "default"), [("Darwin", "Library/Caches/laminax"), ("Linux", ".cache/laminax")]
)
def test_cache_folder_follows_the_platform(
    monkeypatch: pytest.MonkeyPatch, system: str, default: str
) -> None:
    make: Callable[[], str] = lambda: system  # noqa: E731
    monkeypatch.setattr(_download.platform, "system", make)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == Path.home() / default
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/laminax")

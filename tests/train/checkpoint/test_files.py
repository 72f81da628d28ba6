import os
from pathlib import Path

import numpy as np
import pytest

from laminax.train.checkpoint import save, writable


def test_makes_the_folder_and_leaves_nothing_in_it(tmp_path: Path) -> None:
    folder = writable(str(tmp_path / "a" / "b"))
    assert folder == tmp_path / "a" / "b" and list(folder.iterdir()) == []
    assert writable(folder) == folder


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(
            OSError, match=r"cannot write in the folder .*file.*choose another folder"
        ):
            writable(folder)
    with pytest.raises(OSError, match="cannot write in the folder"):
        save(tmp_path / "file" / "checkpoint", {"a": np.zeros(1)})
    assert (tmp_path / "file").read_text() == "x"


@pytest.mark.skipif(
    not Path("/proc/self").is_dir(), reason="needs a file system that takes no files"
)
def test_a_folder_that_takes_no_files_is_refused() -> None:
    with pytest.raises(OSError, match="cannot write in the folder /proc/self"):
        writable("/proc/self")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OSError, match="Permission denied"):
        writable(tmp_path)

"""Checkpoints in parts: what is saved over one mesh comes back over another, or whole."""

import json
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from jax.sharding import NamedSharding, PartitionSpec

from laminax import train
from laminax.train.checkpoint import read_metadata, restore, save, verify
from laminax.train.checkpoint._document import dump

from .trees import DTYPES, LEAVES, NUMPY_ONLY, TINY, containers, numbers, same

pytest.importorskip("orbax.checkpoint")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "checkpoint.orbax"


SHAPES = [(), (0,), (3, 0, 2), (1,), (5, 4, 3)]


def test_every_type_comes_back_to_the_bit(path: Path) -> None:
    tree = {
        f"{dtype} {shape}": {
            "host": numbers(dtype, shape),
            "device": None
            if dtype in (*NUMPY_ONLY, *TINY)
            else jnp.asarray(numbers(dtype, shape, 1)),
        }
        for dtype in DTYPES
        for shape in SHAPES
    }
    save(path, tree)
    found = restore(path, tree)
    same(found, tree)
    for leaf, template in zip(jax.tree.leaves(found), jax.tree.leaves(tree), strict=True):
        assert isinstance(leaf, np.ndarray) == isinstance(template, np.ndarray)


@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(tree=containers(LEAVES))
def test_any_tree_comes_back(tmp_path_factory: pytest.TempPathFactory, tree: Any) -> None:
    path = tmp_path_factory.mktemp("tree") / "any.orbax"
    save(path, tree)
    same(restore(path, tree), tree)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg"])
def test_keys_come_back_with_their_implementation(path: Path, impl: str) -> None:
    keys = {"one": jax.random.key(3, impl=impl), "many": jax.random.split(jax.random.key(4), 5)}
    save(path, keys)
    same(restore(path, jax.eval_shape(lambda: keys)), keys)


def test_a_bare_leaf_an_empty_tree_and_metadata(tmp_path: Path) -> None:
    save(tmp_path / "bare.orbax", jnp.arange(3), metadata={"epochs": [1, 2], "loss": 0.1 + 0.2})
    same(restore(tmp_path / "bare.orbax", jnp.zeros(3, jnp.int32)), jnp.arange(3))
    assert read_metadata(tmp_path / "bare.orbax") == {"epochs": [1, 2], "loss": 0.1 + 0.2}
    save(tmp_path / "empty.orbax", {"a": None, "n": 3})
    assert restore(tmp_path / "empty.orbax", {"a": None, "n": 0}) == {"a": None, "n": 3}


W = np.random.default_rng(0).normal(size=(16, 8)).astype(np.float32)


def laid(axes: tuple[Any, ...], **sizes: int) -> Any:
    return NamedSharding(train.mesh(**sizes), PartitionSpec(*axes))


@pytest.mark.parametrize(
    "saved, wanted",
    [
        (laid(("data",), data=8), laid((None, "model"), data=2, model=4)),
        (laid(("data", "model"), data=4, model=2), laid((), data=8)),
        (laid((), data=8), laid((("data", "model"),), data=4, model=2)),
    ],
    ids=["rows to columns", "blocks to whole", "whole to rows"],
)
def test_a_mesh_comes_back_as_another(path: Path, saved: Any, wanted: Any) -> None:
    key = jax.device_put(jax.random.key(7), NamedSharding(saved.mesh, PartitionSpec()))
    save(path, {"w": jax.device_put(W, saved), "key": key})
    template = {
        "w": jax.ShapeDtypeStruct(W.shape, W.dtype, sharding=wanted),
        "key": jax.device_put(jax.random.key(0), NamedSharding(wanted.mesh, PartitionSpec())),
    }
    found = restore(path, template)
    assert found["w"].sharding == wanted
    assert found["w"].addressable_shards[0].data.shape == wanted.shard_shape(W.shape)
    np.testing.assert_array_equal(found["w"], W)
    np.testing.assert_array_equal(jax.random.key_data(found["key"]), [0, 7])
    here = restore(path, {"w": W, "key": jax.random.key(0)})
    assert isinstance(here["w"], np.ndarray)
    np.testing.assert_array_equal(here["w"], W)


def test_what_is_saved_is_what_was_there_when_save_began(path: Path) -> None:
    """Training writes over its state while orbax writes it to the disk."""
    state = {"w": jnp.arange(1e6), "v": np.arange(1e6)}
    finish = train.checkpoint._tree.begin(path, state)
    double = jax.jit(lambda w: w * 2, donate_argnums=0)
    state["w"] = double(double(state["w"]))
    state["v"] *= 2
    finish()
    found = restore(path, state)
    np.testing.assert_array_equal(found["w"], np.arange(1e6, dtype=np.float32))
    np.testing.assert_array_equal(found["v"], np.arange(1e6))


def test_part_of_it_comes_back(path: Path) -> None:
    save(path, {"encoder": {"w": jnp.asarray(W)}, "head": jnp.ones(3), "n": 3})
    found = train.restore_partial(path, {"encoder": {"w": np.zeros_like(W)}, "head": np.zeros(5)})
    np.testing.assert_array_equal(found.tree["encoder"]["w"], W)
    np.testing.assert_array_equal(found.tree["head"], np.zeros(5))
    assert (found.restored, found.differing, found.unexpected) == (
        ("encoder/w",),
        ("head",),
        ("n",),
    )


def test_what_does_not_fit_is_refused(path: Path) -> None:
    save(path, {"w": jnp.asarray(W)})
    assert verify(path) == {"w": "float32[16, 8]"}
    with pytest.raises(ValueError, match=r"'w' is float32\[16, 8\] in the file, float32\[3\] in"):
        restore(path, {"w": np.zeros(3, np.float32)})


def test_what_stands_there_is_not_replaced(path: Path) -> None:
    save(path, {"w": W})
    with pytest.raises(FileExistsError, match="is there already, and a folder cannot be replaced"):
        save(path, {"w": W + 1})
    np.testing.assert_array_equal(restore(path, {"w": W})["w"], W)


def test_numbers_smaller_than_a_byte_are_refused(path: Path) -> None:
    with pytest.raises(TypeError, match=r"'w' is int4; orbax holds no numbers smaller than a byte"):
        save(path, {"w": jnp.ones(3, jnp.int4)})
    assert not path.exists()


def test_no_damage_is_read_silently(path: Path) -> None:
    """One bit of any file, a file that is missing, one too many."""
    tree = {"w": W, "n": 3}
    save(path, tree, metadata={"epoch": 1})
    files = [file for file in path.rglob("*") if file.is_file()]
    assert len(files) > 5
    for file in files:
        good = file.read_bytes()
        for damaged in (None, flipped(good, len(good) // 2), flipped(good, -1), good[:-1]):
            file.unlink() if damaged is None else file.write_bytes(damaged)
            with pytest.raises(ValueError, match=r"checkpoint\.orbax is damaged: "):
                restore(path, tree)
        file.write_bytes(good)
    (path / "more").write_text("")
    with pytest.raises(ValueError, match="is damaged: more is not of it"):
        verify(path)
    (path / "more").unlink()
    same(restore(path, tree), tree)


def flipped(content: bytes, at: int) -> bytes:
    changed = bytearray(content)
    changed[at] ^= 1
    return bytes(changed)


def test_one_that_not_all_processes_ended_is_refused(path: Path) -> None:
    save(path, {"w": W})
    manifest = path / "manifests" / "0.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"processes": 2}))
    with pytest.raises(ValueError, match=r"it has 1 manifests, of \[2\] that were to be"):
        read_metadata(path)


def test_arrays_that_are_not_what_the_json_says_are_refused(path: Path) -> None:
    save(path, {"w": W})
    manifest = path / "manifests" / "0.json"
    told = json.loads(manifest.read_text())
    told["document"] = dump({"w": {"dtype": "float32", "shape": [8, 16]}}, {})
    manifest.write_text(json.dumps(told))
    with pytest.raises(ValueError, match=r"'w' is float32\[16, 8\], not as the JSON says"):
        restore(path, {"w": W.T})


def test_what_is_missing_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match=r"no folder at .*checkpoint\.orbax"):
        restore(path, {})
    monkeypatch.setitem(sys.modules, "orbax.checkpoint", None)
    with pytest.raises(ImportError, match=r"needs orbax.*pip install 'laminax\[orbax\]'"):
        save(path, {"w": W})


def test_a_disk_that_is_full_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("laminax.train.checkpoint._orbax.commit", full)
    with pytest.raises(OSError, match=r"cannot write .*checkpoint\.orbax: .*No space left"):
        save(path, {"w": W})
    with pytest.raises(ValueError, match="it has 0 manifests"):
        restore(path, {"w": W})

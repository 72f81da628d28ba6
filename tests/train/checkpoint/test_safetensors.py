import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from safetensors.numpy import load_file, save_file

from laminax.train.checkpoint import _document, _files, _safetensors, read_metadata, restore, save

from .trees import DTYPES, LEAVES, NUMPY_ONLY, containers, numbers, same


@pytest.fixture(autouse=True)
def strict() -> Iterator[None]:
    with (
        jax.numpy_dtype_promotion("strict"),
        jax.numpy_rank_promotion("raise"),
        jax.debug_key_reuse(True),
    ):
        yield


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "checkpoint.safetensors"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (5, 4, 3)])
def test_every_type_comes_back_to_the_bit(path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    tree = {"host": numbers(dtype, shape)}
    if dtype not in NUMPY_ONLY:
        tree["device"] = jnp.asarray(numbers(dtype, shape, 1))
    save(path, tree)
    found = restore(path, tree)
    same(found, tree)
    assert isinstance(found["host"], np.ndarray)
    assert isinstance(found.get("device", jnp.zeros(())), jax.Array)
    abstract = {name: jax.ShapeDtypeStruct(shape, leaf.dtype) for name, leaf in tree.items()}
    if dtype not in NUMPY_ONLY:
        found = restore(path, abstract)
        same(found, tree)
        assert isinstance(found["host"], jax.Array)


@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(tree=containers(LEAVES))
def test_any_tree_comes_back(path: Path, tree: Any) -> None:
    save(path, tree)
    same(restore(path, tree), tree)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg", "unsafe_rbg"])
def test_keys_come_back_with_their_implementation(path: Path, impl: str) -> None:
    keys = {
        "one": jax.random.key(3, impl=impl),
        "many": jax.random.split(jax.random.key(4, impl=impl), 5),
    }
    save(path, keys)
    for template in (keys, jax.eval_shape(lambda: keys)):
        found = restore(path, template)
        same(found, keys)
        draws = [
            np.asarray(jax.random.uniform(tree["one"], (4,)))
            for tree in (found, jax.tree.map(jax.random.clone, keys))
        ]
        np.testing.assert_array_equal(*draws)
    other = "rbg" if impl == "threefry2x32" else "threefry2x32"
    with pytest.raises(
        ValueError, match=r"'one' is key<\w+>\[\] in the file, key<\w+>\[\] in the template"
    ):
        restore(path, {"one": jax.random.key(3, impl=other), "many": keys["many"]})


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24.0).reshape(4, 6).T,
        np.arange(24, dtype=np.int16).reshape(4, 6)[::-1, ::3],
        np.broadcast_to(np.float32(2.5), (3, 2)),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(5, dtype=">f4"),
        np.arange(5, dtype=">c16"),
        np.float32(3.5),
        np.bool_(True),
    ],
    ids=str,
)
def test_memory_order_does_not_matter(path: Path, array: np.ndarray) -> None:
    save(path, {"a": array})
    found = restore(path, {"a": array})["a"]
    assert found.shape == array.shape and found.dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(found, array)


def test_x64(path: Path) -> None:
    tree = {"w": np.array([1 / 3, 2e300])}
    save(path, tree)
    template = {"w": jax.ShapeDtypeStruct((2,), np.dtype("float64"))}
    with pytest.raises(
        ValueError, match=r"'w' is float64\[2\], which JAX holds under jax_enable_x64"
    ):
        restore(path, template)
    with jax.enable_x64(True):
        found = restore(path, template)
        assert isinstance(found["w"], jax.Array)
        same(found, tree)


def test_bare_leaf_empty_tree_and_metadata(path: Path) -> None:
    save(
        path,
        jnp.arange(3),
        metadata={"epochs": [1, 2], "loss": 0.1 + 0.2, "by": {"2": None, "10": 1}},
    )
    same(restore(path, jnp.zeros(3, jnp.int32)), jnp.arange(3))
    assert read_metadata(path) == {"epochs": [1, 2], "loss": 0.1 + 0.2, "by": {"2": None, "10": 1}}
    save(path, {"a": None, "b": []}, metadata={2: "x", 10: "y", "best": float("inf")})
    assert restore(path, {"a": None, "b": []}) == {"a": None, "b": []}
    assert read_metadata(path) == {"2": "x", "10": "y", "best": float("inf")}
    save(path, {})
    assert read_metadata(path) == {}


def test_other_tools_read_the_arrays_under_their_paths(path: Path) -> None:
    w, b = np.arange(6.0, dtype=np.float32).reshape(2, 3), jnp.ones(3, jnp.bfloat16)
    save(path, {"params": [{"w": w, "b": b}]})
    found = load_file(path)
    np.testing.assert_array_equal(found["params/0/w"], w)
    assert found["params/0/b"].dtype.name == "bfloat16"


def test_the_same_tree_gives_the_same_bytes(path: Path, tmp_path: Path) -> None:
    tree = {f"a{i}": np.arange(i) for i in range(20)}
    save(path, tree, metadata={"b": 1, "a": 2})
    save(tmp_path / "other", tree, metadata={"b": 1, "a": 2})
    assert path.read_bytes() == (tmp_path / "other").read_bytes()


def test_restored_arrays_are_the_callers_own(path: Path) -> None:
    tree = {"w": np.ones(4, np.float32), "v": jnp.ones(4)}
    save(path, tree)
    found = restore(path, tree)
    found["w"] += 1
    jax.jit(lambda v: v * 0, donate_argnums=0)(found["v"])
    same(restore(path, tree), tree)


def test_all_that_does_not_fit_is_listed_at_once(path: Path) -> None:
    save(
        path,
        {"a": {"w": np.zeros((3, 4), np.float32)}, "b": 1, "c": np.zeros(2, np.int32), "d": True},
    )
    template = {
        "a": {"w": jnp.zeros((3, 5)), "scale": jnp.zeros(3)},
        "c": jax.ShapeDtypeStruct((2,), jnp.uint32),
        "d": 1,
        "key": jax.random.key(0),
    }
    with pytest.raises(ValueError, match="does not fit the template") as caught:
        restore(path, template)
    message = str(caught.value)
    for line in (
        "'a/w' is float32[3, 4] in the file, float32[3, 5] in the template",
        "missing in the file: 'a/scale', float32[3]",
        "missing in the file: 'key', key<fry>[]",
        "unexpected in the file: 'b', int",
        "'c' is int32[2] in the file, uint32[2] in the template",
        "'d' is bool in the file, int in the template",
    ):
        assert line in message
    assert str(path) in message


@pytest.mark.parametrize(
    "tree",
    [
        {"a/b": np.zeros(1), "a": {"b": np.zeros(1)}},
        {"a": [np.zeros(1)], "a/0": np.zeros(1)},
        {"__metadata__": np.zeros(1)},
    ],
)
def test_paths_that_collide_are_refused(path: Path, tree: Any) -> None:
    with pytest.raises(ValueError, match=r"the path '.*' cannot be used"):
        save(path, tree)
    assert not path.exists()


@pytest.mark.parametrize(
    ("leaf", "words"),
    [
        pytest.param(object(), "'x/0' is object", id="object"),
        (np.array(["a"]), "'x/0' is an array of <U1"),
        (np.array([None]), "'x/0' is an array of object"),
        (np.array(["2020-01-01"], "M8[D]"), "'x/0' is an array of datetime64"),
        (np.zeros(2, np.clongdouble), "'x/0' is an array of "),
        (np.zeros(2, [("a", "f4")]), "'x/0' is an array of "),
        (np.zeros(2, jax.dtypes.float0), "'x/0' is an array of "),
        (1j, "'x/0' is complex"),
        (b"bytes", "'x/0' is bytes"),
        (jax.ShapeDtypeStruct((2,), jnp.float32), "'x/0' is .* holds no numbers"),
    ],
    ids=str,
)
def test_leaves_that_cannot_be_stored_are_named(path: Path, leaf: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        save(path, {"x": [leaf]})
    assert not path.exists()


def test_saving_under_jit_is_refused(path: Path) -> None:
    with pytest.raises(TypeError, match=r"'w' is .* outside of jit"):
        jax.jit(lambda w: save(path, {"w": w}))(jnp.ones(2))


def test_metadata_that_is_not_json_is_refused(path: Path) -> None:
    with pytest.raises(
        TypeError, match=r"metadata cannot be written as JSON.*put arrays in the tree"
    ):
        save(path, {}, metadata={"w": np.zeros(2)})


def test_missing_file(path: Path) -> None:
    for read in (lambda: restore(path, {}), lambda: read_metadata(path)):
        with pytest.raises(FileNotFoundError, match=r"no file at .*checkpoint\.safetensors"):
            read()
    path.mkdir()
    with pytest.raises(ValueError, match="is a folder; give the path of a file"):
        save(path, {})


TREE = {"w": np.arange(6, dtype=np.float32), "k": np.float16(3), "n": 7, "e": np.zeros(0)}


def test_no_flipped_bit_is_read_silently(path: Path) -> None:
    save(path, TREE, metadata={"epoch": 3})
    good = path.read_bytes()
    refused = 0
    for i in range(len(good)):
        path.write_bytes(good[:i] + bytes([good[i] ^ 1 << i % 8]) + good[i + 1 :])
        try:
            found, metadata = restore(path, TREE), read_metadata(path)
        except ValueError as error:
            assert str(path) in str(error)
            refused += 1
        else:
            same(found, TREE)
            assert metadata == {"epoch": 3}
    assert refused > 0.95 * len(good)
    path.write_bytes(good)
    same(restore(path, TREE), TREE)


def test_a_flipped_weight_is_named(path: Path) -> None:
    save(path, TREE)
    good = path.read_bytes()
    at = good.index(TREE["w"].tobytes()) + 5
    path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
    with pytest.raises(
        ValueError, match="is damaged: the bytes of 'w' are not those that were saved"
    ):
        restore(path, TREE)


def test_truncated_and_foreign_files_are_refused(path: Path) -> None:
    save(path, TREE)
    good = path.read_bytes()
    for length in (0, 1, 7, 8, 9, len(good) // 2, len(good) - 1):
        path.write_bytes(good[:length])
        with pytest.raises(ValueError, match="is damaged: "):
            restore(path, TREE)
    path.write_bytes(good + b"0")
    with pytest.raises(ValueError, match="is damaged: "):
        restore(path, TREE)
    save_file({"w": np.zeros(3)}, path)
    with pytest.raises(ValueError, match="holds no checkpoint of laminax"):
        restore(path, {"w": np.zeros(3)})


def test_swapped_tensors_are_refused(path: Path) -> None:
    tree = {"a": np.zeros(3, np.float32), "b": np.ones(3, np.float32)}
    save(path, tree)
    path.write_bytes(
        path.read_bytes()
        .replace(b'"a":{"dtype":"F', b'"~":{"dtype":"F')
        .replace(b'"b":{"dtype":"F', b'"a":{"dtype":"F')
        .replace(b'"~":{"dtype":"F', b'"b":{"dtype":"F')
    )
    with pytest.raises(ValueError, match="the bytes of 'a'"):
        restore(path, tree)


def test_a_later_format_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_document, "_FORMAT", 2)
    save(path, TREE)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="has format version 2, but this laminax reads version 1"):
        restore(path, TREE)


@pytest.mark.parametrize("call", ["chmod", "replace", "fsync", "save_file", "half"])
def test_a_save_that_fails_leaves_the_previous_checkpoint(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    save(path, TREE)

    def fail(*args: Any, **kwargs: Any) -> None:
        if call == "half":
            Path(args[1]).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    target = {"chmod": Path, "replace": Path, "fsync": os}.get(call, _safetensors)
    monkeypatch.setattr(target, "save_file" if call == "half" else call, fail)
    with pytest.raises(OSError, match=r"cannot write .*No space left.*unharmed"):
        save(path, {"other": np.ones(3)})
    monkeypatch.undo()
    same(restore(path, TREE), TREE)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_the_new_file_is_flushed_before_it_takes_the_place_of_the_old(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Order of the disk's operations: contents, rename, folder."""
    seen: list[str] = []
    flush, replace = _files._flush, Path.replace
    monkeypatch.setattr(_files, "_flush", lambda p: (seen.append(f"flush {p.name}"), flush(p))[1])
    monkeypatch.setattr(Path, "replace", lambda a, b: (seen.append("rename"), replace(a, b))[1])
    save(path, TREE)
    assert seen == [f"flush {path.name}", "rename", f"flush {path.parent.name}"]


def test_a_process_killed_while_saving_leaves_the_previous_checkpoint(path: Path) -> None:
    save(path, TREE)
    code = (
        "import os, sys; from laminax.train.checkpoint import save;"
        "os.fsync = lambda descriptor: os._exit(9); save(sys.argv[1], {'other': 1})"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 9
    assert len(list(path.parent.iterdir())) == 2  # it died in the middle
    same(restore(path, TREE), TREE)
    save(path, {"other": np.ones(3)})
    same(restore(path, {"other": np.ones(3)}), {"other": np.ones(3)})


def test_the_file_has_the_users_permissions(path: Path) -> None:
    old = os.umask(0o027)
    try:
        save(path, TREE)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_the_json_maps_every_path(path: Path) -> None:
    save(path, {"a": {"w": np.zeros((2, 3), np.float32)}, "key": jax.random.key(0), "n": 0.1})
    raw_bytes = path.read_bytes()
    header = json.loads(raw_bytes[8 : 8 + int.from_bytes(raw_bytes[:8], "little")])
    leaves = json.loads(header["__metadata__"]["laminax"])["leaves"]
    assert leaves["a/w"]["dtype"] == "float32" and leaves["a/w"]["shape"] == [2, 3]
    assert leaves["key"]["key"] == "threefry2x32" and leaves["n"] == {"value": 0.1}
    assert b"pickle" not in raw_bytes

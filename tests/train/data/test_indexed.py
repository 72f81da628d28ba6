import jax
import numpy as np
import pytest

from laminax import nn, optim, train
from laminax.train.data import index, indexed

from .source_law import assert_divides, assert_resumes, assert_same

N, BATCH = 70, 16


def table(n=N):
    x = np.arange(3 * n, dtype=np.float32).reshape(n, 3)
    return x, np.arange(n, dtype=np.int32)


def rows(step, key=0, batch_size=BATCH, n=N):
    return np.asarray(index(jax.random.key(key), step, batch_size, n))


def source(data, key=0, batch_size=BATCH):
    return indexed(data, batch_size=batch_size, key=jax.random.key(key))


@pytest.mark.parametrize("batch_size", [1, 16, 70, 150])
def test_resumes(batch_size):
    assert_resumes(lambda: source(table(), batch_size=batch_size), 12)


def test_divides():
    for batch_size in (16, 70, 150):
        assert_divides(lambda: source(table(), batch_size=batch_size), 9)  # noqa: B023


def test_a_part_reads_its_own_rows_alone():
    read = []

    class Counted(Rising):
        def __getitem__(self, chosen):
            read.extend(chosen.tolist())
            return super().__getitem__(chosen)

    whole = source(Counted())
    read.clear()
    part = whole.part(np.arange(4, 8))
    for step in range(3):
        next(part)
        assert read == sorted(rows(step)[4:8].tolist())
        read.clear()


@pytest.mark.parametrize(
    ("batch_size", "n"), [(16, 70), (3, 20), (40, 7), (2**15, 200), (2**17, 200)]
)
def test_the_order_is_that_of_the_stream_in_memory(batch_size, n):
    stream = source(table(n)[1], 5, batch_size)
    for step in range(6):
        np.testing.assert_array_equal(next(stream), rows(step, 5, batch_size, n))


def test_the_order_far_from_the_start():
    """Across blocks of rows that are computed at once, and epochs."""
    stream = source(table()[1])
    for step in (4094, 4095, 4096, 2**20 - 1, 5, 2**31 + 3):
        stream.restore({**stream.state(), "step": step})
        for ahead in range(3):
            np.testing.assert_array_equal(next(stream), rows(step + ahead))


def test_every_tree_of_arrays(tmp_path):
    x, y = table()
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    tree = {"disk": mapped, "more": (y, jax.numpy.asarray(x))}
    for step, batch in enumerate(assert_resumes(lambda: source(tree), 6)):
        chosen = rows(step)
        assert type(batch["disk"]) is np.ndarray
        assert_same(batch, {"disk": x[chosen], "more": (y[chosen], x[chosen])})


class Rising:
    """An array on disk as HDF5 reads it: by row numbers that rise, none twice."""

    shape, dtype = (N, 3), np.dtype(np.float32)

    def __len__(self):
        return N

    def __getitem__(self, chosen):
        assert isinstance(chosen, np.ndarray) and (np.diff(chosen) > 0).all()
        return table()[0][chosen]


def test_an_array_on_disk_that_wants_rising_rows():
    for step, batch in enumerate(assert_resumes(lambda: source(Rising(), batch_size=150), 4)):
        np.testing.assert_array_equal(batch, table()[0][rows(step, batch_size=150)])


def test_a_hugging_face_dataset():
    datasets = pytest.importorskip("datasets")
    x, y = table()
    held = datasets.Dataset.from_dict({"x": x.tolist(), "y": y.tolist()})
    for step, batch in enumerate(assert_resumes(lambda: source(held), 6)):
        assert set(batch) == {"x", "y"}
        np.testing.assert_array_equal(batch["x"], x[rows(step)])
        np.testing.assert_array_equal(batch["y"], y[rows(step)])


def test_a_hugging_face_dataset_keeps_the_columns_and_the_transform_chosen():
    datasets = pytest.importorskip("datasets")
    x, y = table()
    held = datasets.Dataset.from_dict({"x": x.tolist(), "y": y.tolist(), "name": ["a"] * N})
    assert set(next(source(held.with_format("numpy", columns=["y"])))) == {"y"}
    twice = held.with_transform(lambda batch: {"twice": [2 * value for value in batch["y"]]})
    np.testing.assert_array_equal(next(source(twice))["twice"], 2 * rows(0))
    with pytest.raises(TypeError, match=r"must be arrays of numbers, got <U1\[1\]"):
        source(held)


def test_a_torch_dataset():
    torch = pytest.importorskip("torch")
    x, y = table()

    class Examples(torch.utils.data.Dataset):
        def __len__(self):
            return N

        def __getitem__(self, row):
            if not isinstance(row, int):
                raise TypeError(f"one at a time, got {row!r}")
            return {"x": torch.tensor(x[row]), "y": int(y[row])}

    for step, batch in enumerate(assert_resumes(lambda: source(Examples()), 6)):
        np.testing.assert_array_equal(batch["x"], x[rows(step)])
        np.testing.assert_array_equal(batch["y"], y[rows(step)])
    np.testing.assert_array_equal(next(source(torch.tensor(x))), x[rows(0)])


def test_training_from_disk_is_training_from_memory(tmp_path):
    x = np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)
    y = x.sum(1, keepdims=True)
    for name, part in (("x", x), ("y", y)):
        np.save(tmp_path / f"{name}.npy", part)
    disk = tuple(np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "xy")
    objective = train.supervised(nn.dense(1), nn.losses.squared_error)
    optimizer = optim.adam(0.01)
    state = train.init(objective, optimizer, (x, y), seed=3)
    stream = indexed(disk, batch_size=BATCH, key=state.data_key)
    step = jax.jit(train.step(objective, optimizer))
    gather = jax.jit(lambda key, s: train.data.gather((x, y), index(key, s, BATCH, N)))
    memory = state
    for s in range(12):
        state, _ = step(state, next(stream))
        memory, _ = step(memory, gather(memory.data_key, np.uint32(s)))
    assert_same(jax.tree.map(np.asarray, state.params), jax.tree.map(np.asarray, memory.params))


def test_reading_compiles_nothing_after_the_first_batch(compiles):
    stream = source(table(500)[1], batch_size=9)
    next(stream)
    compiles.clear()
    stream.restore({**stream.state(), "step": 10**6})
    for _ in range(20):
        next(stream)
    assert compiles == []


def test_sizes_of_numpy():
    assert_resumes(lambda: source(table(), batch_size=np.int64(9)), 3)


def test_other_key_implementations():
    key = jax.random.key(4, impl="rbg")
    stream = indexed(table()[1], batch_size=BATCH, key=key)
    np.testing.assert_array_equal(next(stream), index(key, 0, BATCH, N))


@pytest.mark.parametrize(
    ("data", "options", "error", "words"),
    [
        ((np.arange(3), np.arange(4)), {}, ValueError, "data/0 has 3, data/1 has 4"),
        (np.zeros((0, 2)), {}, ValueError, r"empty"),
        ((), {}, ValueError, "holds no arrays"),
        (np.float32(1), {}, TypeError, "a float32 does not answer to row numbers"),
        (iter([1]), {}, TypeError, "use iterated for what can only be read from front to back"),
        (np.array(["a", "b"]), {}, TypeError, r"must be arrays of numbers, got <U1\[1\] at 'data'"),
        (np.arange(3), {"batch_size": 0}, ValueError, "indexed: batch_size is 0"),
        (
            np.arange(3),
            {"batch_size": 1.5},
            ValueError,
            "batch_size is 1.5; it must be an integer",
        ),
        (np.arange(3), {"key": 0}, TypeError, "indexed: key is 0; it must be one typed key"),
    ],
)
def test_misuse(data, options, error, words):
    with pytest.raises(error, match=words):
        indexed(data, **{"batch_size": 2, "key": jax.random.key(0), **options})

"""A pass gives each example once, every time it is read."""

import numpy as np
import pytest

from laminax.train.data import in_order, once

X = np.arange(21.0).reshape(7, 3)


def read(examples):
    return [np.asarray(batch).tolist() for batch in examples]


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_rows_in_order_and_all_of_them_every_time(size, tmp_path):
    np.save(tmp_path / "x.npy", X)
    examples = in_order(np.load(tmp_path / "x.npy", mmap_mode="r"), batch_size=size)
    for _ in range(2):
        batches = list(examples)
        assert [len(batch) for batch in batches[:-1]] == [size] * (len(batches) - 1)
        np.testing.assert_array_equal(np.concatenate(batches), X)
    np.testing.assert_array_equal(examples.sample, X[:size])


def test_data_sets_of_others():
    datasets = pytest.importorskip("datasets")
    torch = pytest.importorskip("torch")
    table = {"a": [1, 2, 3, 4, 5], "b": [5.0, 4.0, 3.0, 2.0, 1.0]}
    batches = list(in_order(datasets.Dataset.from_dict(table), batch_size=2))
    assert {n: np.concatenate([b[n] for b in batches]).tolist() for n in table} == table
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.arange(5)), 2)
    examples = once(lambda: loader)
    assert [x.tolist() for _ in range(2) for (x,) in examples] == [[0, 1], [2, 3], [4]] * 2


def test_what_is_read_once_only_says_so():
    batches = iter([X[:4], X[4:]])
    examples = once(lambda: batches)
    assert len(list(examples)) == 2
    with pytest.raises(ValueError, match=r"gives no batches; .* a new iterator at every call"):
        list(examples)


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: once([X]), TypeError, r"once: make: expected a function, got list; write once"),
        (lambda: list(once(lambda: 3)), TypeError, "gives a int, which cannot be iterated over"),
        (lambda: list(once(lambda: [["a"]])), TypeError, "batches must be arrays of numbers"),
        (lambda: list(once(lambda: [(X, X[:2])])), ValueError, "once: .*leading ax"),
        (lambda: in_order(iter([X])), TypeError, r"does not answer to row numbers; .* once for"),
        (lambda: in_order(X[:0]), ValueError, "the data is empty"),
        (lambda: in_order(X, batch_size=0), ValueError, "in_order: batch_size is 0"),
        (lambda: in_order((X, X[:2])), ValueError, "leading ax"),
    ],
    ids=["list", "number", "text", "ragged", "iterator", "empty", "size", "lengths"],
)
def test_bad_arguments_say_what_is_wrong(make, error, words):
    with pytest.raises(error, match=words):
        make()

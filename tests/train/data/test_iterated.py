import itertools

import numpy as np
import pytest

from laminax.train.data import iterated

from .source_law import assert_resumes

N = 23


def shuffled(epoch):
    return np.random.default_rng(epoch).permutation(N)


def parts(epoch):
    """Two pieces of data, in batches of 1, 2, 3, ... examples."""
    order, start = shuffled(epoch), 0
    for size in itertools.count(1):
        if start >= N:
            return
        chosen = order[start : start + size]
        yield chosen, {"square": (chosen**2).astype(np.float32)}
        start += size


def assert_epochs(stream, order):
    """The batches are the epochs, one after another, cut in equal pieces."""
    seen = np.concatenate(stream)
    expected = np.concatenate([order(epoch) for epoch in range(len(seen) // N + 1)])
    np.testing.assert_array_equal(seen, expected[: len(seen)])


@pytest.mark.parametrize("batch_size", [1, 4, 5, 23, 50])
def test_a_generator_resumes(batch_size):
    stream = assert_resumes(lambda: iterated(parts, batch_size=batch_size), 13)
    assert_epochs([x for x, _ in stream], shuffled)
    for x, more in stream:
        np.testing.assert_array_equal(more["square"], x**2)


def test_how_many_an_epoch_holds_is_what_the_caller_says():
    assert iterated(parts, batch_size=4).examples is None
    assert iterated(parts, batch_size=4, examples=N).examples == N


def test_a_torch_loader_resumes():
    torch = pytest.importorskip("torch")
    held = torch.utils.data.TensorDataset(torch.arange(N), torch.arange(N) * 2)

    def loader(epoch):
        generator = torch.Generator().manual_seed(epoch)
        return torch.utils.data.DataLoader(held, 4, shuffle=True, generator=generator)

    def order(epoch):
        return np.concatenate([np.asarray(x) for x, _ in loader(epoch)])

    stream = assert_resumes(lambda: iterated(loader, batch_size=5), 12)
    assert_epochs([x for x, _ in stream], order)
    assert all((y == 2 * x).all() for x, y in stream)
    assert not (order(0) == order(1)).all()


class Counted:
    """Counts what is read of an iterable."""

    def __init__(self):
        self.read = 0

    def count(self, value):
        self.read += 1
        return value


def test_grain_resumes_by_its_own_state():
    grain = pytest.importorskip("grain")
    counted = Counted()

    def make(epoch):
        order = grain.MapDataset.range(N).shuffle(seed=epoch).map(counted.count)
        nothing_ahead = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
        return order.to_iter_dataset(nothing_ahead).batch(4)

    def order(epoch):
        return np.concatenate(list(make(epoch)))

    stream = assert_resumes(lambda: iterated(make, batch_size=5), 12)
    assert_epochs(stream, order)
    source = iterated(make, batch_size=4)
    state = [(source.state(), next(source)) for _ in range(4)][-1][0]
    expected, again = order(0)[12:16], iterated(make, batch_size=4)
    counted.read = 0
    again.restore(state)
    np.testing.assert_array_equal(next(again), expected)
    assert counted.read == 2 * 4  # the batch before, which is checked, and the next


class Squares:
    """grain tells sources apart by what they look like."""

    def __repr__(self):
        return "Squares()"

    def __len__(self):
        return N

    def __getitem__(self, row):
        return np.int64(row) ** 2


def test_a_grain_loader_resumes_by_its_own_state():
    grain = pytest.importorskip("grain")

    def make(epoch):
        sampler = grain.samplers.IndexSampler(N, num_epochs=1, shuffle=True, seed=epoch)
        operations = [grain.transforms.Batch(4)]
        return grain.DataLoader(data_source=Squares(), sampler=sampler, operations=operations)

    stream = assert_resumes(lambda: iterated(make, batch_size=5), 12)
    assert_epochs(stream, lambda epoch: np.concatenate(list(make(epoch))))
    assert sorted(np.concatenate(stream)[:N]) == [row**2 for row in range(N)]


def held(datasets, shards):
    data = datasets.Dataset.from_dict({"x": list(range(N)), "y": [[i, -i] for i in range(N)]})
    return data.to_iterable_dataset(num_shards=shards)


@pytest.mark.parametrize("shards", [1, 3])
def test_a_hugging_face_stream_resumes_by_its_own_state(shards):
    datasets = pytest.importorskip("datasets")
    stream = held(datasets, shards).with_format("numpy").batch(4)

    def order(epoch):
        stream = held(datasets, shards)
        stream.set_epoch(epoch)  # which changes the order of the shards
        return np.array([example["x"] for example in stream])

    batches = assert_resumes(lambda: iterated(lambda epoch: stream, batch_size=5), 15)
    assert_epochs([batch["x"] for batch in batches], order)
    for batch in batches:
        np.testing.assert_array_equal(batch["y"], np.stack([batch["x"], -batch["x"]], 1))
    source = iterated(lambda epoch: stream, batch_size=5)
    next(source)
    assert isinstance(source.state()["place"]["inner"], dict)  # its own, not a count


def test_a_hugging_face_stream_shuffled_by_a_buffer_is_read_again():
    """Its own state leaves the buffer out: taken up by it, the stream would go on otherwise."""
    datasets = pytest.importorskip("datasets")

    def make(epoch):
        shuffled = held(datasets, 3).shuffle(seed=1, buffer_size=6)
        return shuffled.with_format("numpy").batch(4)

    batches = assert_resumes(lambda: iterated(make, batch_size=5), 12)
    x = np.concatenate([batch["x"] for batch in batches])
    assert sorted(x[:N]) == sorted(x[N : 2 * N]) == list(range(N))
    assert not (x[:N] == x[N : 2 * N]).all()  # set_epoch was told


def test_a_state_that_json_cannot_hold_is_not_used():
    class Stateful:
        def __iter__(self):
            return parts(0)

        def state_dict(self):
            return {"generator": np.arange(3)}

    assert_resumes(lambda: iterated(lambda epoch: Stateful(), batch_size=5), 9)


def test_an_order_that_the_epoch_does_not_decide_is_found_out():
    random = np.random.default_rng(0)
    make = lambda epoch: [random.permutation(N)]  # noqa: E731
    source = iterated(make, batch_size=4)
    next(source)
    state = source.state()
    with pytest.raises(ValueError, match=r"did not give the batches again.*let the epoch decide"):
        iterated(make, batch_size=4).restore(state)


def test_one_iterator_for_all_epochs_is_found_out():
    one = parts(0)
    source = iterated(lambda epoch: one, batch_size=5)
    with pytest.raises(ValueError, match=r"make\(1\) gives no batches; .*a new iterator at every"):
        for _ in range(6):
            next(source)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        ([np.arange(3)], TypeError, "make: expected a function of the epoch .* lambda epoch:"),
        (lambda epoch: 3, TypeError, r"make\(0\) gives a int, which cannot be iterated over"),
        (lambda epoch: [], ValueError, r"make\(1\) gives no batches"),
        (lambda epoch: [(1, 2)], ValueError, "iterated: data: data/0, data/1 has no axes"),
        (lambda epoch: [np.array(["a"])], TypeError, "must be arrays of numbers, got <U1"),
        (
            lambda epoch: [np.zeros((2, 3)), np.zeros((2, 4))],
            ValueError,
            r"must be alike but for their length, got \(\(4,\), 'float64'\) after \(\(3,\)",
        ),
        (
            lambda epoch: [np.zeros(2), np.zeros(2, np.float32)],
            ValueError,
            "'float32'.* after .*'float64'",
        ),
    ],
)
def test_misuse(make, error, words):
    with pytest.raises(error, match=words):
        next(iterated(make, batch_size=4))


def test_misuse_of_the_batch_size():
    for size in (0, 1.5):
        with pytest.raises(ValueError, match="batch_size must be an integer of at least 1, got"):
            iterated(parts, batch_size=size)

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn, optim, train
from laminax.train.data import bucketed

from .source_law import assert_divides, assert_resumes

random = np.random.default_rng(0)
LENGTHS = random.integers(1, 30, 103)
TEXTS = [100 * i + np.arange(t, dtype=np.int32) for i, t in enumerate(LENGTHS)]  # i in every value
LABELS = np.arange(103, dtype=np.int32)


def source(data=(TEXTS, LABELS), key=0, batch_size=8, **options):
    return bucketed(data, batch_size=batch_size, key=jax.random.key(key), **options)


@pytest.mark.parametrize(("batch_size", "buckets"), [(8, 4), (1, 1), (16, 9), (150, 3)])
def test_resumes(batch_size, buckets):
    make = lambda: source(batch_size=batch_size, buckets=buckets)  # noqa: E731
    for x, y, side in assert_resumes(make, 30):
        np.testing.assert_array_equal(side["lengths"], LENGTHS[y])
        assert x.shape[1] >= side["lengths"].max()
        for row, label, length in zip(x, y, side["lengths"], strict=True):
            np.testing.assert_array_equal(row[:length], TEXTS[label])
            assert (row[length:] == 0).all()


@pytest.mark.parametrize(("batch_size", "buckets"), [(8, 4), (16, 9), (150, 3)])
def test_divides(batch_size, buckets):
    assert_divides(lambda: source(batch_size=batch_size, buckets=buckets), 9)


def test_resumes_far_from_the_start():
    stream, at = source(), 10**7 + 3
    stream.restore({**stream.state(), "step": at})
    ahead = [next(stream)[1].tolist() for _ in range(20)]
    again = source()
    again.restore({**stream.state(), "step": at + 13})
    assert next(again)[1].tolist() == ahead[13]


@pytest.mark.parametrize(("batch_size", "buckets"), [(8, 4), (32, 6), (150, 2)])
def test_every_example_comes_equally_often(batch_size, buckets):
    stream = source(batch_size=batch_size, buckets=buckets)
    epochs = 40
    seen = collections.Counter()
    for _ in range(epochs * len(LABELS) // batch_size):
        seen.update(next(stream)[1].tolist())
    # A bucket is ahead or behind by less than a batch, and a batch spreads over its members.
    slack = 2 + 2 * batch_size // min(np.bincount(np.searchsorted(_bounds(stream), LENGTHS)))
    assert set(seen) == set(range(len(LABELS)))
    assert max(abs(count - epochs) for count in seen.values()) <= slack


def _bounds(stream):
    return stream.state()["buckets"]


def test_an_epoch_shows_no_example_twice_where_batches_fit():
    texts = [np.zeros(t) for t in (3,) * 16 + (9,) * 8]
    stream = source((texts, np.arange(24)), batch_size=4, buckets=2)
    for _ in range(5):
        epoch = [next(stream) for _ in range(6)]
        assert sorted(np.concatenate([y for _, y, _ in epoch])) == list(range(24))


def test_each_epoch_mixes_the_buckets_anew_and_each_bucket_its_own_way():
    texts = [np.zeros(t) for t in (3,) * 64 + (9,) * 64]
    stream = source((texts, np.arange(128)), batch_size=16, buckets=2)
    patterns = set()
    for _ in range(8):
        epoch = [next(stream) for _ in range(8)]
        patterns.add(tuple(x.shape[1] for x, _, _ in epoch))
        short, long = (np.concatenate([y for x, y, _ in epoch if x.shape[1] == t]) for t in (3, 9))
        assert (short != long - 64).any()
    assert len(patterns) > 5


def test_few_shapes_each_the_longest_of_its_bucket():
    stream = source(buckets=3)
    shapes = {next(stream)[0].shape for _ in range(60)}
    assert shapes == {(8, bound) for bound in _bounds(stream)} and len(shapes) == 3
    assert next(source(buckets=1))[0].shape == (8, LENGTHS.max())


def test_buckets_are_mixed_and_the_key_and_the_epoch_decide_the_order():
    def order(key, skip=0):
        stream = source(key=key)
        return [next(stream)[0].shape[1] for _ in range(skip + 12)][skip:]

    assert order(0) == order(0)
    assert order(0) != order(1) and order(0) != order(0, skip=12)
    assert order(0) != sorted(order(0))


def test_sequences_to_predict_come_with_their_mask():
    tags = [text * 2 for text in TEXTS]
    for x, (y, mask), side in assert_resumes(lambda: source((TEXTS, tags), pad=-1), 9):
        np.testing.assert_array_equal(mask.sum(1), side["lengths"])
        np.testing.assert_array_equal(mask, x >= 0)
        np.testing.assert_array_equal(y[mask], 2 * x[mask])
        assert (y[~mask] == -1).all()


def test_two_sequences_each_of_its_own_lengths():
    targets = [np.full(40 - t, i) for i, t in enumerate(LENGTHS)]
    side = {"memory_lengths": LENGTHS}
    batches = assert_resumes(lambda: source(((TEXTS, targets), targets, side), buckets=3), 9)
    assert len({(x.shape, t.shape) for (x, t), _, _ in batches}) <= 3
    for (x, target), (y, mask), sides in batches:
        assert set(sides) == {"memory_lengths"}
        rows = x[:, 0] // 100
        np.testing.assert_array_equal(sides["memory_lengths"], LENGTHS[rows])
        np.testing.assert_array_equal(mask.sum(1), 40 - LENGTHS[rows])
        np.testing.assert_array_equal(target, y)
        assert (y[mask] == np.repeat(rows, 40 - LENGTHS[rows])).all()


def test_lengths_that_are_given_stay():
    _, _, side = next(source((TEXTS, LABELS, {"lengths": np.ones(103, np.int32)})))
    assert (side["lengths"] == 1).all()


def test_a_recurrent_model_trains_on_them(compiles):
    """To tell the longest texts: what follows the end of a text must not count."""
    texts = [np.ones((t, 1), np.float32) for t in LENGTHS]
    y = (LENGTHS / 30).astype(np.float32)[:, None]
    model = nn.serial(nn.simple_rnn(4), nn.last_step(), nn.dense(1))
    objective = train.supervised(model, nn.losses.squared_error)
    stream = source((texts, y), buckets=3)
    state = train.init(objective, optim.adam(0.01), next(stream))
    step = jax.jit(train.step(objective, optim.adam(0.01)))
    for _ in range(40):
        x, y, side = next(stream)
        state, metrics = step(state, (x, y, side))
    assert compiles.count("jit(run)") == 3 and jnp.isfinite(metrics["loss"])
    longer = np.concatenate([x, np.full_like(x, 5)], 1)
    np.testing.assert_allclose(
        model(state.variables, x, **side), model(state.variables, longer, **side), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("data", "options", "error", "words"),
    [
        (TEXTS, {}, TypeError, r"data must be \(x, y\) or \(x, y, side\), got list"),
        (
            (LABELS, LABELS),
            {},
            TypeError,
            "no part of the data is a list .* use indexed",
        ),
        ((TEXTS, LABELS[:5]), {}, ValueError, "data/0 has 103, data/1 has 5"),
        ((TEXTS, LABELS.tolist()), {}, TypeError, r"data/1 must be a list of arrays .* entry 0 is"),
        (([np.ones(2), np.ones(2, int)], LABELS[:2]), {}, TypeError, "entry 1 is int64"),
        (([np.ones((2, 3)), np.ones((2, 4))], LABELS[:2]), {}, TypeError, r"float64\[2, 4\]"),
        ((TEXTS, LABELS), {"buckets": 0}, ValueError, "buckets must be an integer of at least 1"),
        ((TEXTS, LABELS), {"batch_size": 0}, ValueError, "bucketed: batch_size is 0"),
        ((TEXTS, LABELS), {"key": 3}, TypeError, "bucketed: key is 3"),
    ],
)
def test_misuse(data, options, error, words):
    with pytest.raises(error, match=words):
        bucketed(data, **{"batch_size": 4, "key": jax.random.key(0), **options})

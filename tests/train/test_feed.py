"""Batches from the device and from a stream: the same training, resumed at any of them."""

import functools
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn, optim, train
from laminax.train import _blocks, _feed_of

from .broken_runs import Broken, bits, break_at_step, untimed, wait_for_writer

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(40, 3)).astype(np.float32)
Y = (X @ [[1.0], [-2.0], [0.5]] + 0.1 * RANDOM.normal(size=(40, 1))).astype(np.float32)
MODEL = nn.serial(nn.dense(4), nn.batch_norm(), nn.dropout(0.5), nn.dense(1))
OBJECTIVE = train.supervised(MODEL, nn.losses.squared_error)
ADAM = optim.chain(optim.adam(0.01), optim.ema(0.9))


class FromDisk:
    """The device's own order of rows, read batch by batch on the host."""

    def __init__(self, batch_size=12, examples=40, seed=0, batches=None, fails_at=None):
        self.batch_size, self.examples = batch_size, examples
        self.key = train.init(OBJECTIVE, ADAM, (X, Y), seed=seed).data_key
        self.step, self.batches, self.fails_at = 0, batches, fails_at

    def __next__(self):
        if self.step == self.fails_at:
            raise OSError("the disk is gone")
        if self.step == self.batches:
            raise StopIteration
        rows = np.asarray(train.data.index(self.key, self.step, self.batch_size, 40))
        self.step += 1
        return X[rows], Y[rows]

    def state(self):
        return {"step": self.step}

    def restore(self, state):
        self.step = state["step"]


def told(result):
    return bits(result.state), untimed(result.history)


fit = functools.partial(train.fit, OBJECTIVE, ADAM, progress=False, epochs=6)
resident = functools.cache(lambda: fit((X, Y), batch_size=12))
streamed = functools.cache(lambda: told(fit(FromDisk())))


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch):
    monkeypatch.setattr(_blocks, "_BLOCK_STEPS", 3)


def test_a_stream_trains_as_the_same_batches_on_the_device_do():
    result = fit(FromDisk(), validation=(X, Y))
    np.testing.assert_allclose(result.history["loss"], resident().history["loss"], rtol=1e-5)
    for a, b in zip(*(jax.tree.leaves(r.variables) for r in (result, resident())), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    assert result.history["step"] == resident().history["step"] == [4, 7, 10, 14, 17, 20]


def test_how_many_batches_lie_in_a_block_changes_nothing(monkeypatch):
    for steps in (1, 2, 64):
        monkeypatch.setattr(_blocks, "_BLOCK_STEPS", steps)
        assert told(fit(FromDisk())) == streamed()


def test_blocks_are_as_large_as_a_transfer_may_be(monkeypatch):
    monkeypatch.setattr(_blocks, "_BLOCK_BYTES", 2 * (12 * 3 + 12) * 4)
    blocks = _blocks.read_ahead(FromDisk(), 12)
    batches, positions = next(blocks)
    assert [a.shape for a in batches] == [(2, 12, 3), (2, 12, 1)]
    assert positions == [{"step": 1}, {"step": 2}]
    whole = train.data.indexed((X, Y), batch_size=12, key=FromDisk().key)
    few = next(_blocks.read_ahead(whole.part(np.arange(3)), 12))[0]
    assert [a.shape for a in few] == [(2, 3, 3), (2, 3, 1)]  # as many steps, whoever reads how much


@pytest.mark.parametrize("step", [*range(1, 9), 13, 19])
def test_a_stream_goes_on_from_the_very_batch(step, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        break_at_step(patch, step)
        with pytest.raises(Broken):
            fit(FromDisk(), out=tmp_path, checkpoints=train.Checkpoints(steps=1))
    wait_for_writer()
    assert told(fit(FromDisk(), out=tmp_path, resume=True)) == streamed()


def test_one_compile_serves_all_blocks(compiles):
    # 20 steps are no multiple of 3: the end of the run falls into a block.
    fresh = train.supervised(nn.dense(1), nn.losses.squared_error)
    train.fit(fresh, optim.momentum(0.01), FromDisk(), epochs=6, progress=False)
    assert compiles.count("jit(chunk)") == 1


def test_a_finite_stream_must_last(tmp_path):
    assert told(fit(FromDisk(batches=20))) == streamed()
    with pytest.raises(ValueError, match="stream of batches has ended before the epochs") as caught:
        fit(FromDisk(batches=19), out=tmp_path)
    assert "up to step 19" in caught.value.__notes__[0]
    assert told(fit(FromDisk(), out=tmp_path, resume=True)) == streamed()


def test_what_goes_wrong_in_the_reader_is_raised():
    with pytest.raises(OSError, match="the disk is gone"):
        fit(FromDisk(fails_at=7))
    with pytest.raises(OSError, match="the disk is gone"):
        fit(FromDisk(fails_at=0))


def test_no_thread_is_left_behind():
    before = threading.active_count()
    fit(FromDisk())
    with pytest.raises(OSError, match="disk"):
        fit(FromDisk(fails_at=7))
    assert threading.active_count() == before


def test_a_stream_says_what_it_lacks():
    with pytest.raises(ValueError, match="does not know how many examples make an epoch"):
        fit(FromDisk(examples=None))
    with pytest.raises(ValueError, match="a stream has no weights"):
        fit(FromDisk(), weights=np.ones(40))


def test_bad_values_in_the_first_batch_are_found_before_any_compile(compiles):
    class Bad(FromDisk):
        def __next__(self):
            x, _ = super().__next__()
            return x, np.full(12, 7)

    classes = train.supervised(nn.dense(3), nn.losses.cross_entropy)
    compiles.clear()
    with pytest.raises(ValueError, match="7"):
        train.fit(classes, optim.sgd(0.1), Bad(), progress=False)
    assert "jit(chunk)" not in compiles


def test_weights_weigh_examples():
    weights = np.where(np.arange(40) < 20, 3.0, 0.0)
    objective = train.supervised(nn.dense(1), nn.losses.squared_error)
    result = train.fit(
        objective, optim.sgd(0.1), (X, Y), weights=weights, epochs=400, batch_size=40,
        progress=False,
    )  # fmt: skip
    design = np.concatenate([X, np.ones((40, 1))], 1)[:20]
    best, residual, *_ = np.linalg.lstsq(design, Y[:20, 0], rcond=None)
    params = result.variables.params
    found = np.concatenate([params["w"][:, 0], params["b"]])
    np.testing.assert_allclose(found, best, rtol=1e-4)
    assert result.history["loss"][-1] == pytest.approx(residual[0] / 20, rel=1e-4)


@pytest.mark.parametrize(
    "weights, words",
    [
        (np.ones(39), r"one number an example, shape \(40,\), got float64\[39\]"),
        (-np.ones(40), "0 or above and not all 0, got values from -1.0"),
        (np.zeros(40), "not all 0"),
        (np.full(40, np.nan), "finite"),
    ],
)
def test_bad_weights_are_refused(weights, words):
    with pytest.raises(ValueError, match=f"fit: weights must be .*{words}"):
        fit((X, Y), weights=weights, batch_size=12)


def test_microbatches_come_to_the_same():
    plain = train.supervised(nn.dense(1), nn.losses.squared_error)
    results = [
        train.fit(plain, ADAM, (X, Y), batch_size=12, epochs=5, microbatches=parts, progress=False)
        for parts in (1, 4)
    ]
    w = [np.asarray(result.variables.params["w"]) for result in results]
    np.testing.assert_allclose(*w, rtol=1e-5)


class Lengths:
    """Sequences of two lengths, padded batch by batch, in no order."""

    batch_size, examples = 8, 64

    def __init__(self):
        self.step = 0

    def __next__(self):
        random = np.random.default_rng(self.step)
        length = (3, 3, 5, 3, 5, 5, 3)[self.step % 7]
        self.step += 1
        x = random.normal(size=(8, length, 2)).astype(np.float32)
        return x, x.sum((1, 2))[:, None], {"lengths": np.full(8, length, np.int32)}

    def state(self):
        return self.step

    def restore(self, state):
        self.step = state


@pytest.mark.parametrize("step", [1, 2, 3, 5, 8, 15])
def test_batches_of_several_shapes_train_and_go_on(step, tmp_path, compiles):
    model = nn.serial(nn.lstm(4), lambda h: h.mean(1), nn.dense(1))
    objective = train.supervised(model, nn.losses.squared_error)
    run = functools.partial(train.fit, objective, ADAM, Lengths(), epochs=2, progress=False)
    whole = train.fit(objective, ADAM, Lengths(), epochs=2, progress=False)
    assert compiles.count("jit(chunk)") == 3  # blocks of three, then of one in two shapes
    policy = train.Checkpoints(steps=step, keep=99)

    def stop(event, view):
        if event == "row" and view.step == 16:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        run(out=tmp_path, checkpoints=policy, callbacks=[stop])
    for path in (tmp_path / "checkpoints").iterdir():
        if int(path.stem) > step:
            path.unlink()
    rest = train.fit(
        objective, ADAM, Lengths(), epochs=2, progress=False, out=tmp_path, resume=True
    )
    assert told(rest)[1]["step"] == told(whole)[1]["step"]
    np.testing.assert_allclose(rest.history["loss"], whole.history["loss"], rtol=1e-6)


class Device:
    def __init__(self, limit):
        self.memory_stats = lambda: {"bytes_limit": limit}


def test_examples_may_take_half_of_the_memory(monkeypatch):
    assert _feed_of.fits((X, Y)), "a CPU does not tell"
    held = X.nbytes + Y.nbytes
    for limit, there in ((2 * held, True), (2 * held - 1, False)):
        monkeypatch.setattr(jax, "local_devices", lambda limit=limit: [Device(limit)])
        assert _feed_of.fits((X, Y)) == there
    assert _feed_of.fits((jnp.asarray(X), jnp.asarray(Y))), "they are there already"


def test_what_would_fill_the_device_is_read_from_the_host_to_the_same_bits(monkeypatch):
    expected = told(resident())
    begun = []
    begin = _feed_of.Streaming

    def streaming(*args):
        begun.append(args)
        return begin(*args)

    monkeypatch.setattr(_feed_of, "fits", lambda data: False)
    monkeypatch.setattr(_feed_of, "Streaming", streaming)
    assert told(fit((X, Y), batch_size=12)) == expected
    state = train.init(OBJECTIVE, ADAM, (X, Y), seed=0)
    assert told(fit((X, Y), batch_size=12, state=state)) == expected
    assert len(begun) == 2
    fit((X, Y), batch_size=12, weights=np.ones(40))
    assert len(begun) == 2, "weighted examples stay on the device"


def test_of_examples_read_from_the_host_all_labels_are_checked(monkeypatch):
    monkeypatch.setattr(_feed_of, "fits", lambda data: False)
    classifier = train.supervised(nn.dense(2), nn.losses.cross_entropy)
    labels = np.zeros(40, int)
    labels[-1] = 2
    with pytest.raises(ValueError, match=r"labels: must lie in \[0, 2\), got 2 at index 39"):
        train.fit(classifier, ADAM, (X, labels), batch_size=4, progress=False)

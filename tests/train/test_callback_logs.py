"""Rows as JSON lines and for TensorBoard, whatever breaks a run off."""

import functools
import gzip
import json

import numpy as np
import pytest

from laminax import nn, optim, train

X = np.linspace(-1, 1, 40, dtype=np.float32)[:, None]
OBJECTIVE = train.supervised(nn.dense(1), nn.losses.squared_error)
SGD = optim.sgd(0.1)
fit = functools.partial(train.fit, OBJECTIVE, SGD, (X, 3 * X), batch_size=8, progress=False)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_lines_are_the_rows(tmp_path):
    log = tmp_path / "logs" / "log.jsonl"
    result = fit(epochs=3, callbacks=[train.log_jsonl(log)])
    assert lines(log) == result.history.rows()


def test_a_run_that_goes_on_writes_no_row_twice(tmp_path):
    log = train.log_jsonl(tmp_path / "log.jsonl")
    out = tmp_path / "run"

    def stop(event, view):
        if view.step == 15:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fit(epochs=6, out=out, callbacks=[log, stop], checkpoints=train.Checkpoints(steps=5))
    for path in (out / "checkpoints").glob("*15*"):
        path.unlink()  # the newest is lost: rows after step 10 are written again
    result = fit(epochs=6, out=out, callbacks=[log], resume=True)
    told = lines(tmp_path / "log.jsonl")
    assert [row["step"] for row in told] == result.history["step"] == [5, 10, 15, 20, 25, 30]
    assert [row["loss"] for row in told] == result.history["loss"]


def test_tensorboard_reads_the_scalars(tmp_path):
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto import event_pb2

    result = fit(epochs=3, callbacks=[train.log_tensorboard(tmp_path)], validation=(X, X))
    found = {}
    for path in sorted(tmp_path.iterdir()):
        content = path.read_bytes()
        while content:
            size = int.from_bytes(content[:8], "little")
            event = event_pb2.Event.FromString(content[12 : 12 + size])
            content = content[16 + size :]
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    assert set(found) == set(result.history) - {"step"}
    steps = result.history["step"]
    for name in ("loss", "validation_loss", "epoch"):
        expected = dict(zip(steps, result.history[name], strict=True))
        assert found[name] == pytest.approx(expected, rel=1e-6)


def test_a_profile_holds_the_steps_up_to_the_first_row(tmp_path):
    fit(epochs=3, every=5, callbacks=[train.log_profile(tmp_path)])
    (path,) = tmp_path.rglob("perfetto_trace.json.gz")
    with gzip.open(path) as file:
        names = {event.get("name", "") for event in json.load(file)["traceEvents"]}
    assert any("chunk" in name for name in names)


def test_a_second_run_with_the_same_callback_is_not_profiled(tmp_path):
    log = train.log_profile(tmp_path)
    for _ in range(2):
        fit(epochs=1, callbacks=[log])
    assert len(list(tmp_path.rglob("perfetto_trace.json.gz"))) == 1

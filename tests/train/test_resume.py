"""A run that was broken off and goes on comes to the same bits as one that was not."""

import functools
import json
import os
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from laminax import nn, optim, train
from laminax.train import _run
from laminax.train.checkpoint._runs import Lock, checkpoints, newest

from .broken_runs import Broken, bits, break_at_step, untimed, wait_for_writer

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(40, 3)).astype(np.float32)
Y = (X @ [[1.0], [-2.0], [0.5]] + 0.1 * RANDOM.normal(size=(40, 1))).astype(np.float32)
IDS = np.arange(40, dtype=np.float32)
MODEL = nn.serial(nn.dense(4), nn.batch_norm(), nn.dropout(0.5), nn.dense(1))


def loss(params, state, batch, ctx):
    """Squared error; metrics tell which rows were in the batch, to the bit."""
    x, y, ids = batch
    y_hat, state = MODEL.apply(params, state, x, ctx)
    told = {"ids": ids, "squares": ids * ids}
    return jnp.square(y_hat - y)[:, 0], train.Aux(state, told)


OBJECTIVE = train.Objective(lambda key, batch: MODEL.init(key, batch[0]), loss)
# Rate, moments and average all depend on the steps made: the warm-up lasts 6, the decay to the end.
OPTIMIZER = optim.chain(
    optim.adam(optim.warmup(optim.cosine(0.05, 14), 6)),
    optim.ema(0.9),
    optim.gradient_noise(jax.random.key(1)),
)
VALIDATION = X[:7] + 1, Y[:7], IDS[:7]
EVERY_STEP = train.Checkpoints(steps=1, keep=100)
options = {"batch_size": 12, "epochs": 6, "validation": VALIDATION, "progress": False}
fit = functools.partial(train.fit, OBJECTIVE, OPTIMIZER, **options)


def told(result):
    """All that a run comes to, but for the time it took."""
    history = untimed(result.history)
    variables = bits((result.state, result.best.variables))
    return variables, history, result.best.epoch, result.best.loss


def placed(devices):
    if devices == 1:
        return X, Y, IDS
    mesh = jax.make_mesh((devices,), ("data",), axis_types=(AxisType.Auto,))
    return jax.device_put((X, Y, IDS), NamedSharding(mesh, PartitionSpec("data")))


@functools.cache
def uninterrupted(devices, microbatches):
    return told(fit(placed(devices), microbatches=microbatches))


def break_in_validation(monkeypatch, row):
    validate = _run.scores
    calls = []

    def broken(*args, **options):
        calls.append(args)
        if len(calls) > row:
            raise Broken
        return validate(*args, **options)

    monkeypatch.setattr(_run, "scores", broken)


BREAKS = {
    "in warm-up": (lambda m: break_at_step(m, 2), 1),
    "mid-epoch": (lambda m: break_at_step(m, 9), 1),
    "epoch edge": (lambda m: break_at_step(m, 7), 1),
    "in validation": (lambda m: break_in_validation(m, 3), 1),
    "with micro-batches": (lambda m: break_at_step(m, 9), 3),
}


@pytest.mark.parametrize("sharded", [False, True], ids=["one file", "in parts"])
@pytest.mark.parametrize("devices", [1, 8])
@pytest.mark.parametrize("name", BREAKS)
def test_a_run_that_is_killed_goes_on_to_the_same_bits(
    name, devices, sharded, tmp_path, monkeypatch
):
    breaks, microbatches = BREAKS[name]
    data = placed(devices)
    if sharded:
        pytest.importorskip("orbax.checkpoint")
    with monkeypatch.context() as patch, pytest.raises(Broken):
        breaks(patch)
        policy = EVERY_STEP._replace(sharded=sharded)
        fit(data, microbatches=microbatches, out=tmp_path, checkpoints=policy)
    wait_for_writer()
    result = fit(data, microbatches=microbatches, out=tmp_path, resume=True)
    assert told(result) == uninterrupted(devices, microbatches)


@pytest.mark.parametrize("devices", [1, 8])
@pytest.mark.parametrize("step", [2, 4, 9])
def test_a_run_that_is_interrupted_goes_on_to_the_same_bits(step, devices, tmp_path, monkeypatch):
    data = placed(devices)
    with monkeypatch.context() as patch:
        patch.setattr(_run, "_SECONDS", 0.0)
        advance = _run.Run._advance

        def interrupting(self, most):
            if self.step == step - 1 and most:
                os.kill(os.getpid(), signal.SIGINT)
            return advance(self, most)

        patch.setattr(_run.Run, "_advance", interrupting)
        part = fit(data, out=tmp_path)
    assert part.interrupted
    assert int(part.state.step) == step
    result = fit(data, out=tmp_path, resume=True)
    assert told(result) == uninterrupted(devices, 1)
    assert not result.interrupted


def broken_off(tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Broken):
        break_at_step(patch, 9)
        fit((X, Y, IDS), out=tmp_path, checkpoints=EVERY_STEP)
    wait_for_writer()
    return newest(tmp_path)[0]


def test_a_resumed_run_may_be_resumed_again_and_lengthened(tmp_path):
    short = fit((X, Y, IDS), out=tmp_path, **{**options, "epochs": 2})
    again = fit((X, Y, IDS), out=tmp_path, resume=True, **{**options, "epochs": 2})
    assert told(short) == told(again)
    fit((X, Y, IDS), out=tmp_path, resume=True, **{**options, "epochs": 4})
    whole = fit((X, Y, IDS), out=tmp_path, resume=True)
    assert told(whole) == uninterrupted(1, 1)


def test_patience_is_remembered(tmp_path):
    optimizer = optim.sgd(0.05)
    wanted = (X, Y + 9, IDS), (X, Y - 9, IDS)
    run = functools.partial(
        train.fit, OBJECTIVE, optimizer, wanted[0], validation=wanted[1], batch_size=12,
        progress=False, patience=3,
    )  # fmt: skip
    whole = run(epochs=9)
    assert len(whole.history["epoch"]) < 9
    run(epochs=2, out=tmp_path)
    rest = run(epochs=9, out=tmp_path, resume=True)
    assert told(rest) == told(whole)


PARTS = {
    "optimizer": lambda state, fresh: state._replace(opt_state=fresh.opt_state),
    "key": lambda state, fresh: state._replace(key=jax.random.key(7)),
    "data position": lambda state, fresh: state._replace(step=state.step - 1),
    "model state": lambda state, fresh: state._replace(state=fresh.state),
    "schedule": lambda state, fresh: state._replace(
        opt_state=swapped(state.opt_state, fresh.opt_state, optim.RateState)
    ),
    "average": lambda state, fresh: state._replace(
        opt_state=swapped(state.opt_state, fresh.opt_state, optim.AverageState)
    ),
}


def swapped(state, fresh, kind):
    """The optimizer's state with one part of it as it was at the start."""
    return jax.tree.map(
        lambda old, new: new if isinstance(old, kind) else old,
        state,
        fresh,
        is_leaf=lambda node: isinstance(node, kind),
    )


@pytest.mark.parametrize("part", PARTS)
def test_every_part_of_a_checkpoint_is_needed(part, tmp_path, monkeypatch):
    path = broken_off(tmp_path, monkeypatch)
    fresh = train.init(OBJECTIVE, OPTIMIZER, (X, Y, IDS))
    best = jax.eval_shape(lambda s: s.variables, fresh)
    tree = train.restore(path, {"state": fresh, "best": best})
    metadata = train.checkpoint.read_metadata(path)
    tree["state"] = PARTS[part](tree["state"], fresh)
    train.save(path, tree, metadata=metadata)
    result = fit((X, Y, IDS), out=tmp_path, resume=True)
    assert told(result)[0] != uninterrupted(1, 1)[0]


@pytest.mark.parametrize("part", ["history", "totals", "best_loss"])
def test_every_part_of_the_record_is_needed(part, tmp_path, monkeypatch):
    path = broken_off(tmp_path, monkeypatch)
    metadata = train.checkpoint.read_metadata(path)
    fresh = train.init(OBJECTIVE, OPTIMIZER, (X, Y, IDS))
    tree = train.restore(
        path, {"state": fresh, "best": jax.eval_shape(lambda s: s.variables, fresh)}
    )
    record = metadata["record"]
    if part == "history":
        record["history"]["loss"][0] += 1.0
    elif part == "totals":
        record["totals"] = {}
    else:
        record["best_loss"] = 0.0
    train.save(path, tree, metadata=metadata)
    assert told(fit((X, Y, IDS), out=tmp_path, resume=True)) != uninterrupted(1, 1)


def test_a_damaged_checkpoint_is_passed_over(tmp_path, monkeypatch):
    path = broken_off(tmp_path, monkeypatch)
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="damaged.*The checkpoint before it is used"):
        result = fit((X, Y, IDS), out=tmp_path, resume=True)
    assert told(result) == uninterrupted(1, 1)


def test_damaged_numbers_are_passed_over_too(tmp_path, monkeypatch):
    path = broken_off(tmp_path, monkeypatch)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="damaged.*The checkpoint before it is used"):
        result = fit((X, Y, IDS), out=tmp_path, resume=True)
    assert told(result) == uninterrupted(1, 1)


def test_one_in_parts_that_was_not_ended_is_written_again(tmp_path, monkeypatch):
    pytest.importorskip("orbax.checkpoint")
    policy = train.Checkpoints(steps=1, keep=100, sharded=True)
    with monkeypatch.context() as patch, pytest.raises(Broken):
        break_at_step(patch, 9)
        fit((X, Y, IDS), out=tmp_path, checkpoints=policy)
    wait_for_writer()
    *_, before, last = checkpoints(tmp_path)
    (last / "manifests" / "0.json").unlink()
    with pytest.warns(UserWarning, match="damaged.*The checkpoint before it is used"):
        assert newest(tmp_path)[0] == before
        result = fit((X, Y, IDS), out=tmp_path, resume=True, checkpoints=policy)
    assert told(result) == uninterrupted(1, 1)
    train.checkpoint.verify(last)


def test_what_a_killed_run_left_unfinished_is_cleared_away(tmp_path):
    folder = tmp_path / "checkpoints"
    left = [".000000003.safetensors.x1y2", "000000004.orbax.orbax-checkpoint-tmp", ".mine", "more"]
    for name in left:
        (folder / name / "part").mkdir(parents=True)
    fit((X, Y, IDS), out=tmp_path, **{**options, "epochs": 1})
    names = {path.name for path in folder.iterdir()}
    assert names == {".mine", "more", "000000004.safetensors"}


def test_only_the_newest_are_kept(tmp_path):
    fit((X, Y, IDS), out=tmp_path, checkpoints=train.Checkpoints(steps=3, keep=2))
    # 20 steps: those at 15 and 18, and the last one.
    assert [int(path.stem) for path in checkpoints(tmp_path)] == [18, 20]


def test_checkpoints_come_by_the_clock_too(tmp_path):
    often = train.Checkpoints(minutes=1e-9, keep=100)
    fit((X, Y, IDS), out=tmp_path, checkpoints=often)
    # At the latest after each row.
    assert {4, 7, 10, 14, 17, 20} <= {int(path.stem) for path in checkpoints(tmp_path)}


def test_another_run_in_the_folder_is_refused(tmp_path):
    lock = Lock(tmp_path)
    with pytest.raises(OSError, match=r"another run is writing in .*choose another folder"):
        fit((X, Y, IDS), out=tmp_path)
    lock.close()
    fit((X, Y, IDS), out=tmp_path)
    with pytest.raises(FileExistsError, match=r"holds the checkpoints of a run.*resume=True"):
        fit((X, Y, IDS), out=tmp_path)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"seed": 1}, "seed was 0, now 1"),
        ({"batch_size": 8}, "batch_size was 12, now 8"),
        ({"microbatches": 2}, "microbatches was 1, now 2"),
    ],
)
def test_another_run_is_not_gone_on_with(change, words, tmp_path):
    fit((X, Y, IDS), out=tmp_path, **{**options, "epochs": 1})
    with pytest.raises(ValueError, match=f"was another one: {words}; resume with its settings"):
        fit((X, Y, IDS), out=tmp_path, resume=True, **{**options, **change})


def test_other_data_are_noticed(tmp_path):
    fit((X, Y, IDS), out=tmp_path, **{**options, "epochs": 1})
    with pytest.raises(ValueError, match="was another one: data was"):
        fit((X + 1e-6, Y, IDS), out=tmp_path, resume=True)


def test_another_optimizer_does_not_fit(tmp_path):
    fit((X, Y, IDS), out=tmp_path, **{**options, "epochs": 1})
    with pytest.raises(ValueError, match="does not fit the template"):
        train.fit(OBJECTIVE, optim.sgd(0.1), (X, Y, IDS), out=tmp_path, resume=True, **options)


def test_resume_needs_a_folder_and_begins_in_an_empty_one(tmp_path):
    with pytest.raises(ValueError, match="resume=True needs out="):
        fit((X, Y, IDS), resume=True)
    result = fit((X, Y, IDS), out=tmp_path / "new", resume=True)
    assert told(result) == uninterrupted(1, 1)


def test_an_error_on_the_way_leaves_a_checkpoint(tmp_path):
    def fails(event, view):
        if view.step == 7:
            raise RuntimeError("callback")

    with pytest.raises(RuntimeError, match="callback") as caught:
        fit((X, Y, IDS), out=tmp_path, callbacks=[fails])
    assert "up to step 7" in caught.value.__notes__[0]
    assert told(fit((X, Y, IDS), out=tmp_path, resume=True)) == uninterrupted(1, 1)


def test_a_full_disk_costs_a_warning_on_the_way_and_an_error_at_the_end(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError("no space left")

    monkeypatch.setattr("laminax.train.checkpoint._tree.save", full)
    with (
        pytest.warns(UserWarning, match="training goes on without a checkpoint: no space left"),
        pytest.raises(OSError, match="no space left"),
    ):
        fit((X, Y, IDS), out=tmp_path, checkpoints=train.Checkpoints(steps=3))


SCRIPT = """
import sys, numpy as np
from laminax import nn, optim, train
x = np.linspace(-1, 1, 4096, dtype=np.float32)[:, None]
model = nn.serial(nn.dense(32), nn.tanh, nn.dropout(0.1), nn.dense(1))
result = train.fit(
    train.supervised(model, nn.losses.squared_error), optim.adam(1e-3), (x, x * x), epochs=40,
    batch_size=4, validation=(x, x * x), out=sys.argv[1], resume=True,
    checkpoints=train.Checkpoints(minutes=1e-9, keep=3), progress=False)
print(np.asarray(result.state.params["dense_0"]["w"]).tobytes().hex(), result.history["loss"])
"""


def test_kill_9_at_any_moment_costs_nothing(tmp_path):
    command = [sys.executable, "-c", SCRIPT]
    whole = subprocess.run(
        [*command, tmp_path / "whole"], capture_output=True, text=True, check=True, timeout=300
    )
    for seconds in (0.3, 0.7):
        process = subprocess.Popen([*command, tmp_path / "killed"], stdout=subprocess.DEVNULL)
        known = len(checkpoints(tmp_path / "killed"))
        while len(checkpoints(tmp_path / "killed")) <= known and process.poll() is None:
            time.sleep(0.01)
            known = 0
        time.sleep(seconds)
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGKILL
    rest = subprocess.run(
        [*command, tmp_path / "killed"], capture_output=True, text=True, check=True, timeout=300
    )
    assert rest.stdout == whole.stdout


def test_the_record_is_plain_json(tmp_path, monkeypatch):
    metadata = train.checkpoint.read_metadata(broken_off(tmp_path, monkeypatch))
    assert json.loads(json.dumps(metadata)) == metadata
    assert {"settings", "versions", "record", "stream"} == set(metadata)
    assert metadata["versions"]["jax"] == jax.__version__

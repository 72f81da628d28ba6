"""Real signals in the middle of an epoch: the last state comes back, whole."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from laminax import nn, optim, train
from laminax.train._interrupt import Interrupts
from laminax.train._progress import Progress

OBJECTIVE = train.supervised(nn.dense(1), nn.losses.squared_error)
SGD = optim.sgd(1e-3)
X = np.random.default_rng(0).normal(size=(1 << 20, 1)).astype(np.float32)
LONG = X, 2 * X


@pytest.fixture
def first_steps(monkeypatch):
    """An event set once steps have been taken."""
    event, advance = threading.Event(), Progress.advance

    def told(self, steps, totals):
        event.set()
        advance(self, steps, totals)

    monkeypatch.setattr(Progress, "advance", told)
    return event


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_of_an_epoch_hands_back_the_last_state(
    number, first_steps, tmp_path
):
    def send():
        first_steps.wait(60)
        time.sleep(0.1)
        os.kill(os.getpid(), number)

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=send)
    thread.start()
    result = train.fit(OBJECTIVE, SGD, LONG, epochs=100, batch_size=1, out=tmp_path, progress=False)
    thread.join()
    assert result.interrupted
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    steps = int(result.state.step)
    assert 0 < steps < 100 << 20
    assert steps % (1 << 20), "in the middle of an epoch"
    assert len(result.history.get("epoch", [])) == steps >> 20
    scores = train.evaluate(OBJECTIVE, result.variables, tuple(a[:1000] for a in LONG))
    assert np.isfinite(scores["loss"])
    (checkpoint,) = (tmp_path / "checkpoints").iterdir()
    assert checkpoint.name == f"{steps:09d}.safetensors"
    restored = train.restore(checkpoint, {"state": result.state, "best": None})
    assert int(restored["state"].step) == steps


SCRIPT = """
import os, signal, sys, threading, time
import numpy as np
from laminax import nn, optim, train

objective, optimizer = train.supervised(nn.dense(1), nn.losses.squared_error), optim.sgd(1e-3)
x = np.ones((1 << 20, 1), np.float32)

def ready():
    while signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        time.sleep(0.01)
    print("training", flush=True)

threading.Thread(target=ready).start()
result = train.fit(objective, optimizer, (x, x), epochs=100, batch_size=1)
scores = train.evaluate(objective, result.variables, (x[:9], x[:9]))
print(result.interrupted, np.isfinite(scores["loss"]), signal.getsignal(signal.SIGTERM).name)
"""


def test_a_process_told_to_end_still_finishes_its_script():
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "training\n"
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert out == "True True SIG_DFL\n"
    assert process.returncode == 0
    assert "Traceback" not in err
    assert "epoch 1/100" in err  # the bar stays where it was


def test_the_second_signal_raises_and_handlers_are_put_back():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupts.requested
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_handlers_are_put_back_when_training_fails():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(train.Diverged):
        train.fit(
            OBJECTIVE, optim.sgd(1e20), (X[:8], X[:8]), epochs=9, batch_size=4, progress=False
        )
    assert signal.getsignal(signal.SIGINT) is before


def test_in_another_thread_training_works_without_handlers():
    before, results = signal.getsignal(signal.SIGINT), []

    def work():
        data = X[:8], X[:8]
        results.append(train.fit(OBJECTIVE, SGD, data, epochs=2, batch_size=4, progress=False))
        results.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    result, during = results
    assert result.history["epoch"] == [1, 2]
    assert during is before

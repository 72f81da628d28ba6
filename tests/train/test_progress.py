"""The bar as a terminal shows it."""

import io
import re
import time
from contextlib import redirect_stderr

import numpy as np

from laminax import nn, optim, train
from laminax.train._history import Totals
from laminax.train._progress import Progress
from laminax.train._speed import Speed

OBJECTIVE = train.supervised(nn.dense(1), nn.losses.squared_error)
SGD = optim.sgd(0.1)
X = np.linspace(-1, 1, 8, dtype=np.float32)[:, None]


class Terminal(io.StringIO):
    """A terminal that remembers what was written to it."""

    def isatty(self):
        return True


def test_the_terminal_shows_one_line_with_epoch_steps_and_means():
    with redirect_stderr(Terminal()) as terminal:
        result = train.fit(OBJECTIVE, SGD, (X, 3 * X), epochs=3, batch_size=4)
    text = terminal.getvalue()
    assert text.count("\n") == 1
    assert text.endswith("\n")
    last = text.strip().rsplit("\r", 1)[-1]
    assert last.startswith("epoch 3/3: 100%")
    assert "6/6" in last
    assert f"loss {result.history['loss'][-1]:.4g}" in last


def test_it_is_redrawn_by_time_not_by_step():
    totals, began = Totals(), time.perf_counter()
    with redirect_stderr(Terminal()) as terminal, Progress(5000, shown=True) as bar:
        bar.epoch(1, 1)
        for _ in range(5000):
            totals.add({"loss": (np.ones(1), np.ones(1))})
            bar.advance(1, totals)
    drawn = terminal.getvalue().count("%|")
    assert 1 <= drawn <= 3 + (time.perf_counter() - began) / 0.25
    assert re.search(r"5000/5000 .*loss 1", terminal.getvalue())


def test_a_file_is_not_filled_with_drawings():
    totals, began = Totals(), time.perf_counter()
    with redirect_stderr(io.StringIO()) as file, Progress(10**9, shown=True) as bar:
        while time.perf_counter() - began < 1:
            totals.add({"loss": (np.ones(1), np.ones(1))})
            bar.advance(1, totals)
    assert 1 <= file.getvalue().count("%|") <= 2


def test_without_it_nothing_is_written(capfd):
    train.fit(OBJECTIVE, SGD, (X, 3 * X), epochs=1, batch_size=4, progress=False)
    assert capfd.readouterr() == ("", "")


def drawn(**options):
    with redirect_stderr(Terminal()) as terminal:
        train.fit(OBJECTIVE, SGD, (X, 3 * X), epochs=300, batch_size=4, **options)
    return terminal.getvalue()


def test_the_bar_tells_examples_a_second():
    rates = re.findall(r"([\d.]+)(k?)step/s.*?([\d.]+)(k?) examples/s", drawn())
    steps, examples = (float(n) * (1000 if k else 1) for n, k in (rates[-1][:2], rates[-1][2:]))
    assert 1 < examples / steps < 16, "batches of 4"


def test_where_the_devices_peak_is_known_the_bar_tells_the_share(monkeypatch):
    assert "MFU" not in drawn()
    monkeypatch.setattr("laminax.train._speed.PEAKS", {"cpu": 1e6})
    assert re.search(r"MFU \d+%", drawn())


def test_what_the_bar_tells_of_speed(monkeypatch):
    monkeypatch.setattr("laminax.train._speed.PEAKS", {"cpu": 1e12})
    monkeypatch.setattr("laminax.train._speed.memory", lambda: 3 << 29)
    assert Speed(128, 4 * 10**9, devices=2).told(100.0) == "12.8k examples/s, MFU 20%, 1.5 GiB"
    assert Speed(128).told(100.0) == "12.8k examples/s, 1.5 GiB"

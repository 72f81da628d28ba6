"""Two and four local processes read a share of the rows each, and find what one finds."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from laminax import nn, optim, train

SCRIPT = """
import json, sys
from pathlib import Path
import jax, numpy as np
from laminax import nn, optim, train

out, epochs, axes = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
resume, divisible = sys.argv[4] == "resume", sys.argv[4] != "whole"
random = np.random.default_rng(0)
x = random.normal(size=(70, 8, 4)).astype(np.float32)
y = x[:, :1, 0] * x[:, 1:2, 1]
read = []


class Disk:
    shape, dtype = x.shape, x.dtype

    def __len__(self):
        return len(x)

    def __getitem__(self, rows):
        read.append(np.asarray(rows).tolist())
        return x[rows]


model = nn.serial(nn.flatten(), nn.dense(64), nn.relu, nn.dense(1))
objective = train.supervised(model, nn.losses.squared_error)
optimizer = optim.momentum(1e-2)
key = train.init(objective, optimizer, (x, y)).data_key
source = train.data.indexed({"x": Disk(), "y": y}, batch_size=16, key=key)
read.clear()  # of the look at the first row
stream = train.data.mapped(source, lambda batch: (batch["x"], batch["y"]))


class Whole:  # a source that cannot be divided
    batch_size, examples = stream.batch_size, stream.examples
    state, restore = stream.state, stream.restore

    def __next__(self):
        return next(stream)


kind = train.sequence_parallel if "time" in axes else train.data_parallel
result = train.fit(
    objective, optimizer, stream if divisible else Whole(), epochs=epochs,
    validation=(x, y), layout=kind(train.mesh(**axes)), out=out / "run", resume=resume,
    progress=False,
)
told = {"history": result.history, "read": read, "count": len(jax.devices())}
(out / f"{jax.process_count()}_{jax.process_index()}.json").write_text(json.dumps(told))
"""


def run(folder, processes, epochs, axes, how="", devices=1):
    """What each process tells of a run; with so many devices each."""
    script = folder / "script.py"
    script.write_text(SCRIPT)
    env = {**os.environ, "JAX_NUM_CPU_DEVICES": str(devices)}
    command = [sys.executable, "-m", "laminax", "launch", "-n", str(processes), script]
    subprocess.run(
        [*command, folder, str(epochs), json.dumps(axes), how], check=True, timeout=300, env=env
    )
    return [json.loads((folder / f"{processes}_{i}.json").read_text()) for i in range(processes)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    (told,) = run(tmp_path_factory.mktemp("alone"), 1, 4, {"data": 1})
    return told


def same(told, alone):
    for name in ("loss", "validation_loss"):
        np.testing.assert_allclose(
            told["history"][name], alone["history"][name], rtol=1e-5, err_msg=name
        )


def assert_read(told, part, parts):
    """Of every batch that was read ahead, one of so many equal parts of its slots, no more."""
    stream = train.data.indexed(np.arange(70), batch_size=16, key=data_key())
    assert len(told["read"]) >= told["history"]["step"][-1]
    for read in told["read"]:
        own = np.split(next(stream), parts)[part]
        assert read == np.unique(own).tolist()  # over the end of an epoch a row may come twice


def data_key():
    objective = train.supervised(nn.dense(1), nn.losses.squared_error)
    return train.init(objective, optim.sgd(0.1), (np.zeros((2, 1)), np.zeros((2, 1)))).data_key


@pytest.mark.parametrize(("processes", "devices"), [(2, 2), (4, 1)])
def test_each_process_reads_its_share_and_finds_what_one_finds(processes, devices, alone, tmp_path):
    assert_read(alone, 0, 1)
    assert alone["history"]["loss"][-1] < 0.9 * alone["history"]["loss"][0]
    together = run(tmp_path, processes, 4, {"data": processes * devices}, devices=devices)
    for i, told in enumerate(together):
        assert told["count"] == processes * devices
        same(told, alone)
        assert_read(told, i, processes)


def test_processes_that_share_a_sequence_read_the_same_rows(alone, tmp_path):
    """On a mesh 2 × 2 of data and time: half of the rows each, two processes the same half."""
    for i, told in enumerate(run(tmp_path, 4, 4, {"data": 2, "time": 2})):
        same(told, alone)
        assert_read(told, i // 2, 2)


def test_of_a_source_that_cannot_be_divided_each_reads_all(alone, tmp_path):
    for told in run(tmp_path, 2, 4, {"data": 2}, "whole"):
        same(told, alone)
        assert_read(told, 0, 1)


def test_a_run_is_taken_up_by_another_number_of_processes(alone, tmp_path):
    run(tmp_path, 2, 2, {"data": 2})
    for told in run(tmp_path, 4, 4, {"data": 4}, "resume"):
        same(told, alone)

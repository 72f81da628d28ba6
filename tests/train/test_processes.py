"""Four local processes find what one finds, write one folder, and end together."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from laminax.train._processes import agreed
from laminax.train.checkpoint import restore, verify
from laminax.train.launch import launch

SCRIPT = """
import json, sys
from pathlib import Path
import jax, numpy as np
from laminax import nn, optim, train

out, epochs, sharded = Path(sys.argv[1]), int(sys.argv[2]), len(sys.argv) > 3
random = np.random.default_rng(0)
x = random.normal(size=(64, 16)).astype(np.float32)
y = x[:, :1] * x[:, 1:2]
model = nn.serial(nn.dense(256), nn.relu, nn.dropout(0.1), nn.dense(1))
result = train.fit(
    train.supervised(model, nn.losses.squared_error),
    optim.chain(optim.adam(1e-2), optim.ema(0.9)), (x, y), epochs=epochs, batch_size=16,
    validation=(x, y), out=out / "run", resume=True, progress=False,
    layout=train.fully_sharded(train.mesh(data=-1)),
    checkpoints=train.Checkpoints(steps=5, sharded=sharded),
)
told = {
    "devices": jax.device_count(),
    "history": result.history,
    "best": result.best.epoch,
    "held": result.state.params["dense_0"]["w"].addressable_shards[0].data.size,
}
name = f"{jax.process_count()}_{jax.process_index()}_{epochs}.json"
(out / name).write_text(json.dumps(told))
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """What one process says of six epochs, and what four say that were twice begun again.

    They go on from a checkpoint in one file, then from one in parts.
    """
    alone, together = tmp_path_factory.mktemp("alone"), tmp_path_factory.mktemp("together")
    script = alone / "script.py"
    script.write_text(SCRIPT)
    subprocess.run([sys.executable, script, alone, "6"], check=True, timeout=300)
    for words in (["2"], ["4", "sharded"], ["6", "sharded"]):
        command = [sys.executable, "-m", "laminax", "launch", "-n", "4", script, together, *words]
        subprocess.run(command, check=True, timeout=300)
    read = [json.loads((together / f"4_{i}_6.json").read_text()) for i in range(4)]
    return json.loads((alone / "1_0_6.json").read_text()), read, together


def test_the_losses_are_those_of_one_process(ran):
    alone, together, _ = ran
    for told in together:
        assert told["devices"] == 4
        assert told["best"] == alone["best"]
        for name in ("loss", "validation_loss"):
            np.testing.assert_allclose(
                told["history"][name], alone["history"][name], rtol=1e-5, err_msg=name
            )
    assert alone["history"]["loss"][-1] < 0.9 * alone["history"]["loss"][0]


def test_a_process_holds_its_part(ran):
    alone, together, _ = ran
    assert alone["held"] == 16 * 256
    assert [told["held"] for told in together] == [16 * 256 // 4] * 4


def test_one_of_them_writes_the_folder(ran):
    _, together, folder = ran
    names = {path.name for path in (folder / "run").iterdir()}
    variables = {"variables.safetensors", "best.safetensors"}
    assert names == {".lock", "checkpoints", "history.csv", *variables}
    names = [path.name for path in sorted((folder / "run" / "checkpoints").iterdir())]
    assert names == ["000000020.orbax", "000000024.orbax"]
    lines = (folder / "run" / "history.csv").read_text().splitlines()
    assert len(lines) == 1 + len(together[0]["history"]["loss"])


def test_each_of_them_writes_its_part(ran):
    folder = ran[2] / "run" / "checkpoints" / "000000024.orbax"
    assert sorted(path.name for path in folder.glob("manifests/*")) == [
        f"{i}.json" for i in range(4)
    ]
    parts = [folder / f"ocdbt.process_{i}" for i in range(4)]
    held = [sum(f.stat().st_size for f in part.rglob("*") if f.is_file()) for part in parts]
    assert min(held) > 0.5 * max(held)
    assert verify(folder)["state/params/dense_0/w"] == "float32[16, 256]"


SAVING = """
import sys
from pathlib import Path
import jax, numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from laminax import train
from laminax.train._processes import put
from laminax.train.checkpoint import _orbax

def full(path, write):
    raise OSError(28, "No space left on device")

out, me = Path(sys.argv[1]), jax.process_index()
w = np.arange(32, dtype=np.float32)
tree = {"w": put(w, NamedSharding(train.mesh(data=-1), PartitionSpec("data")))}
commit = _orbax.commit
if me == 1:
    _orbax.commit = full
try:
    train.save(out / "first.orbax", tree)
except OSError as error:
    (out / f"{me}.txt").write_text(str(error))
_orbax.commit = commit
train.save(out / "second.orbax", tree)
"""


def test_where_one_cannot_write_its_part_all_are_told_and_go_on(tmp_path):
    script = tmp_path / "saving.py"
    script.write_text(SAVING)
    assert launch(str(script), [str(tmp_path)], processes=2) == 0
    told = [(tmp_path / f"{i}.txt").read_text() for i in range(2)]
    assert "another process could not write" in told[0] and "it has 1 manifests" in told[0]
    assert "cannot write" in told[1] and "No space left" in told[1]
    found = restore(tmp_path / "second.orbax", {"w": np.zeros(32, np.float32)})
    np.testing.assert_array_equal(found["w"], np.arange(32))
    with pytest.raises(ValueError, match="is damaged: it has 1 manifests"):
        verify(tmp_path / "first.orbax")


FAILING = """
import sys, time
import jax
if jax.process_index() == 1:
    sys.exit(7)
time.sleep(300)
"""


def test_where_one_fails_all_end(tmp_path):
    script = tmp_path / "failing.py"
    script.write_text(FAILING)
    began = time.monotonic()
    assert launch(str(script), processes=2) == 7
    assert time.monotonic() - began < 100


def test_a_script_gets_its_arguments_and_its_folder(tmp_path):
    Path(tmp_path, "beside.py").write_text("word = 'beside'")
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, beside, jax\n"
        "from pathlib import Path\n"
        "Path(sys.argv[1], f'{jax.process_index()}.txt').write_text(\n"
        "    f'{__name__} {sys.argv[2]} {beside.word} {jax.process_count()}')\n"
    )
    assert launch(str(script), [str(tmp_path), "--flag"], processes=2) == 0
    for i in range(2):
        assert (tmp_path / f"{i}.txt").read_text() == "__main__ --flag beside 2"


def test_what_cannot_be_launched_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no script 'nothing\.py'"):
        launch("nothing.py", processes=2)
    script = tmp_path / "script.py"
    script.write_text("")
    with pytest.raises(ValueError, match="processes must be at least 1"):
        launch(str(script), processes=0)


def test_alone_nothing_is_asked():
    assert agreed(3, 0, True) == (3, 0, True)

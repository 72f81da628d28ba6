"""What a run leaves behind: the sentence, the scores, the pictures."""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from laminax import nn, optim, train

RANDOM = np.random.default_rng(0)
LABELS = (np.arange(30) % 3).astype(np.int32)
IMAGES = (LABELS[:, None, None, None] * 100 + RANDOM.integers(0, 9, (30, 2, 2, 1))).astype(np.uint8)
DATA = train.data.DataSet(
    "blobs", (IMAGES[:20], LABELS[:20]), (IMAGES[20:], LABELS[20:]), tuple("abc")
)


@dataclasses.dataclass(frozen=True)
class Config:
    rate: float = 0.5
    out: Path | None = None


@pytest.fixture(scope="module")
def run():
    model = nn.serial(lambda x: x.reshape(len(x), -1).astype("float32") / 255, nn.dense(3))
    objective = train.supervised(
        model, nn.losses.cross_entropy, metrics={"accuracy": nn.metrics.accuracy}
    )
    result = train.fit(objective, optim.sgd(0.1), DATA.train, epochs=2, batch_size=10)
    return objective, model, result


def test_the_folder_holds_the_configuration(tmp_path):
    out = tmp_path / "a" / "b"
    assert train.run_folder(Config(out=out)) == out
    assert json.loads((out / "config.json").read_text()) == {
        "recipe": __name__.rpartition(".")[2],
        "rate": 0.5,
        "out": str(out),
    }
    assert train.run_folder(Config()) is None


def test_scores_are_of_the_test_part_and_told_in_a_sentence(run, tmp_path, capsys):
    objective, model, result = run
    scores = train.report(objective, model, result.variables, DATA, tmp_path)
    assert scores == train.evaluate(objective, result.variables, DATA.test)
    predicted = train.predict(model, result.variables, DATA.test[0]).argmax(1)
    assert scores["accuracy"] == pytest.approx((predicted == DATA.test[1]).mean())
    assert json.loads((tmp_path / "result.json").read_text()) == scores
    out = capsys.readouterr().out
    assert f"blobs: test accuracy {scores['accuracy']:.2%}" in out
    assert "on 10 held-out examples" in out
    assert f"written to {tmp_path}" in out


def test_pictures_are_drawn_where_there_is_a_folder_and_matplotlib(run, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    objective, model, result = run
    train.report(objective, model, result.variables, DATA, tmp_path)
    train.save_curves(result.history, tmp_path)
    train.save_curves(result.history, None)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("result.json", "confusion.png", "curves.png")
    }


def test_without_matplotlib_the_pictures_are_left_out(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    objective, model, result = run
    train.report(objective, model, result.variables, DATA, tmp_path)
    train.save_curves(result.history, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"result.json"}


def test_a_run_without_a_row_has_no_curves(tmp_path):
    train.save_curves(train.History(), tmp_path)
    assert not list(tmp_path.iterdir())

"""The table of a search says what its curves hold."""

import csv
import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from laminax import nn, train
from laminax.train._sweep._record import Choice, checked_choice

RANDOM = np.random.default_rng(0)
CURVES = {
    "loss": RANDOM.uniform(1, 2, (3, 2, 4, 5)),
    "validation_loss": RANDOM.uniform(1, 2, (3, 2, 4, 5))
    + np.reshape([0.0, 5, -0.5], (3, 1, 1, 1)),
}
RESULT = train.SweepResult(
    settings=({"rate": 0.1, "width": 8}, {"rate": 0.2, "width": 8}, {"rate": 0.3, "width": 8}),
    seeds=(0, 1),
    curves=CURVES,
    epochs=np.full(3, 5),
    choice=Choice(1, "validation_loss"),
    programs=("3 settings",),
    interrupted=False,
    best_variables=nn.Variables({}, {}),
)


def test_rows_hold_means_and_standard_errors_after_the_last_epoch_the_best_first():
    assert [row.setting["rate"] for row in RESULT.rows] == [0.3, 0.1, 0.2]
    assert RESULT.best is RESULT.rows[0]
    for row, i in zip(RESULT.rows, (2, 0, 1), strict=True):
        for name, curve in CURVES.items():
            values = curve[i, ..., -1].ravel()
            assert row.scores[name].mean == pytest.approx(values.mean())
            assert row.scores[name].error == pytest.approx(stats.sem(values))


def test_the_highest_first():
    highest = dataclasses.replace(RESULT, choice=Choice(-1, "validation_loss"))
    assert [row.setting["rate"] for row in highest.rows] == [0.2, 0.1, 0.3]


def test_those_trained_for_longer_come_first_and_those_that_diverged_last():
    curves = {name: curve.copy() for name, curve in CURVES.items()}
    curves["loss"][2, 1, 0, 1] = np.inf  # long ago, and in one member alone
    curves["loss"][0, ..., 2:] = curves["validation_loss"][0, ..., 2:] = np.nan  # not trained on
    result = dataclasses.replace(RESULT, curves=curves, epochs=np.array([2, 5, 5]))
    assert [row.setting["rate"] for row in result.rows] == [0.2, 0.1, 0.3]
    assert [row.diverged for row in result.rows] == [0, 0, 1]
    assert [row.epochs for row in result.rows] == [5, 2, 5]
    values = CURVES["validation_loss"][0, ..., 1]
    assert result.rows[1].scores["validation_loss"].mean == pytest.approx(values.mean())
    head = str(result).splitlines()[1].split()
    assert head == ["rate", "validation_loss", "loss", "epochs", "diverged"]


def test_the_table_prints():
    title, head, first, *rest = str(RESULT).splitlines()
    assert title == (
        "3 settings × 2 seeds × 4 folds × 5 epochs in 1 program, lowest validation_loss first"
    )
    assert head.split() == ["rate", "validation_loss", "loss"]  # what does not differ is left out
    values = CURVES["validation_loss"][2, ..., -1]
    assert first.split()[:4] == [
        "0.3",
        f"{values.mean():.4f}",
        "±",
        f"{stats.sem(values, None):.4f}",
    ]
    assert len(rest) == 2
    assert len(set(map(len, (head, first, *rest)))) == 1
    assert repr(RESULT) == str(RESULT)


def test_the_table_shows_in_notebooks():
    html = RESULT._repr_html_()
    assert html.count("<tr>") == 4
    assert "<th>rate</th>" in html and "<td>0.3</td>" in html


def test_long_tables_are_cut_in_print():
    many = dataclasses.replace(
        RESULT,
        settings=tuple({"rate": 0.1 * i} for i in range(30)),
        curves={"loss": np.ones((30, 1, 1, 2))},
        epochs=np.full(30, 2),
    )
    assert str(many).splitlines()[-1] == "and 10 more, see .rows"
    assert len(many.rows) == 30
    assert "±" not in str(many)
    assert math.isnan(many.rows[0].scores["loss"].error)


def test_the_table_is_written(tmp_path):
    RESULT.to_csv(tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["rate"] for row in rows] == ["0.3", "0.1", "0.2"]
    score = RESULT.best.scores["validation_loss"]
    assert float(rows[0]["validation_loss"]) == score.mean
    assert float(rows[0]["validation_loss_error"]) == score.error
    assert rows[0]["width"] == "8" and rows[0]["epochs"] == "5" and rows[0]["diverged"] == "0"


@pytest.mark.parametrize("choose", ["loss", "least loss", "lowest", 3, None])
def test_bad_choices_are_refused(choose):
    with pytest.raises(ValueError, match="choose must be 'lowest' or 'highest'"):
        checked_choice("sweep", choose, ["loss"])

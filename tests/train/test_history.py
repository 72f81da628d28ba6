"""The record of a run, and the totals it is made of."""

import csv
import math

import numpy as np
import pytest

from laminax import train
from laminax.train._history import Totals


def test_csv_gives_back_every_number_exactly(tmp_path):
    history = train.History()
    history.append({"epoch": 1, "loss": 0.1 + 0.2, "validation_loss": 1e-300})
    history.append({"epoch": 2, "loss": math.pi, "validation_loss": math.inf})
    history.to_csv(tmp_path / "history.csv")
    with (tmp_path / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [{k: float(v) for k, v in row.items()} for row in rows] == history.rows()
    assert list(rows[0]) == list(history) == ["epoch", "loss", "validation_loss"]


def test_rows_are_the_columns_turned():
    history = train.History(epoch=[1, 2], loss=[0.5, 0.25])
    assert history.rows() == [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}]
    assert train.History().rows() == []


def test_a_row_of_other_columns_is_refused():
    history = train.History(epoch=[1], loss=[0.5])
    with pytest.raises(ValueError, match="must have the columns epoch, loss, got epoch, accuracy"):
        history.append({"epoch": 2, "accuracy": 1.0})
    assert history == {"epoch": [1], "loss": [0.5]}


def test_totals_add_in_float64_in_the_order_of_steps():
    rows = np.random.default_rng(0).uniform(size=1000).astype(np.float32)
    rows[0] = 1e8  # a float32 sum would lose all the rest
    counts = np.full(1000, 3, np.float32)
    whole, cut = Totals(), Totals()
    whole.add({"loss": (rows, counts)})
    for part in np.split(np.arange(1000), [1, 7, 500]):
        cut.add({"loss": (rows[part], counts[part])})
    assert whole.means() == cut.means()
    assert whole.means()["loss"] == pytest.approx(rows.astype(float).sum() / 3000, rel=1e-15)


def test_the_loss_comes_first_and_nothing_counted_is_nan():
    totals = Totals()
    totals.add({"accuracy": (np.zeros(2), np.zeros(2)), "loss": (np.ones(2), np.full(2, 4.0))})
    assert list(totals.means()) == ["loss", "accuracy"]
    assert totals.means()["loss"] == 0.25
    assert math.isnan(totals.means()["accuracy"])

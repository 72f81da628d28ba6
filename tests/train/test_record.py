"""What a run knows beside its state goes through JSON and back, and is a copy of its own."""

import json

import numpy as np

from laminax.train._history import History, Totals
from laminax.train._record import Record


def filled():
    record = Record(first=3, history=History(epoch=[1], step=[4], loss=[0.1 + 0.2]))
    record.totals.add({"loss": (np.array([1 / 3, 1e-17]), np.array([1.0, 1.0]))})
    record.best_row, record.best_loss = 0, 1 / 7
    return record


def test_json_keeps_every_bit():
    record = filled()
    again = Record.from_json(json.loads(json.dumps(record.to_json())))
    assert again.to_json() == record.to_json()
    assert again.history == record.history
    assert again.totals.means() == record.totals.means() == {"loss": (1 / 3 + 1e-17) / 2}
    assert (again.first, again.best_row, again.best_loss) == (3, 0, 1 / 7)


def test_an_infinite_loss_survives():
    assert Record.from_json(json.loads(json.dumps(Record().to_json()))).best_loss == float("inf")


def test_what_was_told_does_not_change_later():
    record = filled()
    told = record.to_json()
    before = json.dumps(told)
    record.totals.add({"loss": (np.array([5.0]), np.array([1.0]))})
    record.history.append({"epoch": 2, "step": 8, "loss": 0.5})
    assert json.dumps(told) == before
    again = Record.from_json(told)
    again.totals.add({"loss": (np.array([5.0]), np.array([1.0]))})
    assert json.dumps(told) == before


def test_stale_counts_rows_since_the_best():
    record = Record()
    assert record.stale() == 0
    for step in (4, 8, 12):
        record.history.append({"step": step})
    record.best_row = 0
    assert (record.rows, record.stale()) == (3, 2)
    assert Totals().means() == {}

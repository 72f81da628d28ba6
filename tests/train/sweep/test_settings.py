"""What is traced, what decides a program, and what is refused."""

import numpy as np
import pytest

from laminax import nn, optim, train
from laminax.train._sweep._settings import checked_settings, grouped, shown, varied


def build(rate, width=4):
    return train.supervised(nn.mlp(width, 1), nn.losses.squared_error), optim.sgd(rate)


def test_numbers_that_differ_are_traced_and_the_rest_decides_the_program():
    settings = [
        {"rate": 0.1, "momentum": 0.9, "width": 8, "act": nn.relu, "nesterov": True},
        {"rate": 0.2, "momentum": 0.9, "width": 16, "act": nn.relu, "nesterov": True},
        {"rate": 1, "momentum": 0.9, "width": 8, "act": nn.relu, "nesterov": True},
        {"rate": 0.3, "momentum": 0.9, "width": 8, "act": nn.relu, "nesterov": False},
    ]
    first, second, third = grouped(settings)
    assert [group.indices.tolist() for group in (first, second, third)] == [[0, 2], [1], [3]]
    assert {name: value.tolist() for name, value in first.traced.items()} == {"rate": [0.1, 1.0]}
    assert first.static == {k: v for k, v in settings[0].items() if k != "rate"}
    assert len({first.key, second.key, third.key}) == 3
    assert varied(settings) == ["rate", "width", "nesterov"]


def test_what_is_equal_but_of_another_type_is_another_program():
    for values in ([1, True], [(1, 2), [1, 2]], [0, None]):
        assert len(grouped([{"a": value} for value in values])) == 2
    same = [[8, 8], [8, 8]], [{"w": [8]}, {"w": [8]}], [np.arange(3), np.arange(3)]
    for values in same:
        assert len(grouped([{"a": value} for value in values])) == 1


def test_integers_are_not_traced_and_named_numbers_neither():
    assert len(grouped([{"steps": 10}, {"steps": 20}])) == 2
    settings = [{"rate": 0.1, "p": 0.5}, {"rate": 0.2, "p": 0.6}]
    assert list(grouped(settings)[0].traced) == ["rate", "p"]
    assert [list(g.traced) for g in grouped(settings, frozenset(["p"]))] == [["rate"], ["rate"]]


def test_settings_read_well():
    assert shown({"rate": 0.012345678, "act": nn.relu, "width": 64}) == (
        "rate=0.01235, act=relu, width=64"
    )


@pytest.mark.parametrize(
    "builder, settings, error, words",
    [
        (build, {"rate": [0.1]}, TypeError, "must be a list of dicts, got dict; make.*train.grid"),
        (build, [], ValueError, "settings is empty"),
        (build, [0.1], TypeError, "setting 0 must be a dict of hyperparameters by name, got 0.1"),
        (
            build,
            [{"rate": 0.1}, {"width": 3}],
            ValueError,
            "setting 1 has the names width, setting",
        ),
        (
            build,
            [{"rat": 0.1}],
            TypeError,
            r"build\(rate, width=4\) does not accept setting 0, rat=",
        ),
        (build, [{"width": 3}], TypeError, "missing a required argument: 'rate'"),
        (None, [{"rate": 0.1}], TypeError, "build: expected Callable"),
        (lambda rate: None, [{"rate": 1.0}], TypeError, "must return .*got NoneType; return train"),
        (
            lambda rate: build(rate)[::-1],
            [{"rate": 1.0}],
            TypeError,
            r"got tuple \(Gradient\w+, Objective\)",
        ),
        (lambda rate: optim.sgd(rate), [{"rate": 1.0}], TypeError, "must return .objective, opt"),
    ],
)
def test_bad_settings_are_refused(builder, settings, error, words):
    with pytest.raises(error, match=words):
        checked_settings("sweep", builder, settings)


def test_a_bad_value_is_refused_beforehand_with_its_setting():
    with pytest.raises(ValueError, match="rate is -1") as caught:
        checked_settings("sweep", build, train.grid(rate=[0.1, -1.0]))
    assert caught.value.__notes__ == ["sweep: in build of setting 1, rate=-1"]

"""Hyperband is brackets of successive halving, each with settings of its own."""

import functools
import itertools
import signal

import jax
import numpy as np
import pytest

from laminax import nn, optim, train
from laminax.train._sweep import _brackets, _members
from laminax.train._sweep._hyperband import brackets

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(50, 3)).astype(np.float32)
Y = (X @ [[1.0], [-2.0], [0.5]] + 3 + 0.1 * RANDOM.normal(size=(50, 1))).astype(np.float32)
DATA, HELD_OUT = (X[:40], Y[:40]), (X[40:], Y[40:])
SPACE = {"rate": train.log_uniform(1e-3, 0.05), "width": train.choice([2, 3])}
hyperband = functools.partial(
    train.hyperband, batch_size=12, epochs=9, validation=HELD_OUT, progress=False
)


def build(rate, width=2):
    return train.supervised(nn.mlp(width, 1), nn.losses.squared_error), optim.momentum(rate)


def cost(plan):
    """Epochs that brackets take, where those that go on do so from where they stand."""
    columns = [[(0, 0), *bracket] for bracket in plan]
    return sum(
        n * (until - before)
        for bracket in columns
        for (_, before), (n, until) in itertools.pairwise(bracket)
    )


@pytest.mark.parametrize(
    "epochs, eta, expected",
    [
        # The example of the paper, R = 81 and η = 3, by its algorithm 1.
        (81, 3, [
            [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
            [(34, 3), (11, 9), (3, 27), (1, 81)],
            [(15, 9), (5, 27), (1, 81)],
            [(8, 27), (2, 81)],
            [(5, 81)],
        ]),
        # The table in the documentation of mlr3hyperband.
        (8, 2, [
            [(8, 1), (4, 2), (2, 4), (1, 8)],
            [(6, 2), (3, 4), (1, 8)],
            [(4, 4), (2, 8)],
            [(4, 8)],
        ]),
        (10, 3, [[(9, 2), (3, 4), (1, 10)], [(5, 4), (1, 10)], [(3, 10)]]),
        (2, 3, [[(1, 2)]]),
    ],
)  # fmt: skip
def test_the_brackets_are_those_of_the_paper(epochs, eta, expected):
    assert brackets(epochs, eta) == expected


def test_the_cost_is_as_told():
    assert sum(bracket[0][0] for bracket in brackets(81, 3)) == 143
    assert round(cost(brackets(81, 3)) / 81, 1) == 19.5
    for eta in (2, 3, 4, 5):
        for power in range(6):
            assert cost(brackets(eta**power, eta)) <= (power + 1) ** 2 * eta**power


@pytest.fixture(scope="module")
def found():
    """A search with two seeds, all its settings trained to the end, and where brackets begin."""
    result = hyperband(build, SPACE, DATA, seeds=2, seed=4)
    whole = train.sweep(
        build, list(result.settings), DATA, validation=HELD_OUT, seeds=2, batch_size=12, epochs=9,
        progress=False,
    )  # fmt: skip
    return result, whole


def test_each_bracket_halves_its_own_settings(found):
    result, whole = found
    assert list(result.settings) == train.sample(17, 4, **SPACE)
    values = whole.curves["validation_loss"].mean((1, 2))
    expected, begin = np.zeros(17, int), 0
    for bracket in ([(9, 1), (3, 3), (1, 9)], [(5, 3), (1, 9)], [(3, 9)]):
        alive = np.arange(begin, begin := begin + bracket[0][0])
        for rung, (n, until) in enumerate(bracket):
            if rung:
                alive = alive[np.argsort(values[alive, bracket[rung - 1][1] - 1])][:n]
            expected[alive] = until
    assert result.epochs.tolist() == expected.tolist()
    assert result.epochs.sum() == cost(brackets(9, 3))


def test_curves_are_those_of_trainings_alone(found):
    result, whole = found
    for i, epochs in enumerate(result.epochs):
        for name, curve in result.curves.items():
            wanted = whole.curves[name][i, ..., :epochs]
            np.testing.assert_allclose(curve[i, ..., :epochs], wanted, rtol=1e-4)
            assert np.isnan(curve[i, ..., epochs:]).all()
    done = np.flatnonzero(result.epochs == 9)
    ends = whole.curves["validation_loss"][done, ..., -1].mean((1, 2))
    best = int(done[ends.argmin()])
    assert result.best.setting == result.settings[best]
    seed = int(result.curves["validation_loss"][best, :, 0, -1].argmin())
    alone = train.fit(
        *build(**result.best.setting), DATA, epochs=9, batch_size=12, seed=seed,
        validation=HELD_OUT, progress=False,
    )  # fmt: skip
    for name, curve in result.curves.items():
        np.testing.assert_allclose(curve[best, seed, 0], alone.history[name], rtol=1e-4)
    for a, b in zip(*map(jax.tree.leaves, (result.variables, alone.variables)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_the_bar_tells_the_steps_that_are_taken(monkeypatch):
    taken, told = [], []

    class Bar(_brackets.Progress):
        def __init__(self, steps, shown):
            told.append(steps)
            super().__init__(steps, shown)

        def advance(self, steps, totals):
            taken.append(steps)

    monkeypatch.setattr(_brackets, "Progress", Bar)
    result = hyperband(build, SPACE, DATA, epochs=4, eta=2)
    steps = [train.steps_for(DATA, epochs=int(n), batch_size=12) for n in result.epochs]
    assert told == [sum(steps)] == [sum(taken)]


def test_an_interrupt_ends_it_with_what_is_done(monkeypatch):
    advance, begun = _members.advance, []

    def interrupting(plan, state, traced, *more):
        if begun and begun[-1] < plan.settings == 5:  # the second bracket's first program
            signal.raise_signal(signal.SIGINT)
        begun.append(plan.settings)
        return advance(plan, state, traced, *more)

    monkeypatch.setattr(_members, "advance", interrupting)
    monkeypatch.setattr(jax, "local_device_count", lambda: 1)
    result = hyperband(build, {"rate": SPACE["rate"]}, DATA)
    assert result.interrupted
    assert sorted(result.epochs[:9].tolist()) == [1] * 6 + [3] * 2 + [9]
    assert result.epochs[9:].max() <= 1
    assert not result.epochs[14:].any()
    alone = train.fit(*build(**result.best.setting), DATA, epochs=9, batch_size=12, progress=False)
    for a, b in zip(*map(jax.tree.leaves, (result.variables, alone.variables)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_where_all_of_a_bracket_diverge_the_others_go_on():
    draws = iter([1e30] * 4 + [0.01, 0.02, 0.03, 1e31, 0.05, 0.04])
    space = {"rate": train.Distribution(lambda generator: next(draws), None, "listed")}
    result = hyperband(build, space, DATA, epochs=4, eta=2)
    assert result.epochs.tolist()[:4] == [1] * 4
    assert result.epochs.tolist()[7:] == [4] * 3
    assert sorted(result.epochs.tolist()[4:7]) == [2, 2, 4]
    assert np.isfinite(result.best.scores["loss"].mean)


@pytest.mark.parametrize(
    "space, options, error, words",
    [
        (SPACE, {"validation": None}, ValueError, "hyperband: chooses by a score on held-out data"),
        (SPACE, {"eta": 1}, ValueError, "hyperband: eta is 1; expected 2 or more"),
        (SPACE, {"epochs": 0}, ValueError, "hyperband: epochs must be"),
        (SPACE, {"at_once": 0}, ValueError, "hyperband: at_once must be"),
        (SPACE, {"seed": -1}, ValueError, "seed must be an integer in"),
        (SPACE, {"choose": "loss"}, ValueError, "hyperband: choose must be"),
        ({}, {}, ValueError, "hyperband: got no names"),
        ({"rate": 0.1}, {}, TypeError, "hyperband: rate is 0.1; expected a distribution"),
        ([{"rate": 0.1}], {}, TypeError, "hyperband: space: expected Mapping, got list"),
        ({"rate": SPACE["rate"], "depth": SPACE["width"]}, {}, TypeError, "does not accept"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_compiled(
    space, options, error, words, compiles
):
    with pytest.raises(error, match=words):
        hyperband(build, space, DATA, **options)
    assert "jit(advance)" not in compiles

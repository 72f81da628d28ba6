"""Successive halving goes on with the best, from where they stand."""

import functools

import jax
import numpy as np
import pytest

from laminax import nn, optim, train
from laminax.train._sweep._brackets import floor_log, rungs

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(50, 3)).astype(np.float32)
Y = (X @ [[1.0], [-2.0], [0.5]] + 3 + 0.1 * RANDOM.normal(size=(50, 1))).astype(np.float32)
DATA, HELD_OUT = (X[:40], Y[:40]), (X[40:], Y[40:])
SETTINGS = train.sample(11, rate=train.log_uniform(1e-3, 0.3), width=train.choice([2, 3]))
halving = functools.partial(train.halving, batch_size=12, epochs=9, progress=False)


def build(rate, width):
    model = nn.mlp(width, 1)
    return train.supervised(model, nn.losses.squared_error), optim.momentum(rate)


def test_the_better_ones_go_on_and_end_as_if_trained_alone():
    result = halving(build, SETTINGS, DATA, validation=HELD_OUT, seeds=2)
    whole = train.sweep(
        build, SETTINGS, DATA, validation=HELD_OUT, seeds=2, batch_size=12, epochs=9, progress=False
    )
    values = whole.curves["validation_loss"].mean((1, 2))
    second = np.argsort(values[:, 0])[:3]
    third = second[np.argsort(values[second, 2])[:1]]
    epochs = np.ones(11, int)
    epochs[second], epochs[third] = 3, 9
    assert result.epochs.tolist() == epochs.tolist()
    for i in range(11):
        for name, curve in result.curves.items():
            expected = whole.curves[name][i, ..., : epochs[i]]
            np.testing.assert_allclose(curve[i, ..., : epochs[i]], expected, rtol=1e-4)
            assert np.isnan(curve[i, ..., epochs[i] :]).all()
    assert result.best.setting == SETTINGS[third[0]]
    seed = int(result.curves["validation_loss"][third[0], :, 0, -1].argmin())
    alone = train.fit(
        *build(**result.best.setting), DATA, epochs=9, batch_size=12, seed=seed, progress=False
    )
    for a, b in zip(*map(jax.tree.leaves, (result.variables, alone.variables)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_what_diverges_does_not_go_on_and_blocks_make_no_difference():
    settings = train.grid(rate=[1e30, 0.01, 0.05, 1e31, 0.02, 1e32, 1e33, 1e34, 1e35], width=[2])
    results = [
        halving(build, settings, DATA, validation=HELD_OUT, at_once=n, epochs=3) for n in (None, 2)
    ]
    for result in results:
        assert result.epochs.tolist() == [1, 3, 3, 1, 3, 1, 1, 1, 1]
        assert [row.diverged for row in result.rows] == [0, 0, 0, 1, 1, 1, 1, 1, 1]
    np.testing.assert_allclose(results[0].curves["loss"], results[1].curves["loss"], rtol=1e-5)


@pytest.mark.parametrize(
    "settings, epochs, eta, expected",
    [
        (27, 27, 3, [(27, 1), (9, 3), (3, 9), (1, 27)]),
        (27, 5, 3, [(27, 2), (9, 5)]),
        (4, 100, 2, [(4, 25), (2, 50), (1, 100)]),
        (2, 10, 3, [(2, 10)]),
        (9, 1, 3, [(9, 1)]),
    ],
)
def test_rungs(settings, epochs, eta, expected):
    last = floor_log(min(settings, epochs), eta)
    assert rungs(settings, epochs, eta, last) == expected


@pytest.mark.parametrize(
    "options, words",
    [
        ({}, r"halving: chooses by a score on held-out data.*give validation= or folds="),
        ({"validation": HELD_OUT, "eta": 1}, "halving: eta is 1; expected 2 or more"),
        ({"validation": HELD_OUT, "epochs": 0}, "halving: epochs must be"),
        ({"validation": HELD_OUT, "at_once": 0}, "halving: at_once must be"),
        ({"folds": 50}, "halving: folds is 50"),
    ],
)
def test_bad_arguments_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        halving(build, SETTINGS, DATA, **options)

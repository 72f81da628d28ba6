"""Optuna proposes, a sweep trains."""

import functools

import numpy as np
import pytest

from laminax import nn, optim, train

optuna = pytest.importorskip("optuna")
optuna.logging.set_verbosity(optuna.logging.WARNING)

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(50, 3)).astype(np.float32)
Y = (X @ [[1.0], [-2.0], [0.5]] + 3 + 0.1 * RANDOM.normal(size=(50, 1))).astype(np.float32)
DATA, HELD_OUT = (X[:40], Y[:40]), (X[40:], Y[40:])


def build(rate):
    return train.supervised(nn.dense(1), nn.losses.squared_error), optim.sgd(rate)


def suggest(trial):
    return {"rate": trial.suggest_float("rate", 1e-4, 0.3, log=True)}


trials = functools.partial(
    train.trials, build=build, data=DATA, batch_size=10, epochs=2, progress=False
)


def study(**options):
    return optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0), **options)


def test_every_trial_is_told_what_its_training_alone_reaches(compiles):
    asked = study()
    results = trials(asked, suggest, validation=HELD_OUT, rounds=2, each=6)
    assert compiles.count("jit(advance)") == 1
    assert len(asked.trials) == 12
    for trial in (asked.trials[2], asked.trials[9]):
        alone = train.fit(
            *build(**trial.params),
            DATA,
            batch_size=10,
            epochs=2,
            validation=HELD_OUT,
            progress=False,
        )
        assert trial.value == pytest.approx(alone.history["validation_loss"][-1], rel=1e-5)
    best = min(results, key=lambda result: result.best.scores["validation_loss"].mean)
    assert asked.best_params == best.best.setting


def test_what_diverges_is_told_as_failed():
    asked = study(direction="minimize")
    trials(asked, lambda trial: {"rate": [1e30, 0.1][trial.number % 2]},
           validation=HELD_OUT, rounds=1, each=4)  # fmt: skip
    assert [trial.state.name for trial in asked.trials] == ["FAIL", "COMPLETE"] * 2


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"directions are \['MAXIMIZE'\].*direction='minimize'"):
        trials(study(direction="maximize"), suggest, validation=HELD_OUT)
    with pytest.raises(ValueError, match="trials: chooses by a score on held-out data"):
        trials(study(), suggest)
    with pytest.raises(ValueError, match="trials: each must be an integer of at least 1"):
        trials(study(), suggest, validation=HELD_OUT, each=0)

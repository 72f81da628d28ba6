"""Population-based training: what a member's history says is how its state came about."""

import functools

import jax
import numpy as np
import pytest

from laminax import nn, optim, train
from laminax.train._sweep._population import _explored

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(50, 3)).astype(np.float32)
Y = (X @ [[1.0], [-2.0], [0.5]] + 3 + 0.1 * RANDOM.normal(size=(50, 1))).astype(np.float32)
DATA, HELD_OUT = (X[:40], Y[:40]), (X[40:], Y[40:])
SPACE = {"rate": train.log_uniform(1e-3, 0.1), "decay": train.uniform(0, 0.3)}
population = functools.partial(
    train.population, data=DATA, batch_size=10, validation=HELD_OUT, progress=False
)


def build(rate, decay=0.0):
    model = train.supervised(nn.dense(1), nn.losses.squared_error)
    return model, optim.adamw(rate, weight_decay=decay)


def test_the_best_ones_schedule_trained_alone_gives_its_curves_and_its_variables():
    result = population(build, SPACE, members=8, epochs=6, every=2)
    best = result.best_schedule
    assert all(len(set(best[name][2 * i : 2 * i + 2])) == 1 for name in best for i in range(3))
    assert len(set(best["rate"])) > 1  # its line was changed on the way
    state, losses = None, []
    for epoch in range(6):
        setting = {name: values[epoch] for name, values in best.items()}
        alone = train.fit(
            *build(**setting), DATA, epochs=1, batch_size=10, validation=HELD_OUT, state=state,
            progress=False,
        )  # fmt: skip
        state = alone.state
        losses += alone.history["validation_loss"]
    i = int(result.curves["validation_loss"][:, 0, 0, -1].argmin())
    np.testing.assert_allclose(result.curves["validation_loss"][i, 0, 0], losses, rtol=1e-4)
    for a, b in zip(*map(jax.tree.leaves, (result.variables, state.variables)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    assert result.best.setting == {name: values[-1] for name, values in best.items()}
    first = train.sample(8, 0, **SPACE)
    assert set(result.schedules["rate"][:, 0]) <= {setting["rate"] for setting in first}


def test_the_worst_take_over_from_the_best_and_diverged_ones_are_replaced():
    space = {"rate": train.choice([1e30, 0.02, 0.021, 0.022])}
    result = population(lambda rate: build(rate), space, members=6, epochs=2, every=1, seed=7)
    drawn = [setting["rate"] for setting in train.sample(6, 7, **space)]
    assert drawn.count(1e30) == 4  # more than the share that is replaced anyway
    assert not (result.schedules["rate"][:, 0] == 1e30).any()


def test_changes_are_of_a_fifth_and_stay_within_bounds():
    values = {"rate": np.array([0.05, 0.001, 0.1]), "decay": np.array([0.1, 0.2, 0.3])}
    parents = np.array([0, 0, 0])
    seen = set()
    for seed in range(50):
        new = _explored(values, parents, SPACE, np.random.default_rng(seed))
        assert (new["rate"][0], new["decay"][0]) == (0.05, 0.1)
        seen |= {round(v, 9) for v in new["rate"][1:]}
    assert seen == {0.04, 0.06}
    new = _explored(values, np.array([2, 2, 2]), SPACE, np.random.default_rng(0))
    assert new["rate"].max() <= 0.1 and new["decay"].max() <= 0.3


@pytest.mark.parametrize(
    "space, options, words",
    [
        (SPACE, {"validation": None}, "population: chooses by a score on held-out data"),
        (SPACE, {"members": 1}, "population: members is 1; expected 2 or more"),
        (SPACE, {"quantile": 0.6}, r"population: quantile is 0.6; expected a share in \(0, 0.5\]"),
        (SPACE, {"every": 0}, "population: every must be"),
        ({}, {}, "population: got no names"),
        (
            {"rate": train.choice([0.1])},
            {},
            "population: rate cannot change during a training: each must be a real number",
        ),
    ],
)
def test_bad_arguments_are_refused(space, options, words):
    with pytest.raises(ValueError, match=words):
        population(build, space, **options)

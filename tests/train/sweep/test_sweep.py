"""A sweep trains each member as `fit` would train it alone."""

import functools
import logging
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn, optim, train
from laminax.train._sweep._folds import Folds

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(50, 3)).astype(np.float32)
Y = (X @ [[1.0], [-2.0], [0.5]] + 3 + 0.1 * RANDOM.normal(size=(50, 1))).astype(np.float32)
DATA, HELD_OUT = (X[:40], Y[:40]), (X[40:], Y[40:])
WIDE = tuple(a.astype(np.float64) for a in DATA), tuple(a.astype(np.float64) for a in HELD_OUT)
METRICS = {"score": lambda y_hat, y: -jnp.abs(y_hat - y)[:, 0]}
sweep = functools.partial(train.sweep, batch_size=12, epochs=3, progress=False)
fit = functools.partial(train.fit, batch_size=12, epochs=3, progress=False)


def noisy(rate, b1=0.9, width=4):
    """Statistics, noise, moments, an average, a schedule."""
    model = nn.serial(nn.dense(width), nn.batch_norm(), nn.tanh, nn.dropout(0.5), nn.dense(1))
    optimizer = optim.chain(optim.adam(optim.cosine(rate, 30), b1), optim.ema(0.9))
    return train.supervised(model, nn.losses.squared_error, metrics=METRICS), optimizer


def linear(rate):
    return train.supervised(nn.dense(1), nn.losses.squared_error), optim.sgd(rate)


def same(result, setting, seed, fold, run, rtol=1e-5):
    """Compare a member's curves with the history of a run alone."""
    for name, curve in result.curves.items():
        np.testing.assert_allclose(curve[setting, seed, fold], run.history[name], rtol=rtol)


def close(ours, alone, rtol=1e-5):
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


@pytest.fixture
def double():
    """Float64: Adam makes large steps of what is rounded differently in a gradient near zero."""
    with jax.enable_x64(True):
        yield


SETTINGS = train.grid(rate=[0.003, 0.01, 0.03], b1=[0.8, 0.9], width=[3, 5])


def test_members_equal_trainings_alone(double):
    result = sweep(noisy, SETTINGS, WIDE[0], seeds=[3, 5], validation=WIDE[1])
    assert result.programs == ("width=3: 6 settings", "width=5: 6 settings")
    assert set(result.curves) == {"loss", "score", "validation_loss", "validation_score"}
    for setting, seed in ((3, 5), (8, 3)):
        alone = fit(*noisy(**SETTINGS[setting]), WIDE[0], seed=seed, validation=WIDE[1])
        same(result, setting, result.seeds.index(seed), 0, alone, rtol=1e-9)
    values = result.curves["validation_loss"][:, :, 0, -1]
    best = int(values.mean(1).argmin())
    assert result.best.setting == SETTINGS[best]
    seed = result.seeds[int(values[best].argmin())]
    alone = fit(*noisy(**SETTINGS[best]), WIDE[0], seed=seed)
    close(result.variables, alone.variables)


def test_members_equal_trainings_alone_in_single_precision():
    def build(rate, decay):
        model = nn.serial(nn.mlp(8), nn.dropout(0.2), nn.dense(1))
        optimizer = optim.adamw(rate, weight_decay=decay)
        return train.supervised(model, nn.losses.squared_error), optimizer

    settings = train.grid(rate=[0.003, 0.03], decay=[0.01, 1.0])
    result = sweep(build, settings, DATA, validation=HELD_OUT)
    for i, setting in enumerate(settings):
        same(result, i, 0, 0, fit(*build(**setting), DATA, validation=HELD_OUT))
    close(result.variables, fit(*build(**result.best.setting), DATA).variables)


def test_folds_equal_trainings_on_their_rows(double):
    folds = Folds(40, 3)
    result = sweep(noisy, train.grid(rate=[0.01, 0.03]), WIDE[0], folds=3, seeds=2)
    assert result.curves["validation_loss"].shape == (2, 2, 3, 3)
    for fold in (0, 2):
        rows = np.asarray(
            folds.train_rows(jnp.int32(fold), jnp.arange(folds.training, dtype=jnp.int32))
        )
        held, real = folds.test_rows(jnp.int32(fold), jnp.arange(folds.held_out, dtype=jnp.int32))
        held = np.asarray(held)[np.asarray(real)]
        part, rest = (tuple(a[at] for a in WIDE[0]) for at in (rows, held))
        same(result, 1, 1, fold, fit(*noisy(0.03), part, validation=rest, seed=1), rtol=1e-9)


def test_what_a_fold_holds_out_has_no_influence_on_it():
    at = 7
    fold = next(
        f for f in range(4)
        if at in np.asarray(Folds(40, 4).test_rows(jnp.int32(f), jnp.arange(10))[0])
    )  # fmt: skip
    spoiled = X[:40].copy()
    spoiled[at] = 1e3
    one, two = (sweep(linear, [{"rate": 0.05}], (x, Y[:40]), folds=4) for x in (X[:40], spoiled))
    equal = {n: (one.curves[n] == two.curves[n])[0, 0].all(-1).tolist() for n in one.curves}
    assert equal == {"loss": [f == fold for f in range(4)], "validation_loss": [False] * 4}


@pytest.mark.parametrize("at_once", [1, 2, 5, 9])
def test_results_do_not_depend_on_how_many_are_trained_at_once(at_once):
    settings = train.grid(rate=[0.01, 0.02, 0.05])
    whole = sweep(linear, settings, DATA, seeds=3, validation=HELD_OUT)
    parts = sweep(linear, settings, DATA, seeds=3, validation=HELD_OUT, at_once=at_once)
    for name, curve in whole.curves.items():
        np.testing.assert_allclose(parts.curves[name], curve, rtol=1e-5)
    close(parts.variables, whole.variables)


def test_members_are_split_over_the_devices(monkeypatch):
    from laminax.train._sweep import _members

    seen = []
    advance = _members.advance

    def watched(plan, state, *more):
        bias = state.params["b"]
        seen.append((bias.shape, {shard.data.shape for shard in bias.addressable_shards}))
        return advance(plan, state, *more)

    monkeypatch.setattr(_members, "advance", watched)
    sweep(linear, train.grid(rate=np.linspace(0.01, 0.02, 11)), DATA)
    assert set(map(str, seen)) == {"((1, 12, 1), {(1, 2, 1)})"}  # on six of the eight
    seen.clear()
    sweep(linear, [{"rate": 0.1}], DATA, seeds=8)
    assert set(map(str, seen)) == {"((8, 1, 1), {(1, 1, 1)})"}


def test_one_that_diverges_is_marked_never_wins_and_disturbs_no_other():
    settings = train.grid(rate=[1e30, 0.05, 0.01])
    result = sweep(linear, settings, DATA, validation=HELD_OUT)
    without = sweep(linear, settings[1:], DATA, validation=HELD_OUT)
    assert [row.diverged for row in result.rows] == [0, 0, 1]
    assert result.rows[-1].setting == {"rate": 1e30}
    assert result.best.setting == {"rate": 0.05}
    for name, curve in without.curves.items():
        np.testing.assert_allclose(result.curves[name][1:], curve, rtol=1e-6)
    assert np.isfinite(jax.tree.leaves(result.variables)[0]).all()


def test_where_all_diverge_there_is_no_best():
    result = sweep(linear, train.grid(rate=[1e30, 1e31]), DATA, validation=HELD_OUT)
    with pytest.raises(ValueError, match="no setting was trained to an end with a finite loss"):
        _ = result.best


def test_nothing_held_out_means_no_choice():
    result = sweep(linear, train.grid(rate=[0.01, 0.05]), DATA)
    assert [row.setting["rate"] for row in result.rows] == [0.01, 0.05]
    for name in ("best", "variables"):
        with pytest.raises(ValueError, match=r"nothing was held out.*give validation= or folds="):
            getattr(result, name)


def test_the_highest_score_can_be_chosen():
    def build(rate):
        metrics = {"error": lambda y_hat, y: jnp.abs(y_hat - y)[:, 0]}
        return train.supervised(nn.dense(1), nn.losses.squared_error, metrics=metrics), optim.sgd(
            rate
        )

    settings = train.grid(rate=[0.02, 0.001, 0.1])
    result = sweep(build, settings, DATA, validation=HELD_OUT, choose="highest error")
    errors = result.curves["validation_error"][:, 0, 0, -1]
    assert errors.argmax() == 1
    assert [row.setting["rate"] for row in result.rows] == [0.001, 0.02, 0.1]
    close(result.variables, fit(*linear(0.001), DATA).variables)


def test_numbers_that_python_must_know_decide_the_program(caplog):
    def build(rate, share, scale):
        model = nn.serial(nn.dense(round(share * 10)), nn.tanh, nn.dense(1))
        loss = lambda y_hat, y: scale * nn.losses.squared_error(y_hat, y)  # noqa: E731
        return train.supervised(model, loss), optim.sgd(rate)

    settings = train.grid(rate=[0.01, 0.02], share=[0.3, 0.5], scale=[1.0, 2.0])
    with caplog.at_level(logging.INFO, "laminax"):
        result = sweep(build, settings, DATA, epochs=1)
    assert result.programs == ("share=0.3: 4 settings", "share=0.5: 4 settings")
    assert "build needs share as plain numbers" in caplog.text
    assert "8 settings × 1 lane = 8 members in 2 programs: share=0.3: 4" in caplog.text
    alone = fit(*build(**settings[5]), DATA, epochs=1)
    same(result, 5, 0, 0, alone)


def test_a_group_is_compiled_once_and_a_second_sweep_not_at_all(compiles):
    settings = train.grid(rate=[0.01, 0.02, 0.03, 0.04])
    for _ in range(2):
        sweep(linear, settings, DATA, epochs=5, validation=HELD_OUT)
        assert compiles.count("jit(advance)") == 1
        assert compiles.count("jit(score)") == 1
        settings = train.grid(rate=[0.02, 0.05, 0.06, 0.07])


def test_an_interrupt_ends_it_with_what_is_done(monkeypatch):
    from laminax.train._sweep import _members

    advance, left = _members.advance, [6]

    def interrupting(*args):
        left[0] -= 1
        if not left[0]:
            signal.raise_signal(signal.SIGINT)
        return advance(*args)

    monkeypatch.setattr(_members, "advance", interrupting)
    settings = train.grid(rate=[0.01, 0.02])
    result = sweep(linear, settings, DATA, epochs=50, validation=HELD_OUT, at_once=1)
    assert result.interrupted
    assert result.epochs[0] < 50
    assert result.epochs[1] == 0
    assert "interrupted" in str(result)


@pytest.mark.parametrize(
    "options, error, words",
    [
        ({"epochs": 0}, ValueError, "sweep: epochs must be an integer of at least 1"),
        ({"batch_size": 41}, ValueError, "sweep: batch_size is 41 but there are only 40"),
        ({"folds": 4, "batch_size": 31}, ValueError, "batch_size is 31 but there are only 30"),
        ({"folds": 1}, ValueError, "sweep: folds is 1; expected 2 or more"),
        ({"folds": 41}, ValueError, "folds is 41; .*at most the 40 examples"),
        ({"folds": 2, "validation": HELD_OUT}, ValueError, "give one of the two"),
        ({"seeds": 0}, ValueError, "sweep: seeds must be an integer of at least 1"),
        ({"seeds": [1, 1]}, ValueError, r"seeds must be how many, or different.*got \[1, 1\]"),
        ({"seeds": [-1]}, ValueError, r"seeds must be"),
        ({"at_once": 0}, ValueError, "sweep: at_once must be an integer of at least 1"),
        ({"choose": "loss"}, ValueError, "'lowest' or 'highest' and the name of a score.*'loss'"),
        (
            {"choose": "highest accuracy", "validation": HELD_OUT},
            ValueError,
            "choose is 'highest accuracy', but the scores are loss; give train.supervised that",
        ),
        ({"validation": (X, Y[:3])}, ValueError, "sweep, validation: data: the arrays differ"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_compiled(options, error, words, compiles):
    with pytest.raises(error, match=words):
        sweep(linear, [{"rate": 0.1}], DATA, **options)
    assert "jit(advance)" not in compiles

"""The benchmark against overfitting trains what `fit` trains, and leaves no regularizer out."""

import importlib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn, optim, train

LEFT_OUT = {"nn.channel_dropout"}  # for images and sequences between layers


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))
    return importlib.import_module("benchmarks.regularization")


@pytest.fixture
def methods(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))
    return importlib.import_module("benchmarks._regularizers")


def pool(n=700):
    random = np.random.default_rng(0)
    y = random.integers(0, 10, n)
    x = random.integers(0, 256, (n, 28, 28, 1)) * (y[:, None, None, None] + 1) // 10
    return jnp.asarray(x, jnp.uint8), jnp.asarray(y, jnp.int32)


def rows_of(seed, n):
    return train.data.index(jax.random.fold_in(jax.random.key(seed), 2), 0, 500, n)


def test_a_member_is_what_fit_makes(benchmark, methods, monkeypatch):
    monkeypatch.setattr(benchmark, "STEPS", 20)
    data = pool()
    together = benchmark.programs(methods.METHODS["L2"])([3, 4], [0.0, 0.5], data)
    recipe = methods.METHODS["L2"].recipe(0.5, jax.random.key(0))
    assert len(np.unique(rows_of(4, 700))) == 500
    own = train.data.gather(data, rows_of(4, 700))
    optimizer = optim.chain(optim.l2(0.5, "*/w"), optim.adam(optim.cosine(3e-3, 600)))
    alone = train.fit(
        *(recipe.objective, optimizer, own),
        **{"epochs": 2, "batch_size": 50, "seed": 4, "progress": False},
    )
    for a, b in zip(
        jax.tree.leaves(together.variables), jax.tree.leaves(alone.variables), strict=True
    ):
        np.testing.assert_allclose(a[1], b, rtol=1e-4, atol=1e-5)
    wrong = recipe.model(alone.variables, own[0]).argmax(-1) != own[1]
    np.testing.assert_allclose(together.error[1], wrong.mean(), atol=0.005)


def test_early_stopping_keeps_the_epoch_that_fit_calls_the_best(benchmark, methods, monkeypatch):
    monkeypatch.setattr(benchmark, "STEPS", 56)
    data = pool()
    member = benchmark.programs(methods.METHODS["early stopping"])([5], [150], data)
    recipe = methods.METHODS["early stopping"].recipe(150, jax.random.key(0))
    own = train.data.gather(data, rows_of(5, 700))
    held, rest = ((own[0][part], own[1][part]) for part in (slice(150), slice(150, None)))
    alone = train.fit(
        *(recipe.objective, recipe.optimizer, rest),
        **{"epochs": 8, "batch_size": 50, "seed": 5, "progress": False, "validation": held},
    )
    assert alone.best.epoch < 7  # or there would be nothing to tell
    for a, b in zip(
        jax.tree.leaves(member.variables), jax.tree.leaves(alone.best.variables), strict=True
    ):
        np.testing.assert_allclose(a[0], b, rtol=1e-4, atol=1e-5)


def test_mixed_examples_keep_their_labels_shares(methods):
    alpha, hot = 0.4, jax.nn.one_hot(jnp.arange(4000) % 10, 10)
    x, mixed = methods.mixed(jax.random.key(0), (hot.reshape(-1, 5, 2), hot), alpha)
    np.testing.assert_allclose(x.reshape(-1, 10), mixed, rtol=1e-6)
    np.testing.assert_allclose(mixed.sum(1), 1.0, rtol=1e-5)
    # λ of its own label is Beta(α, α): its mean is ½, its variance 1 / (4 (2 α + 1)); one partner
    # in ten has the same label, and then it is 1.
    share = np.asarray((mixed * hot).sum(1))
    variance = 1 / (4 * (2 * alpha + 1))
    mean = 0.9 * 0.5 + 0.1
    np.testing.assert_allclose(share.mean(), mean, atol=0.02)
    second = 0.9 * (variance + 0.25) + 0.1
    np.testing.assert_allclose(share.var(), second - mean**2, atol=0.01)


def test_noise_on_labels_leaves_evaluation_alone(methods):
    recipe = methods.METHODS["label noise"].recipe(0.9, jax.random.key(0))
    data = tuple(a[:200] for a in pool())
    params, state = recipe.objective.init(jax.random.key(1), data)
    plain = nn.losses.cross_entropy(recipe.model(nn.Variables(params, state), data[0]), data[1])
    evaluated = recipe.objective.loss(params, state, data, nn.Context())[0]
    np.testing.assert_allclose(evaluated, plain, rtol=1e-6)
    ctx = nn.Context(key=jax.random.key(2), train=True)
    changed = np.mean(recipe.objective.loss(params, state, data, ctx)[0] != plain)
    np.testing.assert_allclose(changed, 0.81, atol=0.1)


def test_every_regularizer_takes_part(methods):
    text = Path(methods.__file__).read_text()
    layers = {f"nn.{name}" for name in vars(nn._regularization) if name[0] != "_"}
    of_parameters = optim.l1.__module__
    penalties = {
        f"optim.{name}"
        for name, value in vars(optim).items()
        if getattr(value, "__module__", "") == of_parameters
    }
    assert {"nn.dropout", "optim.max_norm"} <= layers | penalties
    missing = {name for name in layers | penalties if name not in text}
    assert missing == LEFT_OUT

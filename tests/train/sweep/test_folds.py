"""Folds: every example is held out once, and no member trains on what it is scored on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.model_selection import KFold

from laminax.train._sweep._folds import Folds, order


def rows(folds, fold):
    slots = jnp.arange(folds.held_out)
    held, real = jax.jit(folds.test_rows)(jnp.int32(fold), slots)
    trained = jax.jit(folds.train_rows)(jnp.int32(fold), jnp.arange(folds.training))
    return np.asarray(held)[np.asarray(real)], np.asarray(trained)


@pytest.mark.parametrize("examples, k", [(12, 3), (13, 4), (50, 7), (9, 9), (64, 2), (1797, 10)])
def test_every_example_is_held_out_once_and_then_never_trained_on(examples, k):
    folds = Folds(examples, k)
    held, trained = zip(*(rows(folds, fold) for fold in range(k)), strict=True)
    assert sorted(np.concatenate(held)) == list(range(examples))
    for out, used in zip(held, trained, strict=True):
        assert not set(out) & set(used)
        assert len(set(used)) == len(used) == examples - -(-examples // k)
    # As large as those of scikit-learn, though in another order.
    theirs = [len(test) for _, test in KFold(k).split(np.zeros(examples))]
    assert sorted(map(len, held)) == sorted(theirs)


def test_folds_are_shuffled():
    assert order(1000).tolist() == np.random.RandomState(0).permutation(1000).tolist()
    held, _ = rows(Folds(1000, 2), 0)
    assert 0.4 < (held < 500).mean() < 0.6

"""Programs are shared by what they are made for, and the oldest let go of."""

import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np

from laminax import nn, optim, train
from laminax.train._compiled import compiled_for


class Model:
    """Told apart by identity, as objectives are."""


@compiled_for(1, donate=0)
def shifted(model, x, y):
    return x + y


def test_one_compilation_serves_all_calls_for_the_same(compiles):
    first, second = Model(), Model()
    for model in (first, second, first, second):
        shifted(model, jnp.ones(3), 1.0)
    assert compiles.count("jit(shifted)") == 2


def test_tracing_for_shapes_serves_the_call_too(compiles):
    traced = []

    @compiled_for(1)
    def doubled(model, x):
        traced.append(model)
        return 2 * x

    model = Model()
    assert doubled.eval_shape(model, jnp.ones(3)).shape == (3,)
    np.testing.assert_array_equal(doubled(model, jnp.ones(3)), [2, 2, 2])
    assert traced == [model]


def test_arguments_are_donated():
    x = jnp.ones(3)
    jax.block_until_ready(shifted(Model(), x, 1.0))
    assert x.is_deleted()


def test_the_oldest_are_let_go_of():
    alive = []
    for _ in range(60):
        model = Model()
        alive.append(weakref.ref(model))
        shifted(model, jnp.ones(2), 1.0)
    del model
    gc.collect()
    kept = [ref() is not None for ref in alive]
    assert 1 <= sum(kept) <= 32 and kept[-1] and not kept[0]


def test_the_objective_of_an_old_run_is_let_go_of():
    data = jnp.ones((4, 1)), jnp.ones((4, 1))

    def run():
        objective = train.supervised(nn.dense(1), nn.losses.squared_error)
        train.fit(objective, optim.sgd(0.1), data, epochs=1, batch_size=4, progress=False)
        return weakref.ref(objective)

    first = run()
    for _ in range(33):
        run()
    gc.collect()
    assert first() is None

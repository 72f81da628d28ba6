"""The training state: decided by the seed, made of copies, with dtypes that hold."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from laminax import nn, optim, train
from laminax.train._state import copied, part_key

from .broken_runs import bits

MODEL = nn.serial(nn.dense(4), nn.tanh, nn.dropout(0.5), nn.dense(1))
OBJECTIVE = train.supervised(MODEL, nn.losses.squared_error)
OPTIMIZER = optim.chain(optim.adam(0.1), optim.ema(0.9))
DATA = np.ones((6, 3), np.float32), np.ones((6, 1), np.float32)


def test_parameters_are_those_of_the_model_at_the_seed():
    state = train.init(OBJECTIVE, OPTIMIZER, DATA, seed=3)
    expected = jax.jit(MODEL.init)(jax.random.key(3), DATA[0])
    assert bits(state.variables) == bits(expected)
    assert int(state.step) == 0
    assert bits(state.key) == bits(jax.random.key(3))


def test_the_same_seed_gives_the_same_state_and_another_another():
    first, again, other = (train.init(OBJECTIVE, OPTIMIZER, DATA, seed=seed) for seed in (0, 0, 1))
    assert bits(first) == bits(again)
    assert not np.allclose(first.params["dense_0"]["w"], other.params["dense_0"]["w"])


def test_of_the_data_only_shapes_are_read():
    spec = jax.eval_shape(lambda data: data, DATA)
    assert bits(train.init(OBJECTIVE, OPTIMIZER, spec)) == bits(
        train.init(OBJECTIVE, OPTIMIZER, DATA)
    )


def test_given_variables_are_started_from_and_copied():
    variables = MODEL.init(jax.random.key(9), jnp.asarray(DATA[0]))
    state = train.init(OBJECTIVE, OPTIMIZER, DATA, variables=variables)
    assert bits(state.params) == bits(variables.params)
    jax.tree.map(lambda leaf: leaf.delete(), state)
    assert np.isfinite(MODEL(variables, DATA[0])).all()


def test_no_leaf_is_weak_or_shares_its_buffer_with_another():
    state = train.init(OBJECTIVE, OPTIMIZER, DATA, variables=nn.Variables({"w": 2.0}, {}))
    assert not any(leaf.weak_type for leaf in jax.tree.leaves(state._replace(key=None)))
    state = train.init(OBJECTIVE, OPTIMIZER, DATA)
    leaves = [leaf for leaf in jax.tree.leaves(state._replace(key=None)) if leaf.size]
    assert len({leaf.unsafe_buffer_pointer() for leaf in leaves}) == len(leaves)


def test_copies_outlive_what_was_copied():
    tree = {"w": jnp.arange(3.0), "key": jax.random.key(1), "count": jnp.int32(4)}
    before, copy = bits(tree), copied(tree)
    jax.tree.map(lambda leaf: leaf.delete(), tree)
    assert bits(copy) == before


def test_variables_are_the_average_where_the_optimizer_keeps_one():
    state = train.init(OBJECTIVE, OPTIMIZER, DATA)
    average = jax.tree.map(lambda w: w + 1, state.params)
    averages = lambda node: isinstance(node, optim.AverageState)  # noqa: E731
    opt_state = jax.tree.map(
        lambda node: node._replace(average=average) if averages(node) else node,
        state.opt_state,
        is_leaf=averages,
    )
    assert bits(state._replace(opt_state=opt_state).variables.params) == bits(average)
    plain = train.init(OBJECTIVE, optax.sgd(0.1), DATA)
    assert bits(plain.variables.params) == bits(plain.params)


def test_purposes_have_keys_of_their_own():
    key = jax.random.key(0)
    folded = {bytes(bits(k)[0]) for k in (key, part_key(key, "data"), part_key(key, "step"))}
    assert len(folded) == 3


def test_float64_under_x64():
    with jax.enable_x64(True):
        state = train.init(OBJECTIVE, OPTIMIZER, jax.tree.map(np.float64, DATA))
    dtypes = {leaf.dtype for leaf in jax.tree.leaves(state.params)}
    assert dtypes == {jnp.dtype("float64")}
    assert state.step.dtype == jnp.int32


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, True, "zero"])
def test_a_seed_that_is_none_is_refused(seed):
    with pytest.raises(ValueError, match=r"init: seed must be an integer in \[0, 2³²\), got"):
        train.init(OBJECTIVE, OPTIMIZER, DATA, seed=seed)

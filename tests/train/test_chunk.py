"""Many steps as one program: what is computed does not depend on where it is cut."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from laminax import nn, optim, train
from laminax.train._chunk import LONGEST, Program, chunk
from laminax.train._feed import Examples, Shuffled

from .broken_runs import bits

RANDOM = np.random.default_rng(0)
DATA = (
    RANDOM.normal(size=(20, 3)).astype(np.float32),
    RANDOM.normal(size=(20, 1)).astype(np.float32),
)
# All that could tell where a chunk ended: statistics, noise, moments, an average, a schedule.
MODEL = nn.serial(nn.dense(4), nn.batch_norm(), nn.tanh, nn.dropout(0.5), nn.dense(1))
OBJECTIVE = train.supervised(
    MODEL, nn.losses.squared_error, metrics={"bias": lambda y_hat, y: (y_hat - y)[:, 0]}
)
OPTIMIZER = optim.chain(optim.adam(optim.cosine(0.1, 30)), optim.ema(0.9))
PROGRAM = Program(OBJECTIVE, OPTIMIZER, Shuffled(6))


def run(cuts):
    state, rows = train.init(OBJECTIVE, OPTIMIZER, DATA), []
    for n in cuts:
        state, sums = chunk(PROGRAM, state, Examples(DATA), np.int32(n))
        rows.append(jax.tree.map(lambda a, n=n: np.asarray(a)[:n], sums))
    return state, jax.tree.map(lambda *parts: np.concatenate(parts), *rows)


def test_results_do_not_depend_on_the_cuts_and_one_compile_serves_all(compiles):
    whole, rows = run([23])
    for cuts in ([1] * 23, [7, 7, 7, 2], [0, 22, 0, 1]):
        state, cut_rows = run(cuts)
        assert bits(state) == bits(whole)
        assert bits(cut_rows) == bits(rows)
    assert compiles.count("jit(chunk)") == 1
    assert int(whole.step) == 23


def test_a_chunk_equals_steps_over_the_stream():
    state, rows = run([5])
    expected, sums = train.init(OBJECTIVE, OPTIMIZER, DATA), []
    step = jax.jit(train.step(OBJECTIVE, OPTIMIZER))
    for i in range(5):
        order = train.data.index(expected.data_key, i, 6, 20)
        expected, metrics = step(expected, tuple(a[np.asarray(order)] for a in DATA))
        sums.append(metrics)
    for name, (total, count) in rows.items():
        np.testing.assert_allclose(total / count, [row[name] for row in sums], rtol=1e-5)
    for a, b in zip(jax.tree.leaves(state.params), jax.tree.leaves(expected.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_a_whole_fit_compiles_its_steps_once_and_the_next_fit_nothing(compiles):
    model = nn.dense(1)
    objective = train.supervised(model, nn.losses.squared_error)
    optimizer = optim.momentum(0.01)
    options = {"batch_size": 6, "progress": False}
    result = train.fit(objective, optimizer, DATA, epochs=7, **options)
    assert compiles.count("jit(chunk)") == 1
    train.fit(objective, optimizer, DATA, epochs=3, seed=1, **options)
    train.fit(objective, optimizer, DATA, epochs=3, state=result.state, **options)
    train.fit(objective, optimizer, jax.device_put(DATA), epochs=1, **options)
    assert compiles.count("jit(chunk)") == 1


def test_a_chunk_holds_no_more_than_its_buffer():
    objective = train.supervised(nn.dense(1), nn.losses.squared_error)
    state = train.init(objective, optim.sgd(0.01), DATA)
    program = Program(objective, optim.sgd(0.01), Shuffled(6))
    state, sums = chunk(program, state, Examples(DATA), np.int32(LONGEST))
    total, count = sums["loss"]
    assert total.shape == (LONGEST,)
    assert int(state.step) == LONGEST
    assert np.all(np.asarray(count) == 6)


def unstable(after):
    """Objective whose loss hands back `after(state)`."""

    def loss(params, state, batch, ctx):
        return jnp.square(params - batch), train.Aux(after(state), {})

    def init(key, batch):
        return nn.Variables(jnp.zeros(()), {"mean": jnp.zeros(3)})

    return train.Objective(init, loss)


@pytest.mark.parametrize(
    "after, words",
    [
        (lambda s: {}, "step: changes the structure of the training state.*mean.*same entries"),
        (lambda s: {**s, "more": s["mean"]}, "step: changes the structure.*more.*same entries"),
        (
            lambda s: {"mean": s["mean"].astype(jnp.bfloat16)},
            r"step: changes state/mean from float32\[3\] to bfloat16\[3\]; cast it back",
        ),
        (lambda s: {"mean": s["mean"][:2]}, r"state/mean from float32\[3\] to float32\[2\]"),
    ],
)
def test_a_state_that_does_not_hold_its_form_is_refused(after, words):
    with pytest.raises(TypeError, match=words):
        train.fit(unstable(after), optim.sgd(0.1), np.arange(8.0), batch_size=4, progress=False)


def test_an_optimizer_that_does_not_hold_its_form_is_refused():
    def update(updates, state, params=None):
        return updates, state.astype(jnp.bfloat16)

    optimizer = optax.GradientTransformation(lambda params: jnp.zeros(()), update)
    with pytest.raises(TypeError, match=r"changes opt_state from float32\[\] to bfloat16\[\]"):
        train.fit(unstable(lambda s: s), optimizer, np.arange(8.0), batch_size=4, progress=False)

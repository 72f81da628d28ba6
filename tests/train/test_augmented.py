import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn, optim, train
from laminax.nn import Context

X = np.arange(8, dtype=np.float32)[:, None]
DATA = X, 2 * X


def noisy(key, batch):
    x, y = batch
    return x + jax.random.uniform(key, x.shape), y


def seen(augment=noisy):
    """An objective that tells the inputs it sees."""

    def loss(params, state, batch, ctx):
        x, _ = batch
        return x[:, 0] * params, train.Aux(state, {"x": x[:, 0]})

    return train.augmented(
        train.Objective(lambda key, batch: nn.Variables(jnp.ones(()), {}), loss), augment
    )


def inputs(ctx, objective=None):
    return np.asarray((objective or seen()).loss(jnp.ones(()), {}, DATA, ctx)[1].metrics["x"])


def training(seed):
    return Context(jax.random.key(seed), train=True)


def test_evaluation_sees_the_batch_as_it_is():
    for ctx in (Context(), Context(jax.random.key(0))):
        np.testing.assert_array_equal(inputs(ctx), X[:, 0])


def test_training_sees_it_changed_by_a_key_of_its_own():
    first, again, other = (inputs(training(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != X[:, 0]).all() and (first != other).all()
    raw = np.asarray(noisy(jax.random.key(0), DATA)[0][:, 0])
    assert (first != raw).all()  # the layers' own keys come from the context's


def test_every_step_draws_anew_and_a_resumed_run_alike():
    objective, optimizer = seen(), optim.sgd(1e-3)
    step = jax.jit(train.step(objective, optimizer))
    state = train.init(objective, optimizer, DATA)
    means, states = [], []
    for _ in range(3):
        states.append(state)
        state, metrics = step(state, DATA)
        means.append(metrics["x"].item())
    assert len(set(means)) == 3 and all(3.5 < mean < 4.5 for mean in means)
    assert step(states[1], DATA)[1]["x"].item() == means[1]


def test_the_layers_draw_what_they_drew_without():
    model = nn.serial(nn.dropout(0.5), nn.dense(1))
    objective = train.supervised(model, nn.losses.squared_error)
    params, state = objective.init(jax.random.key(0), DATA)
    same = train.augmented(objective, lambda key, batch: batch)
    expected = objective.loss(params, state, DATA, training(3))[0]
    np.testing.assert_array_equal(same.loss(params, state, DATA, training(3))[0], expected)


def test_init_and_check_are_the_objectives():
    objective = train.supervised(nn.dense(3), nn.losses.cross_entropy)
    same = train.augmented(objective, noisy)
    assert same.init is objective.init and same.check is objective.check


def test_the_labels_trained_on_are_those_of_the_augmentation():
    """Half of each class, whatever the data say: log 2 is then the least loss on the data."""
    x = np.eye(2, dtype=np.float32)[np.arange(64) % 2]
    data = x, jnp.asarray(x)
    objective = train.supervised(nn.dense(2), nn.losses.cross_entropy)
    halves = train.augmented(objective, lambda key, batch: (batch[0], 0 * batch[1] + 0.5))
    options = {"epochs": 200, "batch_size": 64, "progress": False}
    of = lambda result: train.evaluate(objective, result.variables, data)["loss"]  # noqa: E731
    assert of(train.fit(objective, optim.adam(0.1), data, **options)) < 0.05
    loss = of(train.fit(halves, optim.adam(0.1), data, **options))
    np.testing.assert_allclose(loss, np.log(2), rtol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((nn.dense(1), noisy), "augmented: objective: expected Objective, got Layer"),
        ((seen(), 3), "augmented: augment: expected a function of a key and a batch, got int"),
    ],
)
def test_misuse(arguments, words):
    with pytest.raises(TypeError, match=words):
        train.augmented(*arguments)


def test_training_without_a_key():
    with pytest.raises(ValueError, match="augmented: needs a random key in training"):
        inputs(Context(train=True))


def test_an_augmentation_that_loses_examples():
    shorter = seen(lambda key, batch: jax.tree.map(lambda a: a[:3], batch))
    with pytest.raises(ValueError, match="augmented: augment made 3 examples of 8"):
        inputs(training(0), shorter)

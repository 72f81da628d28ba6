"""Several tasks of one model are one objective: the weighted sum of their losses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn, optim, train

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(40, 5)).astype(np.float32)
LABELS = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
SLANTS = (X[:, 2:3] - X[:, 3:4]).astype(np.float32)
MODEL = nn.serial(nn.dense(8), nn.tanh, nn.parallel(kind=nn.dense(3), slant=nn.dense(1)))
LOSSES = {"kind": nn.losses.cross_entropy, "slant": nn.losses.squared_error}
METRICS = {"kind": {"accuracy": nn.metrics.accuracy}}


def objective(**options):
    return train.multitask(MODEL, LOSSES, **options)


def by_name(params, state, x, ctx=None):
    kind, slant = MODEL.apply(params, state, x, ctx)[0]
    return {"slant": slant, "kind": kind}, state


@pytest.mark.parametrize("weight", [1.0, 0.25])
def test_value_and_gradient_are_those_of_the_weighted_sum(weight):
    made = objective(weights={"slant": weight})
    batch = X, (LABELS, SLANTS)
    params, state = made.init(jax.random.key(0), batch)

    def by_hand(params):
        kind, slant = MODEL.apply(params, state, X, nn.Context())[0]
        logs = jax.nn.log_softmax(kind)[np.arange(len(X)), LABELS]
        return -logs + weight * jnp.square(slant - SLANTS)[:, 0]

    def ours(params):
        return made.loss(params, state, batch, nn.Context())[0]

    np.testing.assert_allclose(ours(params), by_hand(params), rtol=1e-5)
    gradients = [jax.grad(lambda p, f=f: f(p).sum())(params) for f in (ours, by_hand)]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), *gradients)


def test_each_task_is_reported_before_its_weight():
    made = objective(weights={"slant": 0.1}, metrics=METRICS)
    batch = X, (LABELS, SLANTS)
    variables = made.init(jax.random.key(0), batch)
    scores = train.evaluate(made, variables, batch)
    assert set(scores) == {"loss", "loss kind", "loss slant", "accuracy kind"}
    assert scores["loss"] == pytest.approx(scores["loss kind"] + 0.1 * scores["loss slant"])
    kind, slant = MODEL(variables, X)
    assert scores["loss slant"] == pytest.approx(np.square(slant - SLANTS).mean(), rel=1e-5)
    right = np.mean(np.argmax(np.asarray(kind), -1) == LABELS)
    assert scores["accuracy kind"] == pytest.approx(right)


def test_outputs_and_targets_may_go_by_name():
    """In whatever order the dicts are."""
    named = train.multitask(nn.Layer(MODEL.init, by_name, "named"), LOSSES)
    variables = named.init(jax.random.key(0), (X, {"slant": SLANTS, "kind": LABELS}))
    one = train.evaluate(named, variables, (X, {"slant": SLANTS, "kind": LABELS}))
    assert one == pytest.approx(train.evaluate(objective(), variables, (X, (LABELS, SLANTS))))


def test_all_tasks_are_learned():
    result = train.fit(
        objective(metrics=METRICS), optim.adam(1e-2), (X, (LABELS, SLANTS)), epochs=150,
        batch_size=40, progress=False,
    )  # fmt: skip
    assert result.history["accuracy kind"][-1] >= 0.95
    assert result.history["loss slant"][-1] < 0.05 * result.history["loss slant"][0]


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: train.multitask(MODEL, [1]), TypeError, "losses: expected Mapping, got list"),
        (lambda: train.multitask(MODEL, {}), ValueError, "losses is empty; give at least one task"),
        (lambda: train.multitask(MODEL, {"kind": 1}), TypeError, "the loss of 'kind': expected"),
        (
            lambda: objective(weights={"king": 1}),
            ValueError,
            "weights of 'king', but the tasks are",
        ),
        (lambda: objective(metrics={"king": {}}), ValueError, "metrics of 'king', but the tasks"),
        (
            lambda: objective(metrics={"kind": {"loss": nn.metrics.accuracy}}),
            ValueError,
            "'loss' is the name of the loss of 'kind' itself; rename the metric",
        ),
    ],
    ids=["list", "empty", "number", "weights", "metrics", "name"],
)
def test_bad_arguments_say_what_is_wrong(make, error, words):
    with pytest.raises(error, match=f"multitask: {words}"):
        make()


@pytest.mark.parametrize(
    "y, words",
    [
        ((LABELS, SLANTS, SLANTS), "y must be a tuple of 2, .*'kind', 'slant', got a tuple of 3"),
        (LABELS, "y must be a tuple of 2, .* got one array"),
        ({"kind": LABELS, "x": SLANTS}, "y must be .* got a dict of 'kind', 'x'"),
        ((LABELS + 1, SLANTS), r"labels: must lie in \[0, 3\), got 3"),
    ],
    ids=["three", "one", "names", "labels"],
)
def test_data_that_do_not_fit_are_refused_before_any_compile(y, words, compiles):
    with pytest.raises(ValueError, match=words):
        train.fit(objective(), optim.sgd(0.1), (X, y), batch_size=8, progress=False)
    assert compiles == []


def test_a_loss_that_is_no_number_an_example_is_refused():
    masked = {**LOSSES, "slant": lambda y_hat, y: (y_hat[:, 0], y[:, 0])}
    with pytest.raises(ValueError, match="the loss of 'slant': must be one number an example, got"):
        made = train.multitask(MODEL, masked)
        train.evaluate(
            made, made.init(jax.random.key(0), (X, (LABELS, SLANTS))), (X, (LABELS, SLANTS))
        )

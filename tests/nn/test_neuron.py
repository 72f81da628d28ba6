"""The first neurons: truth tables by enumeration, rules against plain loops, Novikoff's bound."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

NOTHING = nn.Variables({}, {})
TABLE = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
XOR = np.array([[0], [1], [1], [0]], np.float32)


def truth_table(n):
    return np.array(list(itertools.product([0, 1], repeat=n)), np.float32)


def zero(inputs, outputs=1):
    return {"dense_0": {"w": jnp.zeros((inputs, outputs)), "b": jnp.zeros(outputs)}}


def weights(params):
    return np.asarray(params["dense_0"]["w"]), np.asarray(params["dense_0"]["b"])


@pytest.mark.parametrize("n", [2, 3, 4, 5])
@pytest.mark.parametrize("kind", [np.float32, np.int32, bool])
def test_mcculloch_pitts_is_and_or_and_every_count(n, kind):
    x = truth_table(n)
    for threshold in range(n + 2):
        y = nn.mcculloch_pitts(threshold)(NOTHING, x.astype(kind))
        assert y.dtype == kind and y.shape == (2**n, 1)
        np.testing.assert_array_equal(y[:, 0], [sum(row) >= threshold for row in x])
    np.testing.assert_array_equal(nn.mcculloch_pitts(n)(NOTHING, x)[:, 0], x.all(1))  # AND
    np.testing.assert_array_equal(nn.mcculloch_pitts(1)(NOTHING, x)[:, 0], x.any(1))  # OR


@pytest.mark.parametrize("n", [2, 3, 4])
def test_an_inhibitory_input_is_a_veto_and_never_counts(n):
    x = truth_table(n)
    for size in range(1, n + 1):
        for inhibitory in itertools.combinations(range(n), size):
            others = [i for i in range(n) if i not in inhibitory]
            for threshold in range(n):
                y = nn.mcculloch_pitts(threshold, inhibitory=inhibitory)(NOTHING, x)
                wanted = ~x[:, inhibitory].any(1) & (x[:, others].sum(1) >= threshold)
                np.testing.assert_array_equal(y[:, 0], wanted)
    no = nn.mcculloch_pitts(0, inhibitory=(0,))(NOTHING, np.array([[0.0], [1.0]]))
    assert no.tolist() == [[1.0], [0.0]]


def test_no_threshold_is_xor_but_units_in_two_layers_are():
    assert not any(
        (nn.mcculloch_pitts(t, inhibitory=i)(NOTHING, TABLE) == XOR).all()
        for t in range(4)
        for i in [(), (0,), (1,), (0, 1)]
    )
    either = [nn.mcculloch_pitts(1, inhibitory=(i,))(NOTHING, TABLE) for i in (0, 1)]
    both = jnp.concatenate(either, -1)
    np.testing.assert_array_equal(nn.mcculloch_pitts(1)(NOTHING, both), XOR)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.mcculloch_pitts(1.5), TypeError, "threshold must be an integer, got 1.5"),
        (
            lambda: nn.mcculloch_pitts(1, inhibitory=(2,))(NOTHING, TABLE),
            ValueError,
            r"inhibitory must be indices in \[0, 2\), got \(2,\)",
        ),
        (
            lambda: nn.mcculloch_pitts(1, inhibitory=(-1,))(NOTHING, TABLE),
            ValueError,
            "inhibitory must be indices",
        ),
        (lambda: nn.perceptron(0), ValueError, "perceptron: features must be an integer of at le"),
        (lambda: nn.adaline(0), ValueError, "adaline: features must be an integer of at least 1"),
        (
            lambda: nn.perceptron_rule(zero(2), TABLE, XOR[:, 0]),
            ValueError,
            r"y must be \(batch, outputs\) with batch 4, got float32\[4\]; .*y\[:, None\]",
        ),
        (
            lambda: nn.perceptron_rule(zero(3), TABLE, XOR),
            ValueError,
            r"w has shape \(3, 1\), but x has 2 inputs and y 1 outputs",
        ),
        (
            lambda: nn.adaline_rule({"w": 0}, TABLE, XOR),
            ValueError,
            "params must be those of one dense layer",
        ),
        (
            lambda: nn.adaline_rule(zero(2), TABLE, XOR, -0.1),
            ValueError,
            "rate must be a number of at least 0, got -0.1",
        ),
        (
            lambda: nn.perceptron_fit(TABLE[:0], XOR[:0]),
            ValueError,
            "of at least one example, got float32",
        ),
        (
            lambda: nn.perceptron_fit(TABLE, 2 * XOR - 1),
            ValueError,
            "y must hold zeros and ones",
        ),
        (
            lambda: nn.perceptron_fit(TABLE, XOR, epochs=0),
            ValueError,
            "perceptron_fit: epochs must be an integer of at least 1, got 0",
        ),
    ],
)
def test_arguments_are_checked(make, error, message):
    with pytest.raises(error, match=message):
        make()


def loop(x, y, w, b, error):
    """Present each example in turn; return the weights and how many changed them."""
    w, b, wrong = w.astype(np.float64), b.astype(np.float64), 0
    for xi, ti in zip(x.astype(np.float64), y.astype(np.float64), strict=True):
        e = error(xi @ w + b, ti)
        w, b, wrong = w + np.outer(xi, e), b + e, wrong + np.count_nonzero(e)
    return w, b, wrong


def test_perceptron_rule_is_the_loop_over_examples():
    random = np.random.default_rng(0)
    x = random.normal(size=(20, 3)).astype(np.float32)
    y = random.integers(0, 2, (20, 2)).astype(np.float32)
    start = random.normal(size=(3, 2)).astype(np.float32), random.normal(size=2).astype(np.float32)
    params = nn.perceptron_rule({"dense_0": {"w": start[0], "b": start[1]}}, x, y)
    w, b, wrong = loop(x, y, *start, lambda s, t: t - (s >= 0))
    assert wrong > 5
    for ours, reference in zip(weights(params), (w, b), strict=True):
        np.testing.assert_allclose(ours, reference, rtol=1e-5, atol=1e-5)


def test_adaline_rule_descends_the_squared_error_of_each_example():
    random = np.random.default_rng(1)
    x = random.normal(size=(15, 3)).astype(np.float32)
    y = np.sign(random.normal(size=(15, 2))).astype(np.float32)
    params = nn.adaline_rule(zero(3, 2), x, y, 0.05)
    expected = zero(3, 2)
    for i in range(len(x)):

        def half_square(p, i=i):
            s = nn.linear_regression(2)(nn.Variables(p, {}), x[i : i + 1])
            return 0.5 * nn.losses.squared_error(s, y[i : i + 1]).sum()

        expected = jax.tree.map(
            lambda p, g: p - 0.05 * g, expected, jax.grad(half_square)(expected)
        )
    for ours, reference in zip(weights(params), weights(expected), strict=True):
        np.testing.assert_allclose(ours, reference, rtol=1e-5, atol=1e-6)
    w, b, _ = loop(x, y, np.zeros((3, 2)), np.zeros(2), lambda s, t: 0.05 * (t - s))
    for ours, reference in zip(weights(params), (w, b), strict=True):
        np.testing.assert_allclose(ours, reference, rtol=1e-5, atol=1e-6)


def test_adaline_approaches_least_squares_and_separates():
    random = np.random.default_rng(2)
    x = random.normal(size=(40, 2)).astype(np.float32)
    y = np.where(x @ [[2.0], [-1.0]] + 0.3 >= 0, 1, -1).astype(np.float32)

    @jax.jit
    def train(params):
        return jax.lax.scan(
            lambda p, _: (nn.adaline_rule(p, x, y, 0.002), None), params, length=500
        )[0]

    params = train(zero(2))
    closed = nn.least_squares(x, y).params
    for ours, reference in zip(weights(params), weights(closed), strict=True):
        np.testing.assert_allclose(ours, reference, atol=5e-3)
    right = nn.adaline()(nn.Variables(params, {}), x) == y
    assert right.mean() > 0.9
    at_zero = nn.adaline()(nn.Variables(zero(2), {}), x)
    assert (at_zero == 1).all()  # never 0


@pytest.mark.parametrize("n", [2, 3, 4, 5])
@pytest.mark.parametrize("gate", [np.all, np.any])
def test_perceptron_learns_and_and_or(n, gate):
    x = truth_table(n)
    y = gate(x, 1)[:, None]
    variables, mistakes = nn.perceptron_fit(x, y, epochs=200)
    np.testing.assert_array_equal(nn.perceptron()(variables, x), y)
    assert mistakes.shape == (200,) and mistakes[-1] == 0 and mistakes[0] > 0


@pytest.mark.parametrize(("seed", "least"), [(1, 0.1), (5, 0.1), (0, 0.02), (36, 0.02)])
def test_mistakes_stay_within_novikoffs_bound(seed, least):
    """The margin of a known separating plane bounds the best one's from below."""
    random = np.random.default_rng(seed)
    plane = random.normal(size=4)
    plane /= np.linalg.norm(plane)
    x = random.normal(size=(300, 3))
    extended = np.column_stack([x, np.ones(300)])
    kept = np.abs(extended @ plane) > least
    x, extended = x[kept].astype(np.float32), extended[kept]
    y = (extended @ plane > 0).astype(np.float32)[:, None]
    margin, radius = np.abs(extended @ plane).min(), np.linalg.norm(extended, axis=1).max()
    variables, mistakes = nn.perceptron_fit(x, y, epochs=1000)
    np.testing.assert_array_equal(nn.perceptron()(variables, x), y)
    assert mistakes[-1] == 0
    assert 10 < int(mistakes.sum()) <= (radius / margin) ** 2
    w, b, passes = np.zeros((3, 1)), np.zeros(1), [1]
    while passes[-1]:
        w, b, wrong = loop(x, y, w, b, lambda s, t: t - (s >= 0))
        passes.append(wrong)
    assert mistakes.tolist()[: len(passes)] == [*passes[1:], 0]


def test_perceptron_never_learns_xor():
    variables, mistakes = nn.perceptron_fit(TABLE, XOR, epochs=500)
    assert (mistakes > 0).all()
    assert (nn.perceptron()(variables, TABLE) != XOR).any()
    params, rule = variables.params, jax.jit(nn.perceptron_rule)
    seen = set()
    for _ in range(50):  # the weights stay bounded: they come round
        params = rule(params, TABLE, XOR)
        seen.add(str(weights(params)))
    assert len(seen) < 10


def test_fitting_again_compiles_nothing(compiles):
    nn.perceptron_fit(TABLE, XOR, epochs=7)
    compiles.clear()
    nn.perceptron_fit(1 - TABLE, XOR, epochs=7)
    assert compiles == []


def test_xor_net_is_exact():
    model, variables = nn.xor_net(), nn.xor_solution()
    np.testing.assert_array_equal(model(variables, TABLE), XOR)
    h = np.maximum(TABLE @ np.ones((2, 2)) + [0, -1], 0)
    np.testing.assert_array_equal(h, [[0, 0], [1, 0], [1, 0], [2, 1]])
    drawn = model.init(jax.random.key(0), TABLE)
    assert jax.tree.structure(drawn) == jax.tree.structure(variables)
    assert jax.tree.map(jnp.shape, drawn) == jax.tree.map(jnp.shape, variables)


def test_a_trained_2_2_1_net_finds_xor_from_95_of_100_seeds():
    """Inputs and targets -1 and 1, tanh, squared error, small first weights; all seeds at once."""
    x, t = 2 * TABLE - 1, 2 * XOR - 1
    model = nn.mlp(2, 1, activation=nn.tanh)

    def train(key):
        params = jax.tree.map(lambda p: 0.2 * p, model.init(key, x).params)

        def loss(params):
            return nn.losses.squared_error(model(nn.Variables(params, {}), x), t).mean()

        def descend(params, _):
            gradient = jax.grad(loss)(params)
            return jax.tree.map(lambda p, g: p - 0.3 * g, params, gradient), None

        params, _ = jax.lax.scan(descend, params, length=2000)
        return (jnp.sign(model(nn.Variables(params, {}), x)) == t).all()

    found = jax.jit(jax.vmap(train))(jax.random.split(jax.random.key(0), 100))
    assert found.sum() >= 95

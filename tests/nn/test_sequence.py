"""Models of text and series: pooling over real steps, the tied language model, forecasts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

X = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)
MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 1, 0, 1, 0], [0, 0, 0, 0, 0]], bool)
POOLS = {
    "last_step": (nn.last_step(), lambda steps: steps[-1]),
    "mean_over_time": (nn.mean_over_time(), lambda steps: steps.mean(0)),
    "max_over_time": (nn.max_over_time(), lambda steps: steps.max(0)),
}
pools = pytest.mark.parametrize(("layer", "reference"), POOLS.values(), ids=POOLS)
NONE = nn.Variables({}, {})


@pools
def test_pooling_reads_the_real_steps_alone(layer, reference):
    y = layer(NONE, X, mask=jnp.asarray(MASK))
    for i in range(3):
        np.testing.assert_allclose(y[i], reference(X[i][MASK[i]]), rtol=1e-6)
    np.testing.assert_array_equal(y[3], 0)
    np.testing.assert_allclose(layer(NONE, X)[3], reference(X[3]), rtol=1e-6)


@pools
def test_the_gradient_reaches_no_padding_and_is_finite(layer, reference):
    at = jnp.where(jnp.asarray(MASK)[..., None], X, jnp.inf)
    gradient = jax.grad(lambda x: layer(NONE, x, mask=jnp.asarray(MASK)).sum())(at)
    np.testing.assert_array_equal(gradient[~MASK], 0)
    np.testing.assert_allclose(gradient.sum((1, 2)), [3, 3, 3, 0], rtol=1e-6)


def test_the_mean_is_summed_in_float32():
    x = jnp.ones((1, 4096, 1), jnp.bfloat16)
    y = nn.mean_over_time()(NONE, x)
    assert y.dtype == jnp.bfloat16 and y.item() == 1


@pools
def test_pooling_keeps_further_axes_and_needs_one_of_time(layer, reference):
    x = X[..., None] * np.ones(2, np.float32)
    y = layer(NONE, x, lengths=jnp.array([5, 2, 3, 1]))
    assert y.shape == (4, 3, 2)
    np.testing.assert_allclose(y[1, :, 1], reference(X[1, :2]), rtol=1e-6)
    with pytest.raises(ValueError, match=r"x must have at least 2 axes"):
        layer(NONE, X[0, 0])


def test_a_classifier_in_both_directions_reads_no_padding():
    model = nn.serial(
        nn.embedding(9, 4), nn.bidirectional(nn.gru(3)), nn.max_over_time(), nn.dense(2)
    )
    tokens = np.array([[3, 1, 4, 1], [5, 2, 0, 0]])
    variables = model.init(jax.random.key(0), tokens)
    usual = model(variables, tokens, lengths=jnp.array([4, 2]))
    np.testing.assert_allclose(usual[1:], model(variables, tokens[1:, :2]), atol=1e-6)
    assert jnp.abs(usual - model(variables, tokens))[1].max() > 1e-4


def test_the_language_model_reads_its_table_twice():
    model = nn.language_model(7, nn.lstm(4), nn.gru(3), features=2)
    tokens = np.array([[1, 5, 0, 2]])
    variables = model.init(jax.random.key(0), tokens)
    shapes = jax.tree.map(jnp.shape, variables.params)
    assert shapes["embed"] == {"table": (7, 2)}
    assert shapes["projection"] == {"w": (3, 2), "b": (2,)}
    assert set(shapes["cells"]) == {"lstm_0", "gru_0"} and len(shapes) == 3
    params = {**variables.params, "projection": {"w": jnp.ones((3, 2)), "b": jnp.ones(2)}}
    variables = nn.Variables(params, {})
    table = np.asarray(params["embed"]["table"])
    cells = jax.jit(nn.serial(nn.lstm(4), nn.gru(3)))
    h = np.asarray(cells(nn.Variables(params["cells"], {}), table[tokens] * np.float32(2**0.5)))
    projected = h @ np.asarray(params["projection"]["w"]) + np.asarray(params["projection"]["b"])
    np.testing.assert_allclose(
        jax.jit(model)(variables, tokens), projected @ table.T, rtol=1e-5, atol=1e-6
    )


def test_the_language_model_is_continued_by_decoding():
    model = nn.language_model(7, nn.gru(3), features=2)
    prompt = jnp.array([[1, 5], [0, 6]])
    variables = model.init(jax.random.key(0), prompt)
    made = nn.decoding.generate(model, variables, prompt, 3).tokens
    np.testing.assert_array_equal(model(variables, made[:, :-1]).argmax(-1)[:, 1:], made[:, 2:])


@pytest.mark.parametrize("steps", [1, 4])
def test_a_forecast_is_the_model_s_own_continuation(steps):
    model = nn.serial(nn.lstm(4), nn.simple_rnn(3), nn.dense(3))
    variables = model.init(jax.random.key(0), X)
    series = X
    for _ in range(steps):
        y = jax.jit(model)(variables, series)[:, -1:]
        series = jnp.concatenate([series, y], 1)
    found = nn.forecast(model, variables, X, steps)
    np.testing.assert_allclose(found, series[:, 5:], rtol=1e-5, atol=1e-6)


def test_a_causal_transformer_forecasts_with_its_cache():
    model = nn.serial(nn.dense(4), nn.attention(2, causal=True), nn.dense(3))
    variables = model.init(jax.random.key(0), X)
    first = model(variables, X)[:, -1:]
    second = model(variables, jnp.concatenate([X, first], 1))[:, -1:]
    found = nn.forecast(model, variables, X, 2)
    np.testing.assert_allclose(found, jnp.concatenate([first, second], 1), rtol=1e-4, atol=1e-5)


def test_what_cannot_be_forecast_is_said():
    model = nn.serial(nn.gru(3))
    variables = model.init(jax.random.key(0), X)
    with pytest.raises(ValueError, match="forecast: steps must be"):
        nn.forecast(model, variables, X, 0)
    with pytest.raises(ValueError, match=r"forecast: series must be \(batch, time, features\)"):
        nn.forecast(model, variables, X[0], 1)
    with pytest.raises(ValueError, match="forecast: bidirectional has no step"):
        nn.forecast(nn.bidirectional(nn.gru(3)), variables, X, 1)
    narrow = nn.gru(2)
    with pytest.raises(ValueError, match=r"maps float32\[4, 5, 3\] to float32\[4, 5, 2\]; to be"):
        nn.forecast(narrow, narrow.init(jax.random.key(0), X), X, 1)

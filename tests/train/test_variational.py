"""Objectives of variational autoencoders."""

import jax
import numpy as np
import pytest

from laminax import nn, optim, train

X = np.random.default_rng(0).integers(0, 2, (12, 5)).astype(np.float32)


def made():
    model = nn.vae(2, encoder=nn.mlp(8), decoder=nn.mlp(8, 5))
    return model, model.init(jax.random.key(1), X)


def test_the_loss_is_the_negative_elbo_of_the_context_s_draw():
    model, variables = made()
    nats, aux = train.variational(model, beta=2.0).loss(
        *variables, X, nn.Context(jax.random.key(3), train=True)
    )
    output, _ = model.apply(*variables, X, nn.Context(jax.random.key(3), train=True))
    expected = nn.losses.binary_cross_entropy(output.decoded, X)
    kl = nn.losses.gaussian_kl(output.mean, output.log_variance)
    np.testing.assert_allclose(nats, expected + 2 * kl, rtol=1e-6)
    np.testing.assert_allclose(aux.metrics["kl"], kl, rtol=1e-6)


def test_evaluation_draws_and_always_alike():
    model, variables = made()
    objective = train.variational(model)
    first, again = (train.evaluate(objective, variables, X) for _ in range(2))
    assert first == again
    at_mean = nn.variational.negative_elbo(model(variables, X), X)
    assert first["loss"] != pytest.approx(float(at_mean.mean()), rel=1e-4)


def test_the_importance_weighted_loss_is_minus_the_bound():
    model, variables = made()
    nats, aux = train.importance_weighted(model, 3).loss(
        *variables, X, nn.Context(jax.random.key(3), train=True)
    )
    key = jax.random.key(3)
    bound = nn.variational.importance_bound(model, variables, X, key, samples=3)
    np.testing.assert_allclose(nats, -bound, rtol=1e-6)
    assert aux.metrics == {}


def test_side_inputs_reach_both_halves_and_training_on_the_bound_reaches_the_entropy():
    labels = np.repeat(np.arange(3), 4)
    x = np.eye(3, 5, dtype=np.float32)[labels]  # the label tells x, so nothing is left to learn
    data = x, {"condition": np.eye(3, dtype=np.float32)[labels]}
    model = nn.vae(2, encoder=nn.conditioned(nn.mlp(8)), decoder=nn.conditioned(nn.dense(5)))
    objective = train.importance_weighted(model, 4)
    result = train.fit(objective, optim.adam(0.1), data, epochs=200, batch_size=12, progress=False)
    weighted = train.evaluate(objective, result.variables, data)["loss"]
    single = train.evaluate(train.variational(model), result.variables, data)["loss"]
    assert abs(weighted) < 0.1 and weighted < single < 0.3


def test_a_price_on_the_code_is_added():
    encoder = nn.serial(nn.dense(8), nn.l1_sparsity(1.0))
    model = nn.vae(2, encoder=encoder, decoder=nn.dense(5))
    params, state = model.init(jax.random.key(1), X)
    ctx = nn.Context(jax.random.key(3), train=True)
    nats, _ = train.variational(model).loss(params, state, X, ctx)
    output, state = model.apply(params, state, X, nn.Context(jax.random.key(3), train=True))
    price = state["encoder"]["features"]["l1_sparsity_0"]["aux_loss"]
    assert price > 0
    np.testing.assert_allclose(nats, nn.variational.negative_elbo(output, X) + price, rtol=1e-6)


@pytest.mark.parametrize("data", [(X, X), (X, {}, {})])
def test_data_that_are_no_x_raise(data):
    model, _ = made()
    with pytest.raises(TypeError, match=r"variational: data must be x or \(x, side\)"):
        train.init(train.variational(model), optim.sgd(0.1), data)


def test_bad_arguments_raise():
    with pytest.raises(TypeError, match=r"variational: model: expected Layer, got vae"):
        train.variational(nn.vae)
    with pytest.raises(ValueError, match="samples must be an integer of at least 1, got 0"):
        train.importance_weighted(made()[0], 0)

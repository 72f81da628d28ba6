"""Autoencoders: by NumPy, as trees, tied and untied, and what is asked of input and code."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn, optim, train

X = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)


def made(model, x=X):
    params, state = model.init(jax.random.key(0), x)
    shake = lambda p: p + 0.1 * np.cos(np.arange(p.size, dtype="f4")).reshape(p.shape)  # noqa: E731
    return nn.Variables(jax.tree.map(shake, params), state)


def affine(x, entry):
    return x @ np.asarray(entry["w"]) + np.asarray(entry["b"])


def test_deep_autoencoder_has_the_paper_s_sizes():
    model = nn.autoencoder(784, 1000, 500, 250, 30)
    x = jax.ShapeDtypeStruct((2, 784), "float32")
    params = jax.eval_shape(model.init, jax.random.key(0), x).params
    shapes = {n: [leaf["w"].shape for leaf in half.values()] for n, half in params.items()}
    assert shapes == {
        "encoder": [(784, 1000), (1000, 500), (500, 250), (250, 30)],
        "decoder": [(30, 250), (250, 500), (500, 1000), (1000, 784)],
    }
    weights = 784 * 1000 + 1000 * 500 + 500 * 250 + 250 * 30
    biases = 1000 + 500 + 250 + 30 + 250 + 500 + 1000 + 784
    assert nn.summary(model, x).total.parameters == 2 * weights + biases == 2_837_314


def test_autoencoder_by_numpy():
    model = nn.autoencoder(6, 4, 2, activation=nn.tanh)
    variables = made(model)
    encoder, decoder = variables.params["encoder"], variables.params["decoder"]
    z = affine(np.tanh(affine(X, encoder["dense_0"])), encoder["dense_1"])
    y = affine(np.tanh(affine(z, decoder["dense_0"])), decoder["dense_1"])
    np.testing.assert_allclose(model(variables, X), y, rtol=1e-5, atol=1e-6)
    alone = model.children["encoder"](nn.Variables(encoder, {}), X)
    np.testing.assert_allclose(alone, z, rtol=1e-5, atol=1e-6)


def test_tied_weights_are_one_leaf_read_twice():
    model, untied = (nn.autoencoder(6, 4, 2, activation=nn.tanh, tied=t) for t in (True, False))
    variables = made(model)
    encoder, biases = variables.params["encoder"], variables.params["decoder"]
    assert jax.tree.map(jnp.shape, biases) == {"dense_0": {"b": (4,)}, "dense_1": {"b": (6,)}}

    def decoder(encoder):
        weights = encoder["dense_1"]["w"].T, encoder["dense_0"]["w"].T
        return {f"dense_{i}": {"w": w, **biases[f"dense_{i}"]} for i, w in enumerate(weights)}

    def loss(encoder, decoder=None):
        tree = {"encoder": encoder, "decoder": biases if decoder is None else decoder}
        y = (model if decoder is None else untied)(nn.Variables(tree, {}), X)
        return jnp.square(y - X).sum()

    np.testing.assert_allclose(loss(encoder), loss(encoder, decoder(encoder)), rtol=1e-6)
    tied = jax.grad(loss)(encoder)
    once, again = jax.grad(loss, argnums=(0, 1))(encoder, decoder(encoder))
    for i, j in ((0, 1), (1, 0)):
        first, second = once[f"dense_{i}"]["w"], again[f"dense_{j}"]["w"].T
        assert jnp.abs(first).max() > 0.1 and jnp.abs(second).max() > 0.1
        got = tied[f"dense_{i}"]["w"]
        np.testing.assert_allclose(got, first + second, rtol=1e-4, atol=1e-4)


def test_a_tied_decoder_called_alone_takes_the_encoder():
    model = nn.autoencoder(6, 4, 2, tied=True)
    variables = made(model)
    parts = {name: nn.Variables(variables.params[name], {}) for name in model.children}
    z = model.children["encoder"](parts["encoder"], X)
    y = model.children["decoder"](parts["decoder"], z, encoder=parts["encoder"].params)
    np.testing.assert_allclose(y, model(variables, X), rtol=1e-6)
    with pytest.raises(ValueError, match="needs the encoder's parameters"):
        model.children["decoder"](parts["decoder"], z)


def test_the_layer_on_the_code_is_the_encoder_s_last():
    model = nn.autoencoder(6, 4, code=nn.k_sparse(1))
    variables = made(model)
    assert list(model.children["encoder"].children) == ["dense_0", "code"]
    z = model.children["encoder"](nn.Variables(variables.params["encoder"], {}), X)
    assert ((z != 0).sum(-1) == 1).all()
    more = nn.autoencoder(6, 4, code=nn.k_sparse(4))  # the same parameters, another k
    plain = nn.autoencoder(6, 4)
    np.testing.assert_array_equal(more(variables, X), plain(variables, X))


def test_a_linear_tied_autoencoder_finds_the_principal_subspace():
    random = np.random.default_rng(1)
    x = random.normal(size=(200, 6)) * np.array([5.0, 3.0, 1.0, 0.5, 0.3, 0.2])
    x = (x @ np.linalg.qr(random.normal(size=(6, 6)))[0]).astype(np.float32)
    model = nn.autoencoder(6, 2, tied=True)
    objective = train.supervised(model, nn.losses.squared_error)
    result = train.fit(
        objective, optim.adam(0.02), (x, x), epochs=60, batch_size=50, progress=False
    )
    error = train.evaluate(objective, result.variables, (x, x))["loss"]
    values = np.linalg.eigvalsh(np.cov(x.T, bias=True))
    assert error == pytest.approx(values[:-2].sum(), rel=0.02)


def test_masking_noise_loses_entries_in_training_alone():
    layer, x = nn.masking_noise(0.3), jnp.full((200, 100), 3.0)
    y, _ = layer.apply({}, {}, x, nn.Context(jax.random.key(7), train=True))
    assert set(np.unique(y)) == {0.0, 3.0}, "what is kept is not scaled"
    assert float((y == 0).mean()) == pytest.approx(0.3, abs=0.01)
    np.testing.assert_array_equal(layer(nn.Variables({}, {}), x), x)


def test_k_sparse_by_numpy_and_its_gradient():
    layer, k = nn.k_sparse(3), 3
    x = np.random.default_rng(2).normal(size=(4, 5, 8)).astype(np.float32)
    threshold = np.sort(x, -1)[..., -k, None]
    kept = x >= threshold

    def total(x):
        y = layer(nn.Variables({}, {}), x)
        return (y**2).sum(), y

    gradient, y = jax.grad(total, has_aux=True)(jnp.asarray(x))
    np.testing.assert_array_equal(y, np.where(kept, x, 0))
    np.testing.assert_allclose(gradient, np.where(kept, 2 * x, 0), rtol=1e-6)


def test_k_sparse_keeps_exactly_k_of_equal_entries():
    y = nn.k_sparse(2)(nn.Variables({}, {}), jnp.ones((3, 5), jnp.bfloat16))
    assert y.tolist() == [[1, 1, 0, 0, 0]] * 3


def price(layer, x):
    state = layer.init(jax.random.key(0), x).state
    y, state = layer.apply({}, state, x, nn.Context(train=True))
    assert y is x
    return state["aux_loss"]


def test_prices_of_activity_by_numpy():
    x = np.random.default_rng(3).uniform(0.1, 0.9, size=(7, 4)).astype(np.float32)
    signed = x - np.float32(0.5)
    expected = 0.3 * np.abs(signed).sum() / 7
    np.testing.assert_allclose(price(nn.l1_sparsity(0.3), signed), expected, rtol=1e-6)
    mean = x.mean(0)
    kl = 0.1 * np.log(0.1 / mean) + 0.9 * np.log(0.9 / (1 - mean))
    layer = nn.kl_sparsity(2.0, target=0.1)
    np.testing.assert_allclose(price(layer, x), 2 * kl.sum(), rtol=1e-5)


def test_the_kl_price_is_finite_for_dead_units_and_nan_out_of_range():
    layer = nn.kl_sparsity(1.0)
    gradient = jax.grad(lambda x: price(layer, x))(jnp.zeros((3, 2)))
    assert jnp.isfinite(price(layer, jnp.zeros((3, 2)))) and jnp.isfinite(gradient).all()
    assert jnp.isfinite(price(layer, jnp.ones((3, 2))))
    assert jnp.isnan(price(layer, jnp.full((3, 2), 1.5)))


def test_training_on_the_price_brings_mean_activity_to_its_target():
    x = np.random.default_rng(4).uniform(size=(64, 6)).astype(np.float32)
    model = nn.autoencoder(6, 4, code=nn.serial(nn.sigmoid, nn.kl_sparsity(200.0, target=0.3)))
    objective = train.supervised(model, nn.losses.squared_error)
    data = x, x
    result = train.fit(objective, optim.adam(0.02), data, epochs=60, batch_size=64, progress=False)
    params, state = result.variables
    z = model.children["encoder"](nn.Variables(params["encoder"], state["encoder"]), x)
    np.testing.assert_allclose(z.mean(0), 0.3, atol=0.02)
    at_start = model.init(jax.random.key(0), x)
    z = model.children["encoder"](nn.Variables(at_start.params["encoder"], state["encoder"]), x)
    assert (jnp.abs(z.mean(0) - 0.3) > 0.05).any()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.autoencoder(784), r"autoencoder: needs the size of x .* got \(784,\)"),
        (lambda: nn.autoencoder(784, 0), "autoencoder: each size must be .* got 0"),
        (lambda: nn.k_sparse(0), "k_sparse: k must be an integer of at least 1, got 0"),
        (lambda: nn.masking_noise(1.0), r"masking_noise: rate must be a number in \[0, 1\), got 1"),
        (lambda: nn.l1_sparsity(0), "l1_sparsity: weight must be a number above 0, got 0"),
        (lambda: nn.kl_sparsity(1.0, target=1.0), r"kl_sparsity: target must be .* got 1.0"),
        (lambda: made(nn.serial(nn.k_sparse(9))), "k must be at most the 6 features of x, got k=9"),
        (lambda: made(nn.autoencoder(7, 2)), "x has 6 features on its last axis"),
        (lambda: made(nn.l1_sparsity(1.0), X[0]), "at least 2 axes"),
    ],
)
def test_bad_arguments_raise(make, words):
    with pytest.raises(ValueError, match=words):
        make()

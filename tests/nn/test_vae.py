"""The variational autoencoder: its draw, its loss, and bounds against an exact log p(x).

With orthogonal columns in W, the model z ~ N(0, I), x|z ~ N(W z + b, s² I) has the diagonal
posterior N(M (x - b), V), with V = s² / (s² + |W_j|²) and M = V Wᵀ / s², and x ~ N(b, W Wᵀ + s² I).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn
from laminax.nn import variational

RANDOM = np.random.default_rng(0)
W = np.linalg.qr(RANDOM.normal(size=(5, 2)))[0] * np.array([2.0, 0.7])  # columns of x, by z
B = RANDOM.normal(size=5)
S2 = 0.3
X = RANDOM.normal(size=(6, 5)) * 1.5


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


def linear_model():
    decoder = nn.parallel(mean=nn.dense(5), log_variance=nn.dense(5))
    return nn.vae(2, encoder=lambda x: x, decoder=decoder)


def linear_variables(shift=0.0, widen=0.0):
    """Return the exact posterior's variables, or a posterior moved and widened."""
    variance = S2 / (S2 + (W**2).sum(0))
    matrix = W * variance / S2
    posterior = {
        "mean": {"w": matrix, "b": shift - B @ matrix},
        "log_variance": {"w": np.zeros((5, 2)), "b": np.log(variance) + widen},
    }
    decoder = {
        "mean": {"w": W.T, "b": B},
        "log_variance": {"w": np.zeros((2, 5)), "b": np.full(5, np.log(S2))},
    }
    return nn.Variables({"encoder": {"posterior": posterior}, "decoder": decoder}, {})


def exact_log_p(x=X):
    covariance = W @ W.T + S2 * np.eye(5)
    difference = x - B
    squares = np.einsum("bi,ij,bj->b", difference, np.linalg.inv(covariance), difference)
    return -(squares + np.linalg.slogdet(covariance)[1] + 5 * np.log(2 * np.pi)) / 2


@functools.partial(jax.jit, static_argnames="samples")
def bound(variables, samples, key):
    return variational.importance_bound(
        linear_model(),
        variables,
        jnp.asarray(X, variables.params["decoder"]["mean"]["b"].dtype),
        key,
        samples=samples,
        reconstruction=nn.losses.gaussian_nll,
    )


def key(seed=7):
    return jax.random.key(seed)


def as_arrays(variables):
    return jax.tree.map(jnp.asarray, variables)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("samples", [1, 3])
def test_with_the_exact_posterior_every_draw_is_log_p(samples):
    got = bound(as_arrays(linear_variables()), samples, key())
    np.testing.assert_allclose(got, exact_log_p(), rtol=1e-10)


@pytest.mark.usefixtures("float64")
def test_the_bound_is_below_log_p_and_tightens_with_k():
    variables = as_arrays(linear_variables(shift=0.3, widen=0.8))
    gap = {}
    for k in (1, 10, 100):
        draws = jax.vmap(lambda one, k=k: bound(variables, k, one))(
            jax.random.split(key(), 20_000 // k)
        )
        gap[k] = float((exact_log_p() - draws.mean(0)).mean())
    assert gap[1] > 0.1
    assert 0 < gap[100] < 0.3 * gap[10] < 0.09 * gap[1], gap
    np.testing.assert_allclose(bound(variables, 20_000, key()), exact_log_p(), atol=0.03)


@pytest.mark.usefixtures("float64")
def test_with_one_sample_the_bound_is_the_elbo_in_the_mean():
    shift, widen = 0.3, 0.8
    variables, model = as_arrays(linear_variables(shift, widen)), linear_model()
    kept = S2 / (S2 + (W**2).sum(0))
    mean, var = (X - B) @ (W * kept / S2) + shift, kept * np.exp(widen)
    residual = X - mean @ W.T - B
    expected_squares = (residual**2).sum(1) + (var * (W**2).sum(0)).sum()
    nats = (expected_squares / S2 + 5 * np.log(2 * np.pi * S2)) / 2
    kl = (mean**2 + var - np.log(var) - 1).sum(1) / 2
    keys = jax.random.split(key(), 5_000)

    def drawn(key):
        output, _ = model.apply(*variables, jnp.asarray(X), nn.Context(key))
        return variational.negative_elbo(
            output, jnp.asarray(X), reconstruction=nn.losses.gaussian_nll
        )

    analytic = np.array(jax.jit(jax.vmap(drawn))(keys))
    error = analytic.std(0) / np.sqrt(len(keys))
    assert (np.abs(analytic.mean(0) - nats - kl) < 4 * error).all()
    keys = jax.random.split(key(8), 5_000)
    sampled = np.array(jax.vmap(lambda key: bound(variables, 1, key))(keys))
    error = sampled.std(0) / np.sqrt(len(keys))
    assert (np.abs(sampled.mean(0) + nats + kl) < 4 * error).all()


@pytest.mark.usefixtures("float64")
def test_the_bound_s_gradient_is_the_central_difference_and_tends_to_that_of_log_p():
    variables = as_arrays(linear_variables(shift=0.3, widen=0.4))

    @functools.partial(jax.jit, static_argnums=1)
    def total(params, samples):
        return bound(nn.Variables(params, {}), samples, key()).sum()

    gradient = jax.grad(total)(variables.params, 4)
    random = np.random.default_rng(5)
    for _ in range(3):
        v = jax.tree.map(lambda p: random.normal(size=p.shape), variables.params)
        ahead, behind = (
            total(jax.tree.map(lambda p, d, h=h: p + h * d, variables.params, v), 4)
            for h in (1e-5, -1e-5)
        )
        along = sum(jax.tree.leaves(jax.tree.map(lambda g, d: (g * d).sum(), gradient, v)))
        np.testing.assert_allclose(along, (ahead - behind) / 2e-5, rtol=1e-6)
    near = jax.grad(total)(variables.params, 10_000)["decoder"]["mean"]["b"]
    covariance = W @ W.T + S2 * np.eye(5)
    exact = np.linalg.solve(covariance, (X - B).T).sum(1)  # ∂ Σ log p / ∂ b
    np.testing.assert_allclose(near, exact, atol=0.02 * np.abs(exact).max())


def mlp_vae():
    return nn.vae(2, encoder=nn.mlp(8), decoder=nn.mlp(8, 5))


def test_the_tree_and_the_children():
    model = mlp_vae()
    params, state = model.init(jax.random.key(0), jnp.zeros((1, 5)))
    assert jax.tree.map(jnp.shape, params) == {
        "encoder": {
            "features": {"dense_0": {"b": (8,), "w": (5, 8)}},
            "posterior": {
                "mean": {"b": (2,), "w": (8, 2)},
                "log_variance": {"b": (2,), "w": (8, 2)},
            },
        },
        "decoder": {"dense_0": {"b": (8,), "w": (2, 8)}, "dense_1": {"b": (5,), "w": (8, 5)}},
    }
    assert state == {} and list(model.children) == ["encoder", "sample", "decoder"]


def test_z_is_the_mean_without_a_key_and_a_draw_with_one():
    model, x = mlp_vae(), jnp.asarray(X, jnp.float32)
    variables = model.init(jax.random.key(0), x)
    params = variables.params

    def decoded(z):
        return model.children["decoder"](nn.Variables(params["decoder"], {}), z)

    at_mean = model(variables, x)
    np.testing.assert_allclose(at_mean.decoded, decoded(at_mean.mean), rtol=1e-5, atol=1e-6)
    for train in (False, True):
        ctx = nn.Context(key(), train=train)
        drawn, _ = model.apply(*variables, x, ctx)
        noise = jax.random.normal(nn.Context(key()).child("sample").key, (6, 2))
        z = drawn.mean + jnp.exp(drawn.log_variance / 2) * noise
        np.testing.assert_allclose(drawn.decoded, decoded(z), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="gaussian_sample: needs a random key"):
        model.apply(*variables, x, nn.Context(train=True))


def test_a_draw_has_the_mean_and_the_spread_of_the_posterior():
    mean, log_variance = jnp.array([1.0, -2.0]), jnp.log(jnp.array([0.25, 4.0]))
    x = jax.tree.map(lambda a: jnp.broadcast_to(a, (20_000, 2)), (mean, log_variance))
    z, _ = nn.gaussian_sample().apply({}, {}, x, nn.Context(key(), train=True))
    np.testing.assert_allclose(z.mean(0), mean, atol=0.05)
    np.testing.assert_allclose(z.std(0), jnp.array([0.5, 2.0]), rtol=0.03)


def test_negative_elbo_by_numpy():
    random = np.random.default_rng(1)
    logits, mean, log_variance = (random.normal(size=(4, n)) for n in (5, 2, 2))
    x = random.uniform(size=(4, 5))
    p = 1 / (1 + np.exp(-logits))
    nats = -(x * np.log(p) + (1 - x) * np.log(1 - p)).sum(1)
    kl = (mean**2 + np.exp(log_variance) - log_variance - 1).sum(1) / 2
    output = variational.VAEOutput(*(jnp.asarray(a, "f4") for a in (logits, mean, log_variance)))
    loss = variational.negative_elbo(output, jnp.asarray(x, "f4"), beta=3.0)
    np.testing.assert_allclose(loss, nats + 3 * kl, rtol=1e-5)


def conditional():
    return nn.vae(
        2, encoder=nn.conditioned(nn.mlp(8)), decoder=nn.conditioned(nn.dense(5, bias=False))
    )


def test_a_conditional_model_sees_the_condition_in_both_halves():
    model, x = conditional(), jnp.asarray(X, jnp.float32)
    told, other = jax.nn.one_hot(jnp.arange(6) % 3, 3), jnp.zeros((6, 3))
    variables = model.init(jax.random.key(0), x, condition=told)
    decoder = variables.params["decoder"]["conditioned"]["w"]
    assert decoder.shape == (2 + 3, 5)
    y, unlike = model(variables, x, condition=told), model(variables, x, condition=other)
    assert (y.mean != unlike.mean).any()
    joined = jnp.concatenate([y.mean, told], -1)
    np.testing.assert_allclose(y.decoded, joined @ decoder, rtol=1e-5, atol=1e-6)
    drawn = variational.sample(model, variables, jax.random.key(1), 6, condition=told)
    z = jax.random.normal(jax.random.key(1), (6, 2))
    expected = jnp.concatenate([z, told], -1) @ decoder
    np.testing.assert_allclose(drawn, expected, rtol=1e-5, atol=1e-6)
    bounds = variational.importance_bound(
        model, variables, (x > 0).astype("f4"), jax.random.key(2), samples=2, condition=told
    )
    assert bounds.shape == (6,)


def test_the_bound_of_a_model_in_half_precision_is_in_float32():
    model, x = mlp_vae(), jnp.ones((6, 5), jnp.bfloat16)
    variables = model.init(jax.random.key(0), x)
    half = jax.tree.map(lambda p: p.astype(jnp.bfloat16), variables)
    bounds = [
        variational.importance_bound(model, v, x, key(), samples=5) for v in (variables, half)
    ]
    assert bounds[1].dtype == jnp.float32
    np.testing.assert_allclose(bounds[1], bounds[0], rtol=0.03)


def test_samples_of_the_prior_have_the_model_s_mean_and_covariance():
    variables = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), linear_variables())
    mean, _ = variational.sample(linear_model(), variables, jax.random.key(0), 40_000)
    np.testing.assert_allclose(mean.mean(0), B, atol=0.05)
    np.testing.assert_allclose(np.cov(mean.T), W @ W.T, atol=0.08)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.vae(0, encoder=nn.relu, decoder=nn.relu), "vae: latent must be .* got 0"),
        (lambda: bound(as_arrays(linear_variables()), 0, key()), "samples must be .* got 0"),
        (
            lambda: variational.sample(mlp_vae(), linear_variables(), jax.random.key(0), 0),
            "sample: n must be .* got 0",
        ),
        (lambda: conditional().init(jax.random.key(0), X), "needs the side input condition"),
        (
            lambda: conditional().init(jax.random.key(0), X, condition=jnp.zeros((5, 2))),
            "must agree but in the last axis",
        ),
        (
            lambda: (
                nn.gaussian_sample().init(jax.random.key(0), X)
                and nn.gaussian_sample()(nn.Variables({}, {}), jnp.zeros((3, 2)))
            ),
            "gaussian_sample: x must be",
        ),
    ],
)
def test_bad_arguments_raise(make, words):
    with pytest.raises(ValueError, match=words):
        make()

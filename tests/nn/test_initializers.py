"""Initializers: the variance that the documentation names, on matrices and on kernels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

DRAWS = nn.initializers
MATRIX, KERNEL = (300, 200), (3, 5, 40, 60)  # fans 300 and 200; 3·5·40 and 3·5·60
CUT = 0.879625661  # standard deviation of N(0, 1) cut at 2

# The maker, and the variance it promises of the fans in and out.
VARIANCES = {
    "uniform": (lambda: DRAWS.uniform(-0.5, 1.0), lambda i, o: 1.5**2 / 12),
    "normal": (lambda: DRAWS.normal(0.3), lambda i, o: 0.3**2),
    "truncated_normal": (lambda: DRAWS.truncated_normal(0.3), lambda i, o: (0.3 * CUT) ** 2),
    "lecun_normal": (lambda: DRAWS.lecun_normal(), lambda i, o: 1 / i),
    "lecun_uniform": (lambda: DRAWS.lecun_uniform(), lambda i, o: 1 / i),
    "he_normal": (lambda: DRAWS.he_normal(), lambda i, o: 2 / i),
    "he_uniform": (lambda: DRAWS.he_uniform(), lambda i, o: 2 / i),
    "glorot_normal": (lambda: DRAWS.glorot_normal(), lambda i, o: 2 / (i + o)),
    "glorot_uniform": (lambda: DRAWS.glorot_uniform(), lambda i, o: 2 / (i + o)),
    "orthogonal": (lambda: DRAWS.orthogonal(), lambda i, o: 1 / max(i, o)),
    "sparse": (lambda: DRAWS.sparse(15, 2.0), lambda i, o: 15 * 4 / i),
}
CONSTANTS = {"zeros": 0.0, "ones": 1.0, "constant": -0.5}


def draw(init, shape, seed=0):
    return np.asarray(init(jax.random.key(seed), shape), np.float64)


def fans(shape):
    window = int(np.prod(shape[:-2]))
    return window * shape[-2], window * shape[-1]


def test_each_initializer_is_tested():
    public = {name for name in vars(DRAWS) if name[0].islower() and not name.startswith("_")}
    assert public == {*VARIANCES, *CONSTANTS, "identity"}


@pytest.mark.parametrize("shape", [MATRIX, KERNEL], ids=["matrix", "kernel"])
@pytest.mark.parametrize("name", VARIANCES)
def test_variance(name, shape):
    make, variance = VARIANCES[name]
    fan_in, fan_out = fans(shape)
    if name == "orthogonal":  # its columns are units, whose inputs lie along all other axes
        fan_out = shape[-1]
    w = draw(make(), shape)
    # 1.5 % is four standard errors at 36,000 draws; of few non-zeros the fourth moment is large.
    rtol = 0.08 if name == "sparse" else 0.03
    np.testing.assert_allclose(np.square(w - _mean(name)).mean(), variance(fan_in, fan_out), rtol)
    assert abs(w.mean() - _mean(name)) < 5 * w.std() / np.sqrt(w.size)
    assert w.shape == shape and np.any(w != draw(make(), shape, seed=1))


def _mean(name):
    return 0.25 if name == "uniform" else 0.0


@pytest.mark.parametrize("name", ["truncated_normal", "he_normal", "lecun_normal", "glorot_normal"])
def test_cut_at_two_standard_deviations(name):
    make, variance = VARIANCES[name]
    largest = np.abs(draw(make(), MATRIX)).max() / np.sqrt(variance(*MATRIX))
    assert 1.99 / CUT < largest <= 2.0001 / CUT


@pytest.mark.parametrize("name", ["uniform", "he_uniform", "lecun_uniform", "glorot_uniform"])
def test_uniform_to_the_ends(name):
    make, variance = VARIANCES[name]
    w, end = draw(make(), MATRIX) - _mean(name), np.sqrt(3 * variance(*MATRIX))
    np.testing.assert_allclose([w.min(), w.max()], [-end, end], rtol=1e-3)


def test_he_keeps_the_variance_through_relu():
    x = np.random.default_rng(0).normal(size=(500, 300))
    for seed in range(5):
        x = np.maximum(x, 0) @ draw(DRAWS.he_normal(), (300, 300), seed)
    assert 0.7 < x.var() < 1.4


@pytest.mark.parametrize(("name", "value"), CONSTANTS.items())
def test_constants(name, value):
    init = DRAWS.constant(value) if name == "constant" else getattr(DRAWS, name)
    np.testing.assert_array_equal(draw(init, (2, 3)), np.full((2, 3), value))


@pytest.mark.parametrize("shape", [(5, 5), (8, 3), (3, 8), (3, 2, 4, 6)])
def test_orthogonal(shape):
    w = draw(DRAWS.orthogonal(2.0), shape).reshape(-1, shape[-1])
    w = w if w.shape[0] >= w.shape[1] else w.T
    np.testing.assert_allclose(w.T @ w, 4 * np.eye(w.shape[1]), atol=1e-5)


@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (5, 3)])
def test_identity_hands_its_input_on(shape):
    x = np.random.default_rng(0).normal(size=(2, shape[0]))
    expected = np.zeros((2, shape[1]))
    shared = min(shape)
    expected[:, :shared] = 0.5 * x[:, :shared]
    np.testing.assert_allclose(x @ draw(DRAWS.identity(0.5), shape), expected, rtol=1e-6)


@pytest.mark.parametrize("kernel", [(3,), (3, 5), (2, 4), (1, 3, 2)])
def test_identity_of_a_kernel_is_that_of_a_same_convolution(kernel):
    layer = nn.conv(2, kernel, init=DRAWS.identity())
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, *(6,) * len(kernel), 2)), jnp.float32)
    np.testing.assert_allclose(layer(layer.init(jax.random.key(0), x), x), x, rtol=1e-6)


@pytest.mark.parametrize("shape", [(20, 30), (3, 3, 2, 30)])
def test_sparse_has_k_non_zeros_a_unit_at_random_places(shape):
    w = draw(DRAWS.sparse(7), shape).reshape(-1, shape[-1])
    np.testing.assert_array_equal((w != 0).sum(0), 7)
    assert len({tuple(np.flatnonzero(column)) for column in w.T}) > 20
    assert np.all((w != 0).any(1)), "some input feeds no unit"


def test_sparse_of_a_half_precision_shape_and_under_jit():
    init = DRAWS.sparse(2)
    w = init(jax.random.key(0), (5, 3), jnp.bfloat16)
    assert w.dtype == jnp.bfloat16
    jitted = jax.jit(lambda key: init(key, (5, 3), jnp.bfloat16))(jax.random.key(0))
    np.testing.assert_array_equal(np.asarray(w, "f4"), np.asarray(jitted, "f4"))


@pytest.mark.parametrize(
    "make", [lambda: DRAWS.sparse(2), DRAWS.identity, lambda: DRAWS.uniform(0, 1)]
)
def test_the_default_dtype_is_that_of_parameters(make):
    assert make()(jax.random.key(0), (3, 3)).dtype == jnp.float32
    with jax.enable_x64(True):
        assert make()(jax.random.key(0), (3, 3)).dtype == jnp.float64


def test_what_they_refuse():
    with pytest.raises(ValueError, match=r"at most the inputs of a unit, got 5 of 4 .*give fewer"):
        DRAWS.sparse(5)(jax.random.key(0), (4, 3))
    with pytest.raises(ValueError, match="nonzeros must be an integer of at least 1, got 0"):
        DRAWS.sparse(0)
    with pytest.raises(ValueError, match="high must be above low"):
        DRAWS.uniform(1.0, 1.0)
    for init in (DRAWS.sparse(1), DRAWS.identity()):
        with pytest.raises(ValueError, match=r"must be \(\.\.\., inputs, outputs\), got \(4,\)"):
            init(jax.random.key(0), (4,))

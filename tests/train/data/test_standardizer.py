import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn
from laminax.train.data import Standardizer, _standardizer

random = np.random.default_rng(0)


def table(n=200):
    return random.normal([3.0, -100.0, 0.0], [1.0, 20.0, 1e-3], (n, 3))


def test_it_is_scikit_learns_scaler_fitted_on_the_training_split():
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    train, test = table(), table(50)
    reference = preprocessing.StandardScaler().fit(train)
    standardize = Standardizer.fit(train)
    for x in (train, test):
        np.testing.assert_allclose(standardize(x), reference.transform(x), rtol=1e-10, atol=1e-12)
    y = test[::-1] / 7
    np.testing.assert_allclose(
        standardize.inverse(y), reference.inverse_transform(y), rtol=1e-10, atol=1e-12
    )


def test_channels_of_images_over_all_pixels():
    x = random.integers(0, 256, (20, 7, 5, 3)).astype(np.uint8)
    standardize = Standardizer.fit(x)
    np.testing.assert_allclose(standardize.mean, x.mean((0, 1, 2)), rtol=1e-10)
    np.testing.assert_allclose(standardize.std, x.std((0, 1, 2)), rtol=1e-10)
    y = standardize(x)
    assert y.dtype == np.float32 and type(y) is np.ndarray
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std((0, 1, 2)), 1, rtol=1e-5)


def test_in_pieces_it_measures_the_same(tmp_path, monkeypatch):
    x = table().astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    whole = Standardizer.fit(x)
    monkeypatch.setattr(_standardizer, "_AT_ONCE", 50)
    for pieces in (x, np.load(tmp_path / "x.npy", mmap_mode="r"), jnp.asarray(x)):
        parts = Standardizer.fit(pieces)
        np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-10)
        np.testing.assert_allclose(parts.std, whole.std, rtol=1e-10)


def test_a_far_off_mean_costs_no_digits():
    x = 1e8 + np.arange(10.0)[:, None]
    np.testing.assert_allclose(Standardizer.fit(x).std, np.arange(10).std(), rtol=1e-10)


def test_a_feature_that_never_varies_becomes_zero():
    x = np.column_stack([np.full(1000, 0.1), np.zeros(1000), np.arange(1000) * 1e-20])
    standardize = Standardizer.fit(x)
    np.testing.assert_array_equal(standardize.std[:2], 1)
    np.testing.assert_allclose(standardize(x)[:, :2], 0, atol=1e-12)
    np.testing.assert_allclose(standardize(x)[:, 2].std(), 1, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, jnp.bfloat16])
def test_in_the_program_it_computes_the_same(dtype):
    x = random.integers(0, 255, (6, 4, 4, 3)).astype(dtype)
    standardize = Standardizer.fit(x)
    host = standardize(x)
    assert host.dtype == np.float32
    closed = jax.jit(lambda x: standardize(x))(x)
    given = jax.jit(lambda s, x: s(x))(standardize, x)
    for y in (closed, given):
        assert y.dtype == jnp.float32 and not y.weak_type
        np.testing.assert_allclose(y, host, rtol=1e-5, atol=1e-6)
    back = jax.jit(standardize.inverse)(closed)
    np.testing.assert_allclose(back, x.astype(np.float32), rtol=1e-4, atol=1e-4)


def test_it_stands_at_the_head_of_a_model():
    x = random.integers(0, 256, (6, 4, 4, 3)).astype(np.uint8)
    standardize = Standardizer.fit(x)
    model = nn.serial(standardize, nn.flatten(), nn.dense(2))
    tail = nn.serial(nn.flatten(), nn.dense(2))
    variables = model.init(jax.random.key(0), x)
    np.testing.assert_allclose(model(variables, x), tail(variables, standardize(x)), rtol=1e-5)


def test_doubles_stay_doubles():
    with jax.enable_x64(True):
        x = table()
        standardize = Standardizer.fit(x)
        np.testing.assert_allclose(jax.jit(standardize.__call__)(x), standardize(x), rtol=1e-10)


@pytest.mark.parametrize(
    ("x", "error", "words"),
    [
        ([[1.0]], TypeError, "Standardizer.fit: x must be an array, got list"),
        (np.array([["a"]]), TypeError, "must hold numbers, got <U1"),
        (
            np.arange(3.0),
            ValueError,
            r"got shape \[3\]; x\[:, None\] for one",
        ),
        (np.zeros((0, 3)), ValueError, r"at least one of each, got shape \[0, 3\]"),
        (np.array([[1.0, np.nan, 2.0]]), ValueError, r"not finite in features \[1\]; clean"),
    ],
)
def test_misuse(x, error, words):
    with pytest.raises(error, match=words):
        Standardizer.fit(x)


@pytest.mark.parametrize("x", [np.zeros((2, 4)), np.float32(1), np.zeros((3, 1))])
def test_data_of_other_features(x):
    with pytest.raises(ValueError, match="must have 3 features on its last axis, as it was fitted"):
        Standardizer.fit(table())(x)

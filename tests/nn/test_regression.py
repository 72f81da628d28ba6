"""Regression against NumPy and scikit-learn: 1e-5 in float32, 1e-10 in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

CLOSE = {False: 1e-5, True: 1e-10}
both = pytest.mark.parametrize("wide", [False, True], ids=["float32", "float64"])


def data(batch=60, inputs=3, outputs=2, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(batch, inputs)) + 2
    y = x @ random.normal(size=(inputs, outputs)) + 0.3 * random.normal(size=(batch, outputs)) + 5
    return x, y


def labels_of(x, classes, seed=0):
    random = np.random.default_rng(seed)
    z = x @ random.normal(size=(x.shape[1], classes)) + random.gumbel(size=(len(x), classes))
    return (z - z.mean(0)).argmax(1)


def solved(variables):
    entry = variables.params["dense_0"]
    return np.asarray(entry["w"]), np.asarray(entry["b"])


def assert_close(ours, expected, wide):
    for a, b in zip(ours, expected, strict=True):
        assert a.dtype == (np.float64 if wide else np.float32)
        np.testing.assert_allclose(a, b, rtol=CLOSE[wide], atol=CLOSE[wide])


@both
def test_least_squares_is_numpys(wide):
    x, y = data()
    reference = np.linalg.lstsq(np.column_stack([x, np.ones(len(x))]), y, rcond=None)[0]
    with jax.enable_x64(wide):
        variables = nn.least_squares(x, y)
        assert_close(solved(variables), (reference[:-1], reference[-1]), wide)
        y_hat = nn.linear_regression(2)(variables, x)
        np.testing.assert_allclose(y_hat, x @ reference[:-1] + reference[-1], rtol=1e-5)


@both
@pytest.mark.parametrize("degree", [1, 2, 3])
def test_polynomial_least_squares_is_scikit_learns(wide, degree):
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    x, _ = data()
    x = x - 2
    y = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:]
    phi = preprocessing.PolynomialFeatures(degree).fit_transform(x)
    reference = np.linalg.lstsq(phi, y, rcond=None)[0]
    with jax.enable_x64(wide):
        ours = nn.polynomial_features(degree)(nn.Variables({}, {}), x)
        np.testing.assert_allclose(ours, phi[:, 1:], rtol=1e-5, atol=1e-6)
        variables = nn.least_squares(x, y, degree=degree)
        assert_close(solved(variables), (reference[1:], reference[0]), wide)
        y_hat = nn.polynomial_regression(degree)(variables, x)
        np.testing.assert_allclose(y_hat, phi @ reference, rtol=1e-4, atol=1e-4)


@both
def test_ridge_is_scikit_learns_and_spares_the_bias(wide):
    linear = pytest.importorskip("sklearn.linear_model")
    x, y = data()
    reference = linear.Ridge(3.0, solver="svd").fit(x, y)
    with jax.enable_x64(wide):
        ours = solved(nn.least_squares(x, y, ridge=3.0))
        assert_close(ours, (reference.coef_.T, reference.intercept_), wide)
    w, b = ours  # by its own condition, without scikit-learn: the gradient is zero
    residual = y - x @ w - b
    np.testing.assert_allclose(residual.sum(0), 0, atol=1e-3)
    np.testing.assert_allclose(x.T @ residual, 3 * w, atol=1e-2)


def test_least_squares_survives_what_the_normal_equations_do_not():
    """A column on top of another to 1e-4, whose square is below what float32 tells apart."""
    random = np.random.default_rng(0)
    a = random.normal(size=(50, 1))
    x = np.hstack([a, a + 1e-4 * random.normal(size=(50, 1))]).astype(np.float32)
    y = x.astype(np.float64) @ [[1.0], [1.0]]
    w, _ = solved(nn.least_squares(x, y))
    np.testing.assert_allclose(w, [[1.0], [1.0]], atol=0.01)


def test_least_norm_where_the_examples_leave_w_open():
    x, y = data(batch=2, inputs=5, outputs=1)
    w, b = solved(nn.least_squares(x, y))
    np.testing.assert_allclose(x @ w + b, y, rtol=1e-5)
    centered = x - x.mean(0)
    np.testing.assert_allclose(w, np.linalg.pinv(centered) @ (y - y.mean(0)), rtol=1e-4, atol=1e-5)
    constant = solved(nn.least_squares(np.ones((4, 2)), np.full((4, 1), 7.0)))
    np.testing.assert_allclose(constant[0], 0)
    np.testing.assert_allclose(constant[1], 7)


def test_polynomial_features_by_hand():
    phi = nn.polynomial_features(3)(nn.Variables({}, {}), jnp.array([2.0, -1.0]))
    assert phi.tolist() == [2, -1, 4, -2, 1, 8, -4, 2, -1]


@both
def test_logistic_regression_is_scikit_learns(wide):
    linear = pytest.importorskip("sklearn.linear_model")
    x, _ = data(batch=120)
    labels = labels_of(x, 2)
    assert 20 < labels.sum() < 100
    reference = linear.LogisticRegression(
        C=1 / 0.7, solver="newton-cholesky", tol=1e-14, max_iter=500
    ).fit(x, labels)
    with jax.enable_x64(wide):
        ours = solved(nn.logistic_fit(x, labels, ridge=0.7))
        assert_close(ours, (reference.coef_.T, reference.intercept_), wide)


@both
def test_logistic_regression_without_a_ridge_has_no_gradient_left(wide):
    x, _ = data(batch=120)
    labels = labels_of(x, 2)
    with jax.enable_x64(wide):
        w, b = solved(nn.logistic_fit(x, labels))
    error = 1 / (1 + np.exp(-(x @ w + b)[:, 0])) - labels
    limit = 1e-10 if wide else 1e-3
    assert abs(error.sum()) < limit and np.abs(error @ x).max() < limit
    assert np.abs(w).max() > 0.1


@both
def test_softmax_regression_is_scikit_learns(wide):
    linear = pytest.importorskip("sklearn.linear_model")
    x, _ = data(batch=150)
    labels = labels_of(x, 4)
    assert len(set(labels)) == 4
    reference = linear.LogisticRegression(
        C=1 / 0.7, solver="newton-cholesky", tol=1e-14, max_iter=500
    ).fit(x, labels)
    with jax.enable_x64(wide):
        w, b = solved(nn.softmax_fit(x, labels, 4, ridge=0.7))
    assert_close((w,), (reference.coef_.T,), wide)
    shift = reference.intercept_ - reference.intercept_.mean()  # free: the same for all classes
    assert_close((b - b.mean(),), (shift,), wide)
    np.testing.assert_allclose(w.sum(1), 0, atol=1e-5)
    probabilities = jax.nn.softmax(
        nn.softmax_regression(4)(nn.Variables({"dense_0": {"w": w, "b": b}}, {}), x)
    )
    np.testing.assert_allclose(probabilities, reference.predict_proba(x), atol=1e-5)


def test_two_classes_of_softmax_are_logistic_regression():
    x, _ = data(batch=80)
    labels = labels_of(x, 2)
    with jax.enable_x64(True):
        one, bias = solved(nn.logistic_fit(x, labels))
        two, biases = solved(nn.softmax_fit(x, labels, 2))
    np.testing.assert_allclose(two[:, 1:] - two[:, :1], one, rtol=1e-9)
    np.testing.assert_allclose(biases[1:] - biases[:1], bias, rtol=1e-9)


def test_separable_classes_end_finite():
    x, labels = np.arange(6.0)[:, None], np.array([0, 0, 0, 1, 1, 1])
    variables = nn.logistic_fit(x, labels)
    w, _ = solved(variables)
    assert np.isfinite(w).all() and w.item() > 5
    np.testing.assert_array_equal(nn.logistic_regression()(variables, x)[:, 0] > 0, labels == 1)
    with jax.enable_x64(True):
        assert np.isfinite(solved(nn.softmax_fit(x, labels, 2))[0]).all()


def test_newton_is_halved_where_a_full_step_would_overshoot():
    """Examples of sizes from 1 to 100 for which undamped Newton from zero was seen to diverge."""
    random = np.random.default_rng(9064)
    n = random.integers(6, 14)
    x = np.round(random.standard_normal((n, 2)) * 10 ** random.uniform(0, 2, (n, 1)), 1)
    labels = random.integers(0, 2, n)
    with jax.enable_x64(True):
        w, b = solved(nn.logistic_fit(x, labels))
    error = np.exp(-np.logaddexp(0, -(x @ w + b)[:, 0])) - labels
    assert 0.01 < np.abs(w).max() < 1  # not separable
    assert abs(error.sum()) < 1e-9 and np.abs(error @ x).max() < 1e-7


def test_fits_run_under_jit_and_vmap():
    x, y = (a.astype(np.float32) for a in data())
    ridges = jnp.array([0.0, 1.0, 10.0])
    together = jax.jit(jax.vmap(lambda r: nn.least_squares(x, y, ridge=r)))(ridges)
    labels = labels_of(x, 2)
    logistic = jax.jit(jax.vmap(lambda r: nn.logistic_fit(x, labels, ridge=r)))(ridges)
    for i, ridge in enumerate([0.0, 1.0, 10.0]):
        for many, one in (
            (together, nn.least_squares(x, y, ridge=ridge)),
            (logistic, nn.logistic_fit(x, labels, ridge=ridge)),
        ):
            for a, b in zip(jax.tree.leaves(many), jax.tree.leaves(one), strict=True):
                np.testing.assert_allclose(a[i], b, rtol=2e-4, atol=2e-4)


X, Y = np.ones((4, 2)), np.ones((4, 1))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.linear_regression(0), ValueError, "outputs must be an integer of at least 1"),
        (lambda: nn.polynomial_regression(0), ValueError, "degree must be an integer of at least"),
        (lambda: nn.polynomial_features(1.5), ValueError, "degree must be an integer of at least"),
        (lambda: nn.softmax_regression(0), ValueError, "classes must be an integer of at least 1"),
        (lambda: nn.least_squares(X, Y[:3]), ValueError, r"with batch 4, got float32\[3, 1\]"),
        (lambda: nn.least_squares(X, Y[:, 0]), ValueError, r"a target a row is y\[:, None\]"),
        (lambda: nn.least_squares(X[0], Y), ValueError, r"x must be \(batch, inputs\) of at le"),
        (lambda: nn.least_squares(X, Y, ridge=-1.0), ValueError, "ridge must be a number of at"),
        (lambda: nn.least_squares(X, Y, degree=0), ValueError, "least_squares: degree must be"),
        (lambda: nn.logistic_fit(X, Y[:, 0]), TypeError, "labels must be integers, got float"),
        (
            lambda: nn.logistic_fit(X, np.array([0, 1, 2, 1])),
            ValueError,
            r"labels must lie in \[0, 2\), got 2; count classes from 0",
        ),
        (
            lambda: nn.softmax_fit(X, np.array([0, -1, 2, 1]), 3),
            ValueError,
            r"labels must lie in \[0, 3\), got -1",
        ),
        (
            lambda: nn.softmax_fit(X, np.array([[0], [1], [2], [1]]), 3),
            ValueError,
            r"labels must be \(batch,\) with batch 4, got int32\[4, 1\]",
        ),
    ],
)
def test_arguments_are_checked(make, error, message):
    with pytest.raises(error, match=message):
        make()

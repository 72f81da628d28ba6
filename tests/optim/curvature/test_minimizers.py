"""The minimizers on functions whose minima are known, in float64, and beside scipy's."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax.optim import curvature

METHODS = {
    "cg": curvature.minimize_cg,
    "cg, Fletcher-Reeves": lambda f, x, **how: curvature.minimize_cg(
        f, x, beta="fletcher_reeves", **how
    ),
    "bfgs": curvature.minimize_bfgs,
    "lbfgs": curvature.minimize_lbfgs,
    "newton": curvature.minimize_newton,
}
methods = pytest.mark.parametrize("name", METHODS)


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def rosenbrock(x):
    return jnp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def quadratic(eigenvalues, seed=0):
    """½ (x − x*)ᵀ A (x − x*), A of these eigenvalues: f, A, x* and a start."""
    random = np.random.default_rng(seed)
    n = len(eigenvalues)
    basis = np.linalg.qr(random.normal(size=(n, n)))[0]
    matrix = jnp.asarray(basis * eigenvalues @ basis.T)
    least, start = jnp.asarray(random.normal(size=n)), jnp.asarray(random.normal(size=n))
    return lambda x: 0.5 * (x - least) @ matrix @ (x - least), matrix, least, start


@methods
@pytest.mark.parametrize("n", [2, 10])
def test_the_rosenbrock_valley_is_followed_to_its_end(name, n):
    start = jnp.tile(jnp.array([-1.2, 1.0]), n // 2)
    minimum = METHODS[name](rosenbrock, start, tolerance=1e-9, max_iterations=3000)
    assert minimum.converged and minimum.gradient_norm <= 1e-9
    # From this start the 10-D valley may also end in its other minimum, near x₁ = −1.
    gradient, hessian = jax.grad(rosenbrock)(minimum.x), jax.jit(jax.hessian(rosenbrock))(minimum.x)
    np.testing.assert_allclose(jnp.linalg.norm(gradient), minimum.gradient_norm, atol=1e-10)
    assert np.linalg.eigvalsh(hessian).min() > 0.1
    np.testing.assert_allclose(minimum.value, rosenbrock(minimum.x), rtol=1e-12, atol=1e-25)
    if n == 2 or minimum.x[0] > 0:
        np.testing.assert_allclose(minimum.x, 1.0, atol=1e-7)


@methods
def test_scipy_finds_the_same_minimum(name):
    optimize = pytest.importorskip("scipy.optimize")
    random = np.random.default_rng(1)
    inputs, signs = jnp.asarray(random.normal(size=(40, 4))), random.choice([-1.0, 1.0], 40)

    def loss(w):
        """A regularized logistic regression."""
        margins = signs * (inputs @ w)
        return jnp.mean(jnp.logaddexp(0.0, -margins)) + 0.01 * w @ w

    theirs = optimize.minimize(
        jax.jit(jax.value_and_grad(loss)), np.zeros(4), jac=True, options={"gtol": 1e-10}
    )
    ours = METHODS[name](loss, jnp.zeros(4), tolerance=1e-9)
    assert ours.converged
    np.testing.assert_allclose(ours.x, theirs.x, atol=1e-7)
    np.testing.assert_allclose(ours.value, theirs.fun, rtol=1e-12)


@methods
def test_a_quadratic_of_condition_ten_thousand(name):
    f, _, least, start = quadratic(np.geomspace(1e-2, 1e2, 12))
    minimum = METHODS[name](f, start, tolerance=1e-9)
    # scipy's take 843 (CG), 39 (BFGS) and 335 (L-BFGS-B)
    assert minimum.converged and minimum.iterations < (500 if name == "lbfgs" else 120)
    np.testing.assert_allclose(minimum.x, least, atol=1e-6)


@pytest.mark.parametrize("name", ["cg", "cg, Fletcher-Reeves"])
def test_conjugate_gradients_are_those_of_the_linear_system_and_end_in_n_steps(name):
    n = 6
    f, matrix, least, start = quadratic(np.linspace(1.0, 20.0, n))
    x, residual = np.array(start), np.asarray(matrix @ (least - start))
    direction, steps = residual, []
    for _ in range(n):
        length = residual @ residual / (direction @ matrix @ direction)
        x = x + length * direction
        after = residual - length * (matrix @ direction)
        direction = after + (after @ after) / (residual @ residual) * direction
        residual = after
        steps.append(x)
    ours = jax.vmap(lambda k: METHODS[name](f, start, tolerance=1e-9, max_iterations=k))(
        jnp.arange(1, n + 1)
    )
    np.testing.assert_array_equal(ours.iterations, np.arange(1, n + 1))
    np.testing.assert_array_equal(ours.converged, np.arange(1, n + 1) == n)
    np.testing.assert_allclose(ours.x, steps, rtol=1e-8)
    np.testing.assert_allclose(ours.x[-1], least, rtol=1e-9)


@pytest.mark.parametrize("beta", ["polak_ribiere", "fletcher_reeves"])
def test_conjugate_directions_beyond_quadratics_are_those_of_the_formula(beta):
    """Given the points that it came to."""

    def f(x):
        return jnp.sum(jnp.exp(x * jnp.array([1.0, 2.0, 3.0])) + x**2) + (x[0] - x[1] * x[2]) ** 2

    start, count = jnp.array([1.0, 0.5, -0.5]), jnp.arange(1, 9)
    after = jax.vmap(
        lambda k: curvature.minimize_cg(f, start, tolerance=0.0, max_iterations=k, beta=beta).x
    )
    points = [np.asarray(start), *np.asarray(after(count))]
    before, direction, shares = None, None, []
    for here, there in itertools.pairwise(points):
        g = np.asarray(jax.grad(f)(here))
        if before is None or abs(g @ before) > 0.2 * g @ g:
            direction = -g
        else:
            change = g - before if beta == "polak_ribiere" else g
            shares.append(g @ change / (before @ before))
            direction = -g + max(0.0, shares[-1]) * direction
        went, before = there - here, g
        cosine = went @ direction / np.linalg.norm(went) / np.linalg.norm(direction)
        assert cosine == pytest.approx(1.0, abs=1e-9)
    assert len(shares) > 2 and max(shares) > 0.02


def test_conjugate_gradients_try_the_minimum_of_a_quadratic_first():
    """Evaluations: one at the start; a step is one along the direction and one at its end."""
    f, _, _, start = quadratic(np.linspace(1.0, 20.0, 4))
    calls = []

    def counted(x):
        jax.debug.callback(lambda: calls.append(1))
        return f(x)

    minimum = curvature.minimize_cg(counted, start, tolerance=1e-9)
    jax.effects_barrier()
    assert minimum.iterations == 4 and len(calls) == 1 + 2 * 4


def test_newton_solves_a_quadratic_in_one_step():
    f, _, least, start = quadratic(np.geomspace(1e-3, 1e3, 5))
    minimum = curvature.minimize_newton(f, start, tolerance=1e-8)
    assert minimum.iterations == 1 and minimum.converged
    np.testing.assert_allclose(minimum.x, least, rtol=1e-8)


def test_bfgs_directions_are_those_of_its_recursion():
    """Against x ← x − B g with B by the textbook's product form, given the same steps."""
    f, matrix, least, start = quadratic([1.0, 3.0, 10.0])
    after = jax.vmap(lambda k: curvature.minimize_bfgs(f, start, tolerance=0.0, max_iterations=k).x)
    points = [np.asarray(start), *np.asarray(after(jnp.arange(1, 5)))]
    gradients = [np.asarray(matrix @ (x - least)) for x in points]
    inverse = None
    for k in range(1, 4):
        s, y = points[k] - points[k - 1], gradients[k] - gradients[k - 1]
        rho = 1 / (y @ s)
        inverse = np.eye(3) * (s @ y / (y @ y)) if inverse is None else inverse
        left = np.eye(3) - rho * np.outer(s, y)
        inverse = left @ inverse @ left.T + rho * np.outer(s, s)
        went, expected = points[k + 1] - points[k], -inverse @ gradients[k]
        cosine = went @ expected / np.linalg.norm(went) / np.linalg.norm(expected)
        assert cosine == pytest.approx(1.0, abs=1e-9)


def test_a_tree_is_minimized_as_its_vector_is():
    method = curvature.minimize_cg

    def f(tree):
        return rosenbrock(jnp.concatenate([tree["a"].ravel(), tree["b"][None]]))

    tree = {"a": jnp.array([[-1.2, 1.0]]), "b": jnp.array(0.5)}
    ours = method(f, tree, tolerance=1e-8)
    flat = method(rosenbrock, jnp.array([-1.2, 1.0, 0.5]), tolerance=1e-8)
    assert jax.tree.map(jnp.shape, ours.x) == {"a": (1, 2), "b": ()}
    joined = jnp.concatenate([ours.x["a"].ravel(), ours.x["b"][None]])
    np.testing.assert_allclose(joined, flat.x, rtol=1e-9)
    assert ours.iterations == flat.iterations


def test_newton_leaves_a_saddle_for_the_minimum_by_the_sizes_of_the_curvatures():
    def f(x):
        return 5.0 * (x[0] ** 4 / 4 - x[0] ** 2 / 2) + x[1] ** 2

    for start, least in ((0.1, 1.0), (-0.1, -1.0)):
        minimum = curvature.minimize_newton(f, jnp.array([start, 1.0]))
        np.testing.assert_allclose(minimum.x, [least, 0.0], atol=1e-5)
    went = curvature.minimize_newton(f, jnp.array([0.1, 1.0]), max_iterations=1).x - jnp.array(
        [0.1, 1.0]
    )
    slopes, bends = np.array([5 * (0.1**3 - 0.1), 2.0]), np.array([5 * (3 * 0.1**2 - 1), 2.0])
    expected = -slopes / np.abs(bends)
    np.testing.assert_allclose(went / went[1], expected / expected[1], rtol=1e-9)


@pytest.mark.parametrize("name", ["cg", "bfgs", "lbfgs", "newton"])
def test_a_wall_that_is_not_finite_is_not_crossed(name):
    """−log x is infinite at 0 and not a number below it, where a first whole step would lead."""
    minimum = METHODS[name](lambda x: jnp.sum(20.0 * x - jnp.log(x)), jnp.array([1.0, 4.0]))
    assert minimum.converged
    np.testing.assert_allclose(minimum.x, 0.05, rtol=1e-5)


@pytest.mark.parametrize("name", ["cg", "bfgs", "lbfgs", "newton"])
def test_a_function_without_a_minimum_ends_unconverged_and_finite(name):
    minimum = METHODS[name](lambda x: jnp.sum(x), jnp.zeros(2), max_iterations=5)
    assert not minimum.converged and minimum.iterations <= 5
    assert bool(jnp.all(jnp.isfinite(minimum.x))) and minimum.value < 0


def test_where_rounding_leaves_nothing_to_gain_it_ends():
    """No float has the square 2: the gradient is not 0 anywhere near."""
    minimum = curvature.minimize_newton(lambda x: (x**2 - 2.0) ** 2, jnp.array(1.0), tolerance=0.0)
    assert not minimum.converged and minimum.iterations < 20
    np.testing.assert_allclose(minimum.x, 2**0.5, rtol=1e-12)


def test_a_start_at_the_minimum_takes_no_step():
    minimum = curvature.minimize_bfgs(lambda x: jnp.sum(x**2), jnp.zeros(2))
    assert minimum.converged and minimum.iterations == 0
    np.testing.assert_array_equal(minimum.x, 0.0)


def test_the_tolerance_and_the_iterations_may_be_traced():
    def count(tolerance, iterations):
        return curvature.minimize_bfgs(
            rosenbrock, jnp.array([-1.2, 1.0]), tolerance=tolerance, max_iterations=iterations
        ).iterations

    counts = jax.jit(jax.vmap(count))(jnp.array([1e-2, 1e-8, 1e-8]), jnp.array([100, 100, 3]))
    assert counts[0] < counts[1] and counts[2] == 3


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda m: m(lambda x: x, jnp.ones(2)), TypeError, r"f\(x\) is .*one floating-point"),
        (lambda m: m(rosenbrock, jnp.array([1, 2])), TypeError, "x has a leaf of int64"),
        (lambda m: m(rosenbrock, {}), TypeError, "x has no array"),
        (lambda m: m(rosenbrock, jnp.ones(2), tolerance=-1.0), ValueError, "tolerance is -1.0"),
        (lambda m: m(rosenbrock, jnp.ones(2), max_iterations=0), ValueError, "max_iterations is 0"),
    ],
)
def test_unusable_arguments_are_refused(call, error, words):
    for name in ("cg", "bfgs", "lbfgs", "newton"):
        with pytest.raises(error, match=f"minimize_{name}: {words}"):
            call(METHODS[name])


def test_a_start_without_a_finite_gradient_is_refused():
    with pytest.raises(ValueError, match=r"at the start f is 0.0 .* norm is inf; expected finite"):
        curvature.minimize_cg(jnp.sqrt, jnp.array(0.0))


def test_unusable_options_are_refused():
    with pytest.raises(ValueError, match="minimize_cg: beta is 'hestenes'"):
        curvature.minimize_cg(rosenbrock, jnp.ones(2), beta="hestenes")
    with pytest.raises(ValueError, match="minimize_lbfgs: memory is 0"):
        curvature.minimize_lbfgs(rosenbrock, jnp.ones(2), memory=0)

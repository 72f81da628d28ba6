"""Penalties, constraints and changed gradients against NumPy, by path, and on stacked layers."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from laminax import optim


def tree(seed, scale=1.0):
    random = np.random.default_rng(seed)
    shapes = {"kernel": {"w": (3, 3, 2, 4)}, "dense": {"w": (4, 3), "b": (3,)}, "scale": ()}
    return jax.tree.map(
        lambda shape: jnp.asarray(scale * random.normal(size=shape), jnp.float32),
        shapes,
        is_leaf=lambda node: isinstance(node, tuple),
    )


def after(transform, gradient, params):
    return transform.update(gradient, transform.init(params), params)[0]


def over_leaves(function, *trees):
    """By path, what NumPy makes of the leaves."""
    columns = [map(np.asarray, jax.tree.leaves(t)) for t in trees]
    return dict(zip(optim.paths(trees[0]), map(function, *columns), strict=True))


def check(got, expected, untouched, where):
    """Matched paths have the expected leaves, the others those of `untouched`, bit for bit."""
    kept = dict(zip(optim.paths(untouched), jax.tree.leaves(untouched), strict=True))
    for path, leaf in zip(optim.paths(got), jax.tree.leaves(got), strict=True):
        if any(optim.match(pattern, path) for pattern in where):
            np.testing.assert_allclose(leaf, expected[path], rtol=1e-5, atol=1e-6)
            assert leaf.shape == () or not np.allclose(leaf, kept[path]), path
        else:
            np.testing.assert_array_equal(leaf, kept[path])


def unit(leaf):
    """The norm of each output unit."""
    axes = tuple(range(leaf.ndim - 1 if leaf.ndim > 1 else leaf.ndim))
    return np.sqrt(np.sum(leaf**2, axes, keepdims=True))


@pytest.mark.parametrize("patterns", ["*", "*/w", ("*/b", "kernel/*")])
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda p: optim.l1(0.3, p), lambda g, w: g + 0.3 * np.sign(w)),
        (lambda p: optim.l2(0.3, p), lambda g, w: g + 0.3 * w),
        (lambda p: optim.elastic(0.3, 0.2, p), lambda g, w: g + 0.3 * np.sign(w) + 0.2 * w),
        (
            lambda p: optim.adaptive_clip(0.2, p, eps=0.7),
            lambda g, w: g * np.minimum(1, 0.2 * np.maximum(unit(w), 0.7) / unit(g)),
        ),
        (
            lambda p: optim.max_norm(0.9, p),
            lambda u, w: (w + u) * np.minimum(1, 0.9 / unit(w + u)) - w,
        ),
    ],
    ids=["l1", "l2", "elastic", "adaptive_clip", "max_norm"],
)
def test_matched_leaves_are_as_the_equation_and_others_pass(make, expected, patterns):
    gradient, params = tree(0), tree(1)
    listed = (patterns,) if isinstance(patterns, str) else patterns
    got = after(make(patterns), gradient, params)
    check(got, over_leaves(expected, gradient, params), gradient, listed)


def test_penalties_are_the_gradients_of_their_losses():
    params = tree(2)
    zeros = jax.tree.map(jnp.zeros_like, params)

    def penalty(params):
        leaves = jax.tree.leaves(params)
        return sum(0.3 * jnp.abs(w).sum() + 0.1 * jnp.square(w).sum() for w in leaves)

    got = after(optim.elastic(0.3, 0.2), zeros, params)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), got, jax.grad(penalty)(params)
    )


def test_adaptive_clip_of_a_matrix_is_optax_s():
    gradient, params = tree(0)["dense"], tree(1)["dense"]
    ours = after(optim.adaptive_clip(0.2), gradient, params)
    theirs = after(optax.adaptive_grad_clip(0.2), gradient, params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), ours, theirs)


def test_proximal_l1_is_ista_and_finds_the_zeros_of_the_lasso():
    sklearn = pytest.importorskip("sklearn.linear_model")
    random = np.random.default_rng(7)
    x = random.normal(size=(40, 6))
    y = x @ np.array([2.0, 0, -1.0, 0, 0, 0.5]) + 0.1 * random.normal(size=40)
    with jax.enable_x64(True):
        optimizer = optim.proximal_l1(optim.sgd(0.2), 0.3)
        w = jnp.zeros(6)

        def step(carry, _):
            w, state = carry
            updates, state = optimizer.update(x.T @ (x @ w - y) / 40, state, w)
            return (optim.apply_updates(w, updates), state), None

        (w, _), _ = jax.lax.scan(step, (w, optimizer.init(w)), length=1000)
    lasso = sklearn.Lasso(0.3, fit_intercept=False, tol=1e-14, max_iter=100_000).fit(x, y)
    np.testing.assert_allclose(w, lasso.coef_, atol=1e-7)
    assert (np.asarray(w) == 0).sum() == (lasso.coef_ == 0).sum() >= 3


def test_the_proximal_threshold_follows_the_schedule():
    rates = jnp.array([0.5, 0.25])
    optimizer = optim.proximal_l1(optim.sgd(lambda step: rates[step]), 1.0, "a")
    params = {"a": jnp.full(1, 2.0), "b": jnp.full(1, 2.0)}
    zeros, state = jax.tree.map(jnp.zeros_like, params), optimizer.init(params)
    for expected in (1.5, 1.25):
        updates, state = optimizer.update(zeros, state, params)
        params = optim.apply_updates(params, updates)
        assert (params["a"].item(), params["b"].item()) == (expected, 2.0)


def test_centralized_gradients_have_no_mean_over_the_inputs():
    gradient = tree(3)
    got = after(optim.centralize(), gradient, gradient)
    check(
        got,
        over_leaves(lambda g: g - g.mean(tuple(range(g.ndim - 1)), keepdims=True), gradient),
        gradient,
        ["*/w"],
    )


STACKED = {
    "centralize": lambda stacked: optim.centralize(stacked=stacked),
    "adaptive_clip": lambda stacked: optim.adaptive_clip(0.2, stacked=stacked),
    "max_norm": lambda stacked: optim.max_norm(0.5, "*/w", stacked=stacked),
}


@pytest.mark.parametrize("name", STACKED)
def test_stacked_layers_are_taken_one_by_one(name):
    layers = [{"dense": tree(seed)["dense"]} for seed in range(6)]
    gradient, params = (
        jax.tree.map(lambda *leaves: jnp.stack(leaves).reshape(2, 3, *leaves[0].shape), *half)
        for half in (layers, layers[::-1])
    )
    counts = jax.tree.map(lambda _: 2, params)
    together = after(STACKED[name](counts), gradient, params)
    for i in range(6):
        alone = after(STACKED[name](None), layers[i], layers[5 - i])
        jax.tree.map(
            lambda a, b, i=i: np.testing.assert_allclose(
                a.reshape(6, *b.shape)[i], b, rtol=1e-5, atol=1e-6
            ),
            together,
            alone,
        )


NO_RATE = optax.scale(-0.1)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: optim.l1(-0.1), ValueError, "l1: strength is -0.1"),
        (lambda: optim.l2(float("nan")), ValueError, "l2: strength is nan"),
        (lambda: optim.elastic(0.1, -0.2), ValueError, "elastic: l2 is -0.2"),
        (lambda: optim.elastic(-0.1, 0.2), ValueError, "elastic: l1 is -0.1"),
        (lambda: optim.max_norm(0.0), ValueError, "max_norm: limit is 0.0"),
        (lambda: optim.adaptive_clip(0.0), ValueError, "adaptive_clip: limit is 0.0"),
        (lambda: optim.adaptive_clip(eps=0.0), ValueError, "adaptive_clip: eps is 0.0"),
        (lambda: optim.proximal_l1(NO_RATE, 0.1), ValueError, "proximal_l1: the optimizer keeps"),
        (lambda: optim.proximal_l1(optim.sgd(0.1), 0.1, "no"), ValueError, "pattern 'no' matches"),
        (lambda: optim.l2(0.1, "*/kernel"), ValueError, "l2: pattern '\\*/kernel' matches nothing"),
    ],
)
def test_unusable_arguments_are_refused(make, error, words):
    with pytest.raises(error, match=words):
        make().init(tree(0))


@pytest.mark.parametrize("name", ["l1", "l2", "max_norm", "adaptive_clip"])
def test_without_parameters_the_error_says_so(name):
    transform = getattr(optim, name)(0.1)
    with pytest.raises(ValueError, match=rf"{name}: params is None"):
        transform.update(jnp.ones(2), transform.init(jnp.ones(2)))

"""The optimizers against torch.optim and against their equations in NumPy, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import optim

STEPS = 300
RATE = 0.05

# name -> (ours, torch's class and arguments, the equations in NumPy)
OPTIMIZERS = {
    "sgd": (lambda: optim.sgd(RATE), ("SGD", {}), lambda: momentum_rule(0.0, False)),
    "momentum": (
        lambda: optim.momentum(RATE, 0.8),
        ("SGD", {"momentum": 0.8}),
        lambda: momentum_rule(0.8, False),
    ),
    "nesterov": (
        lambda: optim.nesterov(RATE, 0.8),
        ("SGD", {"momentum": 0.8, "nesterov": True}),
        lambda: momentum_rule(0.8, True),
    ),
    "adam": (
        lambda: optim.adam(RATE, 0.8, 0.95, 1e-3),
        ("Adam", {"betas": (0.8, 0.95), "eps": 1e-3}),
        lambda: adam_rule(0.8, 0.95, 1e-3, 0.0),
    ),
    "adamw": (
        lambda: optim.adamw(RATE, 0.8, 0.95, 1e-3, weight_decay=0.1),
        ("AdamW", {"betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
        lambda: adam_rule(0.8, 0.95, 1e-3, 0.1),
    ),
}
DEFAULTS = {
    "momentum": (optim.momentum, "SGD", {"momentum": 0.9}),
    "adam": (optim.adam, "Adam", {}),
    "adamw": (optim.adamw, "AdamW", {}),
}


def momentum_rule(decay, nesterov):
    m = 0.0

    def rule(g, theta):
        nonlocal m
        m = decay * m + g
        return theta - RATE * (g + decay * m if nesterov else m)

    return rule


def adam_rule(b1, b2, eps, weight_decay):
    m, v, t = 0.0, 0.0, 0

    def rule(g, theta):
        nonlocal m, v, t
        t += 1
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        m_hat, v_hat = m / (1 - b1**t), v / (1 - b2**t)
        return theta - RATE * (m_hat / (np.sqrt(v_hat) + eps) + weight_decay * theta)

    return rule


def problem():
    """A small logistic regression: inputs, labels and the initial weights and bias."""
    random = np.random.default_rng(0)
    x = random.normal(size=(24, 4))
    y = (x @ random.normal(size=4) + 0.3 * random.normal(size=24) > 0).astype(float)
    return x, y, random.normal(size=4), np.array(0.7)


def ours(optimizer, steps=STEPS, dtype=jnp.float64):
    """The trajectory of (w, b) as rows of an array (steps, 5)."""
    x, y, w, b = (jnp.asarray(part, dtype) for part in problem())

    def loss(params):
        z = x @ params["dense"]["w"] + params["dense"]["b"]
        return jnp.mean(jnp.logaddexp(z, jnp.zeros_like(z)) - y * z)

    def step(carry, _):
        params, state = carry
        updates, state = optimizer.update(jax.grad(loss)(params), state, params)
        params = optim.apply_updates(params, updates)
        return (params, state), jnp.append(params["dense"]["w"], params["dense"]["b"])

    params = {"dense": {"w": w, "b": b}}
    return jax.lax.scan(step, (params, optimizer.init(params)), length=steps)[1]


def in_numpy(rule):
    x, y, w, b = problem()
    theta, rows = np.append(w, b), []
    for _ in range(STEPS):
        error = 1 / (1 + np.exp(-(x @ theta[:4] + theta[4]))) - y
        theta = rule(np.append(x.T @ error, error.sum()) / len(y), theta)
        rows.append(theta)
    return np.array(rows)


def in_torch(kind, arguments):
    torch = pytest.importorskip("torch")
    x, y, w, b = (torch.tensor(part, dtype=torch.float64) for part in problem())
    w.requires_grad_(), b.requires_grad_()
    optimizer, rows = getattr(torch.optim, kind)([w, b], lr=RATE, **arguments), []
    for _ in range(STEPS):
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(x @ w + b, y).backward()
        optimizer.step()
        rows.append(np.append(w.detach().numpy(), b.detach().numpy()))
    return np.array(rows)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_trajectory_is_that_of_the_equations(name):
    make, _, rule = OPTIMIZERS[name]
    with jax.enable_x64(True):
        np.testing.assert_allclose(ours(make()), in_numpy(rule()), rtol=1e-10)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_trajectory_is_that_of_torch(name):
    make, (kind, arguments), _ = OPTIMIZERS[name]
    with jax.enable_x64(True):
        np.testing.assert_allclose(ours(make()), in_torch(kind, arguments), rtol=1e-10)


@pytest.mark.parametrize("name", DEFAULTS)
def test_defaults_are_those_of_torch(name):
    make, kind, arguments = DEFAULTS[name]
    with jax.enable_x64(True):
        np.testing.assert_allclose(ours(make(RATE)), in_torch(kind, arguments), rtol=1e-10)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_float32_stays_near_float64(name):
    make = OPTIMIZERS[name][0]
    with jax.enable_x64(True):
        exact = ours(make())
    np.testing.assert_allclose(ours(make(), dtype=jnp.float32), exact, rtol=1e-4, atol=1e-5)


def test_schedule_gives_each_step_its_rate():
    rates = np.array([0.5, 0.25, 0.125])
    optimizer = optim.sgd(lambda step: jnp.asarray(rates, jnp.float32)[step])
    state, params = optimizer.init(jnp.zeros(1)), jnp.zeros(1)
    for rate in rates:
        updates, state = optimizer.update(jnp.ones(1), state, params)
        assert updates.item() == -rate


@pytest.mark.parametrize("name", ["sgd", "momentum", "nesterov", "adam", "adamw"])
def test_many_rates_in_one_program_equal_a_loop(name, compiles):
    def final(rate):
        return ours(getattr(optim, name)(rate), 20, jnp.float32)[-1]

    rates = jnp.logspace(-4, -1, 64)
    together, alone = jax.jit(jax.vmap(final)), jax.jit(final)
    loop = np.array([alone(rate) for rate in rates])
    np.testing.assert_allclose(together(rates), loop, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(final(float(rates[40])), loop[40], rtol=1e-5, atol=1e-6)
    assert len(np.unique(loop, axis=0)) == 64
    assert compiles.count("jit(final)") == 2  # together and alone


@pytest.mark.parametrize(
    ("x64", "dtype"),
    [
        (False, jnp.bfloat16),
        (False, jnp.float32),
        (True, jnp.bfloat16),
        (True, jnp.float32),
        (True, jnp.float64),
    ],
)
def test_every_number_may_be_traced_at_any_precision(x64, dtype):
    def final(rate, decay, b2, eps, wd):
        adamw = optim.adamw(rate, decay, b2, eps, weight_decay=wd, decayed="*/w")
        chain = optim.chain(optim.clip_by_norm(rate * 9), optim.clip_by_value(rate), adamw)
        averaged = optim.chain(chain, optim.momentum(rate, decay), optim.ema(decay))
        return ours(averaged, 5, dtype)[-1]

    with jax.enable_x64(x64):
        values = (0.1, 0.8, 0.9, 1e-3, 0.2)
        traced = jax.jit(final)(*(jnp.asarray(value, float) for value in values))
        known = jax.jit(lambda: final(*values))()
        assert traced.dtype == known.dtype == dtype
        tolerance = 2e-2 if dtype == jnp.bfloat16 else 1e-4
        np.testing.assert_allclose(traced.astype(float), known.astype(float), rtol=tolerance)


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_dtypes_are_stable_and_the_second_step_compiles_nothing(name, dtype, x64, compiles):
    with jax.enable_x64(x64):
        optimizer = optim.chain(optim.clip_by_norm(1.0), OPTIMIZERS[name][0](), optim.ema(0.9))
        params = {"dense": {"w": jnp.ones((2, 3), dtype), "b": jnp.ones(3, dtype)}}
        state = optimizer.init(params)
        before = avals(state)

        @jax.jit
        def step(params, state):
            updates, state = optimizer.update(params, state, params)
            return optim.apply_updates(params, updates), state

        for _ in range(3):
            params, state = step(params, state)
        assert compiles.count("jit(step)") == 1
        assert avals(state) == before
        assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(dtype)}
        assert {leaf.dtype for leaf in jax.tree.leaves(state)} <= {jnp.dtype("f4"), jnp.dtype("i4")}


def avals(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.weak_type), tree)


def test_bfloat16_parameters_get_accurate_moments():
    """With β₂ = 0.999 kept in bfloat16, v would grow to a sum that never decays."""
    optimizer, params = optim.adam(1.0), jnp.zeros(1, jnp.bfloat16)
    state = optimizer.init(params)
    update = jax.jit(optimizer.update)
    for scale in [8.0] * 50 + [0.125] * 3000:
        updates, state = update(jnp.full(1, scale, jnp.bfloat16), state, params)
    v = 0.001 * 64 * sum(0.999 ** (3049 - i) for i in range(50))
    v += 0.001 * 0.125**2 * sum(0.999 ** (3049 - i) for i in range(50, 3050))
    expected = -0.125 / np.sqrt(v / (1 - 0.999**3050))
    assert updates.dtype == jnp.bfloat16
    np.testing.assert_allclose(updates.astype(float), expected, rtol=1e-2)


def test_weight_decay_reaches_only_the_matched_paths():
    params = {"a": {"w": jnp.full(2, 3.0), "b": jnp.full(2, 3.0)}, "w": jnp.full(2, 3.0)}
    zeros = jax.tree.map(jnp.zeros_like, params)
    expected = {
        "*": {"a": {"w": -0.15, "b": -0.15}, "w": -0.15},
        "*/w": {"a": {"w": -0.15, "b": 0.0}, "w": 0.0},
        ("*/b", "w"): {"a": {"w": 0.0, "b": -0.15}, "w": -0.15},
    }
    for decayed, updates in expected.items():
        optimizer = optim.adamw(0.5, weight_decay=0.1, decayed=decayed)
        got, _ = optimizer.update(zeros, optimizer.init(params), params)
        for leaf, want in zip(jax.tree.leaves(got), jax.tree.leaves(updates), strict=True):
            np.testing.assert_allclose(leaf, np.full(2, want), rtol=1e-6)


TRANSFORMS = {
    **{name: row[0] for name, row in OPTIMIZERS.items()},
    "clip_by_norm": lambda: optim.clip_by_norm(1.0),
    "clip_by_value": lambda: optim.clip_by_value(1.0),
    "ema": lambda: optim.ema(0.9),
    "freeze": lambda: optim.freeze(),
    "scale_by_rate": lambda: optim.scale_by_rate(0.1),
    "select": lambda: optim.select({"*/b": optim.freeze(), "*": optim.adam(0.1)}),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_takes_the_extra_arguments_of_the_training_step(name):
    transform = TRANSFORMS[name]()
    params = {"dense": {"w": jnp.ones(3), "b": jnp.ones(3)}}
    state = transform.init(params)
    plain = transform.update(params, state, params)
    extra = transform.update(
        params, state, params, value=jnp.ones(()), grad=params, value_fn=lambda params: 1.0
    )
    jax.tree.map(np.testing.assert_array_equal, plain, extra)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_jit_equals_eager(name):
    transform = TRANSFORMS[name]()
    params = {"dense": {"w": jnp.linspace(-2.0, 2.0, 3), "b": jnp.ones(3)}}
    state = transform.init(params)
    eager, jitted = (
        f(params, state, params) for f in (transform.update, jax.jit(transform.update))
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), eager, jitted)


@pytest.mark.parametrize(
    "make", [optim.sgd, optim.momentum, optim.nesterov, optim.adam, optim.adamw]
)
@pytest.mark.parametrize("rate", [0.0, -1e-3, float("nan"), float("inf"), jnp.float32(-1.0)])
def test_unusable_rates_are_refused(make, rate):
    with pytest.raises(ValueError, match=rf"{make.__name__}: rate is .*above 0.*rate=1e-3"):
        make(rate)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: optim.sgd("fast"), TypeError, "sgd: rate is 'fast'; expected a real number"),
        (lambda: optim.sgd(True), TypeError, "sgd: rate is True"),
        (lambda: optim.sgd(1j), TypeError, "sgd: rate is 1j; expected a real number"),
        (lambda: optim.sgd(np.ones(3)), ValueError, r"shape \(3,\).*jax.vmap"),
        (lambda: optim.adam(lambda step: -0.1), ValueError, "adam: the schedule's rate at step 0"),
        (lambda: optim.adam(lambda step: None), TypeError, "adam: the schedule's rate at step 0"),
        (lambda: optim.momentum(0.1, 1.0), ValueError, r"momentum: decay is 1.0.*\[0, 1\)"),
        (lambda: optim.momentum(0.1, -0.1), ValueError, "momentum: decay is -0.1"),
        (lambda: optim.nesterov(0.1, 2), ValueError, "nesterov: decay is 2"),
        (lambda: optim.adam(0.1, b1=1.0), ValueError, "adam: b1 is 1.0"),
        (lambda: optim.adam(0.1, b2=-1.0), ValueError, "adam: b2 is -1.0"),
        (lambda: optim.adam(0.1, eps=0.0), ValueError, "adam: eps is 0.0"),
        (lambda: optim.adamw(0.1, b1=float("nan")), ValueError, "adamw: b1 is nan"),
        (lambda: optim.adamw(0.1, weight_decay=-0.1), ValueError, "adamw: weight_decay is -0.1"),
        (
            lambda: optim.adamw(0.1, decayed="*/kernel").init({"dense": {"w": jnp.ones(1)}}),
            ValueError,
            "adamw: pattern '\\*/kernel' matches nothing.*dense/w",
        ),
    ],
)
def test_unusable_arguments_are_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()

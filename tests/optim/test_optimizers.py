"""The optimizers against torch.optim and against their equations in NumPy, in float64."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import optim

from . import rules

STEPS = 1000
RATE = 0.003

# name -> (ours, torch's class and arguments or None, the equations in NumPy)
OPTIMIZERS = {
    "sgd": (lambda: optim.sgd(RATE), ("SGD", {}), lambda: rules.momentum(RATE, 0.0)),
    "momentum": (
        lambda: optim.momentum(RATE, 0.8),
        ("SGD", {"momentum": 0.8}),
        lambda: rules.momentum(RATE, 0.8),
    ),
    "momentum_velocity": (
        lambda: optim.momentum_velocity(RATE, 0.8),
        ("SGD", {"momentum": 0.8}),
        lambda: rules.velocity(RATE, 0.8),
    ),
    "momentum_average": (
        lambda: optim.momentum_average(RATE / 0.2, 0.8),
        ("SGD", {"momentum": 0.8}),
        lambda: rules.velocity(RATE / 0.2, 0.8, damped=True),
    ),
    "nesterov": (
        lambda: optim.nesterov(RATE, 0.8),
        ("SGD", {"momentum": 0.8, "nesterov": True}),
        lambda: rules.momentum(RATE, 0.8, nesterov=True),
    ),
    "adam": (
        lambda: optim.adam(RATE, 0.8, 0.95, 1e-3),
        ("Adam", {"betas": (0.8, 0.95), "eps": 1e-3}),
        lambda: rules.adam(RATE, 0.8, 0.95, 1e-3),
    ),
    "adam_root": (
        lambda: optim.adam(RATE, 0.8, 0.95, 0.0, eps_root=1e-3),
        None,
        lambda: rules.adam(RATE, 0.8, 0.95, 0.0, 1e-3),
    ),
    "adamw": (
        lambda: optim.adamw(RATE, 0.8, 0.95, 1e-3, weight_decay=0.1),
        ("AdamW", {"betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
        lambda: rules.adam(RATE, 0.8, 0.95, 1e-3, weight_decay=0.1),
    ),
    "nadam": (
        lambda: optim.nadam(RATE, 0.8, 0.95, 1e-3),
        # torch warms β₁ up by 1 − ½ · 0.96^(t d): with a large d not at all.
        ("NAdam", {"betas": (0.8, 0.95), "eps": 1e-3, "momentum_decay": 1e9}),
        lambda: rules.adam(RATE, 0.8, 0.95, 1e-3, nesterov=True),
    ),
    "amsgrad": (
        lambda: optim.amsgrad(RATE, 0.8, 0.95, 1e-3),
        ("Adam", {"betas": (0.8, 0.95), "eps": 1e-3, "amsgrad": True}),
        lambda: rules.amsgrad(RATE, 0.8, 0.95, 1e-3),
    ),
    "adamax": (
        lambda: optim.adamax(RATE, 0.8, 0.95, 1e-3),
        ("Adamax", {"betas": (0.8, 0.95), "eps": 1e-3}),
        lambda: rules.adamax(RATE, 0.8, 0.95, 1e-3),
    ),
    "radam": (
        lambda: optim.radam(RATE, 0.8, 0.95, 1e-3),
        None,  # torch divides by √v + ε before freeing v of its start, not by √v̂ + ε
        lambda: rules.radam(RATE, 0.8, 0.95, 1e-3),
    ),
    "adagrad": (
        lambda: optim.adagrad(RATE, 1e-3),
        ("Adagrad", {"eps": 1e-3}),
        lambda: rules.adagrad(RATE, 1e-3),
    ),
    "adagrad_root": (
        lambda: optim.adagrad(RATE, 1e-3, eps_root=1e-4),
        None,
        lambda: rules.adagrad(RATE, 1e-3, 1e-4),
    ),
    "rmsprop": (
        lambda: optim.rmsprop(RATE, 0.8, 1e-3),
        ("RMSprop", {"alpha": 0.8, "eps": 1e-3}),
        lambda: rules.rmsprop(RATE, 0.8, 1e-3),
    ),
    "rmsprop_momentum": (
        lambda: optim.rmsprop(RATE, 0.8, 1e-3, momentum=0.7),
        ("RMSprop", {"alpha": 0.8, "eps": 1e-3, "momentum": 0.7}),
        lambda: rules.rmsprop(RATE, 0.8, 1e-3, 0.7),
    ),
    "rmsprop_root": (
        lambda: optim.rmsprop(RATE, 0.8, 0.0, momentum=0.7, eps_root=1e-3),
        None,
        lambda: rules.rmsprop(RATE, 0.8, 0.0, 0.7, 1e-3),
    ),
    "rmsprop_centered": (
        lambda: optim.rmsprop(RATE, 0.8, 1e-3, momentum=0.7, centered=True),
        ("RMSprop", {"alpha": 0.8, "eps": 1e-3, "momentum": 0.7, "centered": True}),
        lambda: rules.rmsprop(RATE, 0.8, 1e-3, 0.7, centered=True),
    ),
    "rmsprop_centered_root": (
        lambda: optim.rmsprop(RATE, 0.8, 0.0, eps_root=1e-3, centered=True),
        None,
        lambda: rules.rmsprop(RATE, 0.8, 0.0, eps_root=1e-3, centered=True),
    ),
    "adadelta": (
        lambda: optim.adadelta(RATE, 0.8, 1e-3),
        ("Adadelta", {"rho": 0.8, "eps": 1e-3}),
        lambda: rules.adadelta(RATE, 0.8, 1e-3),
    ),
    "rprop": (
        lambda: optim.rprop(RATE, shrink=0.4, grow=1.3, smallest=1e-5, largest=0.3),
        ("Rprop", {"etas": (0.4, 1.3), "step_sizes": (1e-5, 0.3)}),
        lambda: rules.rprop(RATE, 0.4, 1.3, 1e-5, 0.3),
    ),
    "lion": (
        lambda: optim.lion(RATE, 0.8, 0.95, weight_decay=0.1),
        None,
        lambda: rules.lion(RATE, 0.8, 0.95, 0.1),
    ),
}
IN_TORCH = [name for name, row in OPTIMIZERS.items() if row[1]]
DEFAULTS = {
    "momentum": (optim.momentum, "SGD", {"momentum": 0.9}),
    "momentum_velocity": (optim.momentum_velocity, "SGD", {"momentum": 0.9}),
    "adam": (optim.adam, "Adam", {}),
    "adamw": (optim.adamw, "AdamW", {}),
    "nadam": (optim.nadam, "NAdam", {"momentum_decay": 1e9}),
    "radam": (lambda rate: optim.radam(rate, eps=1e-16), "RAdam", {"eps": 1e-16}),
    "amsgrad": (optim.amsgrad, "Adam", {"amsgrad": True}),
    "adamax": (optim.adamax, "Adamax", {}),
    "adagrad": (optim.adagrad, "Adagrad", {}),
    "rmsprop": (lambda rate: optim.rmsprop(rate, 0.99), "RMSprop", {}),
    "adadelta": (optim.adadelta, "Adadelta", {}),
    "rprop": (optim.rprop, "Rprop", {}),
}


def problem():
    """A small logistic regression: inputs, labels and the initial weights and bias."""
    random = np.random.default_rng(0)
    x = random.normal(size=(24, 4))
    # Noise enough that no plane separates the classes: the optimum is finite.
    y = (x @ random.normal(size=4) + 3 * random.normal(size=24) > 0).astype(float)
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


def in_torch(torch, kind, arguments):
    x, y, w, b = (torch.tensor(part, dtype=torch.float64) for part in problem())
    w.requires_grad_(), b.requires_grad_()
    optimizer, rows = getattr(torch.optim, kind)([w, b], lr=RATE, **arguments), []
    for _ in range(STEPS):
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(x @ w + b, y).backward()
        optimizer.step()
        rows.append(np.append(w.detach().numpy(), b.detach().numpy()))
    return np.array(rows)


@functools.cache
def exact(name):
    with jax.enable_x64(True):
        return np.asarray(ours(OPTIMIZERS[name][0]()))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_trajectory_is_that_of_the_equations(name):
    np.testing.assert_allclose(exact(name), in_numpy(OPTIMIZERS[name][2]()), rtol=1e-10)


@pytest.mark.parametrize("name", IN_TORCH)
def test_trajectory_is_that_of_torch(torch, name):
    kind, arguments = OPTIMIZERS[name][1]
    np.testing.assert_allclose(exact(name), in_torch(torch, kind, arguments), rtol=1e-10)


@pytest.mark.parametrize("name", DEFAULTS)
def test_defaults_are_those_of_torch(torch, name):
    make, kind, arguments = DEFAULTS[name]
    with jax.enable_x64(True):
        np.testing.assert_allclose(ours(make(RATE)), in_torch(torch, kind, arguments), rtol=1e-10)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_float32_stays_near_float64(name):
    wide = exact(name)
    narrow = ours(OPTIMIZERS[name][0](), dtype=jnp.float32)
    np.testing.assert_allclose(narrow, wide, rtol=1e-4, atol=1e-5)


def test_schedule_gives_each_step_its_rate():
    rates = np.array([0.5, 0.25, 0.125])
    optimizer = optim.sgd(lambda step: jnp.asarray(rates, jnp.float32)[step])
    state, params = optimizer.init(jnp.zeros(1)), jnp.zeros(1)
    for rate in rates:
        updates, state = optimizer.update(jnp.ones(1), state, params)
        assert updates.item() == -rate


MOMENTA = {
    "momentum": lambda rates, i, t: rates[t] * 0.8 ** (t - i),
    "momentum_velocity": lambda rates, i, t: rates[i] * 0.8 ** (t - i),
    "momentum_average": lambda rates, i, t: 0.2 * rates[i] * 0.8 ** (t - i),
}


@pytest.mark.parametrize("name", MOMENTA)
def test_a_schedule_s_rate_stands_inside_or_outside_the_momentum(name):
    """Each step is a weighted sum of all gradients so far, the weights as the docstrings say."""
    random = np.random.default_rng(3)
    rates, gradients = random.uniform(0.1, 1.0, 30), random.normal(size=(30, 4))
    with jax.enable_x64(True):
        table = jnp.asarray(rates)
        optimizer = getattr(optim, name)(lambda step: table[step], 0.8)
        state = optimizer.init(jnp.zeros(4))
        update = jax.jit(optimizer.update)
        for t in range(30):
            step, state = update(jnp.asarray(gradients[t]), state)
            expected = -sum(MOMENTA[name](rates, i, t) * gradients[i] for i in range(t + 1))
            np.testing.assert_allclose(step, expected, rtol=1e-10, atol=1e-14)
            np.testing.assert_allclose(optim.rate(state), rates[t], rtol=1e-6)


def test_rprop_reads_the_signs_of_gradients_whose_product_underflows():
    optimizer, gradient = optim.rprop(0.1), jnp.array([1e-30, -1e-30])
    state = optimizer.init(gradient)
    for expected in (0.1, 0.12, 0.144):
        updates, state = optimizer.update(gradient, state)
        np.testing.assert_allclose(updates, [-expected, expected], rtol=1e-6)


def test_rmsprop_without_momentum_keeps_none():
    assert len(jax.tree.leaves(optim.rmsprop(0.1).init(jnp.ones(2)))) == 3  # s, count and rate
    assert len(jax.tree.leaves(optim.rmsprop(0.1, momentum=0.9).init(jnp.ones(2)))) == 4


def test_centered_rmsprop_is_finite_where_the_gradient_is_steady():
    """The mean square less the squared mean is there of either sign, by rounding."""
    g = jnp.asarray(np.random.default_rng(0).uniform(0.1, 10, 1000), jnp.float32)
    optimizer = optim.rmsprop(1.0, 0.9, 0.0, eps_root=1e-2, centered=True)
    update, state = jax.jit(optimizer.update), optimizer.init(g)
    for t in range(1, 401):
        step, state = update(g, state)
        variance = 0.9**t * (1 - 0.9**t) * np.square(np.asarray(g, float))
        np.testing.assert_allclose(step, -g / np.sqrt(variance + 1e-2), rtol=1e-4)


def test_adam_with_eps_in_the_root_has_a_derivative_at_zero():
    def step(g, **eps):
        optimizer = optim.adam(1.0, **eps)
        return optimizer.update(g, optimizer.init(g))[0]

    inside = jax.grad(lambda g: step(g, eps=0.0, eps_root=1e-4))(jnp.zeros(()))
    np.testing.assert_allclose(inside, -100.0, rtol=1e-5)
    assert not np.isfinite(jax.grad(step)(jnp.zeros(())))


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
    for make, (decayed, updates) in itertools.product((optim.adamw, optim.lion), expected.items()):
        optimizer = make(0.5, weight_decay=0.1, decayed=decayed)
        got, _ = optimizer.update(zeros, optimizer.init(params), params)
        for leaf, want in zip(jax.tree.leaves(got), jax.tree.leaves(updates), strict=True):
            np.testing.assert_allclose(leaf, np.full(2, want), rtol=1e-6)


TRANSFORMS = {
    **{name: row[0] for name, row in OPTIMIZERS.items()},
    "average": lambda: optim.average(),
    "clip_by_norm": lambda: optim.clip_by_norm(1.0),
    "clip_by_value": lambda: optim.clip_by_value(1.0),
    "delayed": lambda: optim.delayed(optim.adam(0.1), 0),
    "dilution": lambda: optim.dilution(jax.random.key(0), 0.5),
    "ema": lambda: optim.ema(0.9),
    "freeze": lambda: optim.freeze(),
    "layerwise_decay": lambda: optim.layerwise_decay(optim.adam(0.1), ["*/w", "*/b"], 0.5),
    "rewind_nonfinite": lambda: optim.rewind_nonfinite(optim.adam(0.1)),
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
    "make",
    [
        optim.sgd,
        optim.momentum,
        optim.momentum_velocity,
        optim.momentum_average,
        optim.nesterov,
        optim.adam,
        optim.adamw,
        optim.nadam,
        optim.radam,
        optim.amsgrad,
        optim.adamax,
        optim.adagrad,
        optim.rmsprop,
        optim.adadelta,
        optim.rprop,
        optim.lion,
        optim.lars,
        optim.lamb,
        optim.muon,
        optim.adafactor,
    ],
)
@pytest.mark.parametrize("rate", [0.0, -1e-3, float("nan"), float("inf"), jnp.float32(-1.0)])
def test_unusable_rates_are_refused(make, rate):
    with pytest.raises(ValueError, match=rf"{make.__name__}: rate is .*above 0.*rate=1e-"):
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
        (lambda: optim.momentum_velocity(0.1, 1.0), ValueError, "momentum_velocity: decay is 1.0"),
        (lambda: optim.momentum_average(0.1, 1.0), ValueError, "momentum_average: decay is 1.0"),
        (lambda: optim.nadam(0.1, b1=1.0), ValueError, "nadam: b1 is 1.0"),
        (lambda: optim.radam(0.1, b2=1.0), ValueError, "radam: b2 is 1.0"),
        (lambda: optim.radam(0.1, eps=0.0), ValueError, "radam: eps is 0.0"),
        (lambda: optim.amsgrad(0.1, b1=1.0), ValueError, "amsgrad: b1 is 1.0"),
        (lambda: optim.amsgrad(0.1, eps=0.0), ValueError, "amsgrad: eps is 0.0"),
        (lambda: optim.adamax(0.1, b2=1.0), ValueError, "adamax: b2 is 1.0"),
        (lambda: optim.adamax(0.1, eps=0.0), ValueError, "adamax: eps is 0.0"),
        (lambda: optim.adam(0.1, eps_root=-1.0), ValueError, "adam: eps_root is -1.0"),
        (lambda: optim.adam(0.1, eps=-1.0, eps_root=1.0), ValueError, "adam: eps is -1.0"),
        (lambda: optim.adagrad(0.1, 0.0), ValueError, "adagrad: eps is 0.0"),
        (lambda: optim.rmsprop(0.1, 1.0), ValueError, "rmsprop: decay is 1.0"),
        (lambda: optim.rmsprop(0.1, momentum=1.0), ValueError, "rmsprop: momentum is 1.0"),
        (lambda: optim.adadelta(decay=-0.1), ValueError, "adadelta: decay is -0.1"),
        (lambda: optim.adadelta(eps=0.0), ValueError, "adadelta: eps is 0.0"),
        (lambda: optim.rprop(lambda step: 0.1), TypeError, "rprop: rate is <function"),
        (lambda: optim.rprop(0.1, shrink=1.0), ValueError, "rprop: shrink is 1.0"),
        (lambda: optim.rprop(0.1, shrink=0.0), ValueError, "rprop: shrink is 0.0"),
        (lambda: optim.rprop(0.1, grow=0.9), ValueError, "rprop: grow is 0.9"),
        (lambda: optim.rprop(0.1, largest=0.0), ValueError, "rprop: largest is 0.0"),
        (lambda: optim.lion(0.1, b2=1.0), ValueError, "lion: b2 is 1.0"),
        (lambda: optim.lion(0.1, b2=0.0), ValueError, "lion: b2 is 0.0"),
        (lambda: optim.lion(0.1, weight_decay=-1.0), ValueError, "lion: weight_decay is -1.0"),
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

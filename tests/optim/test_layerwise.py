"""Layerwise optimizers against torch and NumPy in float64, and on stacked layers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn, optim

STEPS = 1000
RATE = 0.003


def problem():
    """Least squares, its optimum too far to reach: inputs, targets, initial weights and biases."""
    random = np.random.default_rng(3)
    x, y, w, b = (random.normal(size=shape) for shape in ((20, 4), (20, 3), (4, 3), (3,)))
    return x, y + x @ random.normal(20, 5, (4, 3)) + 30, w, b


def ours(optimizer):
    """The trajectories of w (steps, 4, 3) and b (steps, 3)."""
    x, y, w, b = map(jnp.asarray, problem())

    def loss(params):
        return jnp.mean(jnp.square(x @ params["w"] + params["b"][None] - y))

    def step(carry, _):
        params, state = carry
        updates, state = optimizer.update(jax.grad(loss)(params), state, params)
        params = optim.apply_updates(params, updates)
        return (params, state), params

    params = {"w": w, "b": b}
    return jax.lax.scan(step, (params, optimizer.init(params)), length=STEPS)[1]


def in_numpy(rule):
    x, y, w, b = problem()
    rules, rows = {"w": rule(), "b": rule()}, {"w": [], "b": []}
    theta = {"w": w, "b": b}
    for _ in range(STEPS):
        error = 2 * (x @ theta["w"] + theta["b"] - y) / y.size
        gradients = {"w": x.T @ error, "b": error.sum(0)}
        theta = {name: rules[name](gradients[name], theta[name]) for name in theta}
        for name in theta:
            rows[name].append(theta[name])
    return rows


def lars_rule():
    v = 0.0

    def rule(g, w):
        nonlocal v
        ratio = 0.1 * np.linalg.norm(w) / (np.linalg.norm(g) + 0.2 * np.linalg.norm(w))
        v = 0.8 * v + RATE * ratio * (g + 0.2 * w)
        return w - v

    return rule


def lamb_rule():
    m, v, t = 0.0, 0.0, 0

    def rule(g, w):
        nonlocal m, v, t
        t += 1
        m, v = 0.8 * m + 0.2 * g, 0.95 * v + 0.05 * g**2
        r = m / (1 - 0.8**t) / (np.sqrt(v / (1 - 0.95**t)) + 1e-3) + 0.02 * w
        return w - RATE * np.linalg.norm(w) / np.linalg.norm(r) * r

    return rule


def muon_rule():
    m = 0.0

    def rule(g, w):
        nonlocal m
        m = 0.8 * m + g
        x = g + 0.8 * m
        x = x.reshape(-1, x.shape[-1])
        x = x / (np.linalg.norm(x) + 1e-3)
        for _ in range(4):
            a = x @ x.T
            x = 3.4445 * x - 4.7750 * a @ x + 2.0315 * a @ a @ x
        scale = np.sqrt(max(1, x.shape[1] / x.shape[0]))
        return w - RATE * (scale * x.reshape(w.shape) + 0.2 * w)

    return rule


def adafactor_rule():
    v, t = 0.0, 0

    def rule(g, w):
        nonlocal v, t
        t += 1
        beta = 1 - t**-0.7
        squares = g**2 + 1e-3
        if g.ndim == 2:
            r, c = (0.0, 0.0) if t == 1 else v
            v = beta * r + (1 - beta) * squares.sum(1), beta * c + (1 - beta) * squares.sum(0)
            square = np.outer(*v) / v[0].sum()
        else:
            v = square = beta * v + (1 - beta) * squares
        u = g / np.sqrt(square)
        rms = lambda a: np.sqrt(np.mean(a**2))  # noqa: E731
        return w - RATE * max(0.5, rms(w)) * u / max(1, rms(u) / 0.9)

    return rule


RULES = {
    "lars": (lambda: optim.lars(RATE, 0.8, trust=0.1, weight_decay=0.2), lars_rule),
    "lamb": (lambda: optim.lamb(RATE, 0.8, 0.95, 1e-3, weight_decay=0.02), lamb_rule),
    "muon": (
        lambda: optim.select(
            {
                "w": optim.muon(RATE, 0.8, weight_decay=0.2, steps=4, eps=1e-3),
                "b": optim.sgd(RATE),
            }
        ),
        muon_rule,
    ),
    "adafactor": (
        lambda: optim.adafactor(RATE, 0.7, clip=0.9, smallest=0.5, eps=1e-3),
        adafactor_rule,
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_trajectory_is_that_of_the_equations(name):
    make, rule = RULES[name]
    expected = in_numpy(rule) if name != "muon" else in_numpy_beside_sgd(rule)
    with jax.enable_x64(True):
        got = ours(make())
    for leaf in expected:
        np.testing.assert_allclose(got[leaf], expected[leaf], rtol=1e-10, atol=1e-13)


def in_numpy_beside_sgd(rule):
    made = iter([rule(), lambda g, w: w - RATE * g])
    return in_numpy(lambda: next(made))


def in_torch(torch, optimizer_of, names, steps=STEPS):
    x, y, w, b = (torch.tensor(part) for part in problem())
    theta = {"w": w.requires_grad_(), "b": b.requires_grad_()}
    optimizer, rows = optimizer_of([theta[name] for name in names]), []
    for _ in range(steps):
        optimizer.zero_grad()
        torch.mean((x @ theta["w"] + theta["b"] - y) ** 2).backward()
        optimizer.step()
        rows.append({name: theta[name].detach().numpy().copy() for name in names})
    return {name: np.array([row[name] for row in rows]) for name in names}


def test_adafactor_is_torch_s(torch):
    # torch's rate is min(lr, 1 / √t), and its ε₁ bounds √V from below instead of adding to g².
    make = lambda params: torch.optim.Adafactor(params, lr=RATE, eps=(1e-30, 1e-3), d=1.1)  # noqa: E731
    with jax.enable_x64(True):
        rate = lambda step: jnp.minimum(RATE, jnp.asarray(step + 1, float) ** -0.5)  # noqa: E731
        got = ours(optim.adafactor(rate, clip=1.1))
    expected = in_torch(torch, make, ["w", "b"])
    for leaf in expected:
        np.testing.assert_allclose(got[leaf], expected[leaf], rtol=1e-10)


def test_a_step_of_muon_is_torch_s_within_bfloat16(torch):
    """torch makes the matrix orthogonal in bfloat16; of a matrix as (out, in)."""
    if not hasattr(torch.optim, "Muon"):
        pytest.skip("this torch has no Muon")
    g = np.random.default_rng(5).normal(size=(3, 8))
    w = torch.ones(8, 3, requires_grad=True)
    w.grad = torch.tensor(g.T)
    torch.optim.Muon([w], lr=0.1, weight_decay=0.5).step()
    optimizer = optim.muon(0.1, weight_decay=0.5)
    g = jnp.asarray(g, jnp.float32)
    updates, _ = optimizer.update(g, optimizer.init(g), jnp.ones((3, 8)))
    np.testing.assert_allclose(updates, w.detach().numpy().T - 1, atol=8e-3)
    assert np.abs(updates).max() > 0.1


def test_muon_s_step_has_singular_values_near_one_and_the_gradient_s_vectors():
    g = jnp.asarray(np.random.default_rng(6).normal(size=(5, 4)), jnp.float32)
    optimizer = optim.muon(1.0)
    step, _ = optimizer.update(g, optimizer.init(g), jnp.zeros_like(g))
    u, _, vt = jnp.linalg.svd(g, full_matrices=False)
    inside = -np.asarray(u.T @ step @ vt.T)
    np.testing.assert_allclose(inside, np.diag(np.diag(inside)), atol=1e-5)
    assert (np.diag(inside) > 0.6).all() and (np.diag(inside) < 1.3).all()


def test_muon_takes_a_kernel_as_a_matrix():
    kernel = jnp.asarray(np.random.default_rng(6).normal(size=(3, 3, 2, 4)), jnp.float32)
    optimizer = optim.muon(0.1)
    matrix = kernel.reshape(18, 4)
    flat, _ = optimizer.update(matrix, optimizer.init(matrix), matrix)
    whole, _ = optimizer.update(kernel, optimizer.init(kernel), kernel)
    np.testing.assert_allclose(whole.reshape(18, 4), flat, rtol=1e-5)


LAYERWISE = {
    "lars": lambda stacked: optim.lars(0.1, trust=0.5, weight_decay=0.1, stacked=stacked),
    "lamb": lambda stacked: optim.lamb(0.1, weight_decay=0.1, stacked=stacked),
    "adafactor": lambda stacked: optim.adafactor(0.1, stacked=stacked),
    "muon": lambda stacked: optim.select(
        {"*/w": optim.muon(0.1, weight_decay=0.1, stacked=stacked), "*": optim.sgd(0.1)}
    ),
}


def stacked_and_unrolled():
    """Parameters of repeated layers, in repeated layers, and the same ones a layer at a time."""
    model = nn.serial(nn.dense(4), nn.repeat(nn.serial(nn.dense(4), nn.repeat(nn.dense(4), 2)), 3))
    params = model.init(jax.random.key(0), jnp.zeros((1, 5))).params
    random = np.random.default_rng(4)
    params = jax.tree.map(lambda p: jnp.asarray(random.normal(size=p.shape), jnp.float32), params)
    return model, params


def unrolled(params, counts):
    """Every layer's slice as a leaf whose path ends in the name that patterns select by."""
    tree, rows = {}, zip(optim.paths(params), *map(jax.tree.leaves, (params, counts)), strict=True)
    for path, leaf, count in rows:
        for i, layer in enumerate(leaf.reshape(-1, *leaf.shape[count:])):
            tree[f"{path} {i}"] = {path.split("/")[-1]: layer}
    return tree


def steps(optimizer, params, n=3):
    @jax.jit
    def step(params, state):
        gradient = jax.tree.map(lambda p: jnp.sin(3 * p), params)
        updates, state = optimizer.update(gradient, state, params)
        return optim.apply_updates(params, updates), state

    state = optimizer.init(params)
    for _ in range(n):
        params, state = step(params, state)
    return params


@pytest.mark.parametrize("name", LAYERWISE)
@pytest.mark.parametrize("given", ["function", "tree"])
def test_steps_on_stacked_layers_are_those_on_the_unrolled_layers(name, given):
    model, params = stacked_and_unrolled()
    counts = nn.stacked(model)(params)
    assert set(jax.tree.leaves(counts)) == {0, 1, 2}
    stacked = nn.stacked(model) if given == "function" else counts
    together = unrolled(steps(LAYERWISE[name](stacked), params), counts)
    alone = steps(LAYERWISE[name](None), unrolled(params, counts))
    for one, other in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["lars", "lamb"])
def test_a_layer_of_zeros_moves_and_one_without_a_gradient_stays(name):
    params = {"zeros": jnp.zeros(3), "still": jnp.ones(3)}
    gradient = {"zeros": jnp.ones(3), "still": jnp.zeros(3)}
    optimizer = getattr(optim, name)(0.1)
    updates, _ = optimizer.update(gradient, optimizer.init(params), params)
    np.testing.assert_allclose(updates["zeros"], np.full(3, -0.1), rtol=1e-5)
    np.testing.assert_array_equal(updates["still"], np.zeros(3))


def test_adafactor_keeps_rows_and_columns_of_each_layer():
    params = {"w": jnp.ones((3, 5, 4)), "b": jnp.ones((3, 4))}
    state = optim.adafactor(0.1, stacked={"w": 1, "b": 1}).init(params)[0]
    assert state.count.shape == ()
    assert [leaf.shape for leaf in jax.tree.leaves(state.square)] == [(3, 4), (3, 5), (3, 4)]


PARAMS = {"w": jnp.ones((2, 3, 3)), "b": jnp.ones((2, 3))}


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda: optim.muon(0.1, stacked={"w": 1, "b": 1}),
            ValueError,
            r"muon: b has shape \(2, 3\) with 1 leading.*another optimizer",
        ),
        (lambda: optim.muon(0.1, stacked={"w": 1}), ValueError, "muon: stacked has the structure"),
        (
            lambda: optim.adafactor(0.1, stacked={"w": 1, "b": 3}),
            ValueError,
            r"adafactor: stacked is 3 for b of shape \(2, 3\); .*from 0 to 2",
        ),
        (
            lambda: optim.adafactor(0.1, stacked=lambda params: {"w": 1, "b": 0.5}),
            TypeError,
            "adafactor: stacked is 0.5 for b; .*an int",
        ),
        (lambda: optim.adafactor(0.1, eps=0.0), ValueError, "adafactor: eps is 0.0"),
        (lambda: optim.adafactor(0.1, clip=0.0), ValueError, "adafactor: clip is 0.0"),
        (lambda: optim.lars(0.1, trust=0.0), ValueError, "lars: trust is 0.0"),
        (lambda: optim.lars(0.1, 1.0), ValueError, "lars: decay is 1.0"),
        (lambda: optim.lars(0.1, weight_decay=-1.0), ValueError, "lars: weight_decay is -1.0"),
        (lambda: optim.lamb(0.1, weight_decay=-1.0), ValueError, "lamb: weight_decay is -1.0"),
        (lambda: optim.muon(0.1, steps=0), ValueError, "muon: steps is 0"),
    ],
)
def test_unusable_arguments_are_refused(make, error, words):
    with pytest.raises(error, match=words):
        make().init(PARAMS)


@pytest.mark.parametrize("name", ["lars", "lamb", "adafactor"])
def test_without_parameters_the_error_says_so(name):
    optimizer = getattr(optim, name)(0.1)
    with pytest.raises(ValueError, match=rf"{name}: params is None"):
        optimizer.update(jnp.ones(2), optimizer.init(jnp.ones(2)))

"""The averaged parameters against the sums that define them, and against torch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import optim


def walk(decay, steps, dtype=jnp.float32, start=100.0):
    """The parameters after each update of a random walk, and the average after the last."""
    optimizer = optim.chain(optim.sgd(1.0), optim.ema(decay))
    random = np.random.default_rng(2)
    params = {"w": jnp.full(3, start, dtype)}
    state, visited = optimizer.init(params), []
    for _ in range(steps):
        gradient = {"w": jnp.asarray(random.normal(size=3), dtype)}
        updates, state = optimizer.update(gradient, state, params)
        params = optim.apply_updates(params, updates)
        visited.append(np.asarray(params["w"], float))
    return np.array(visited), optim.evaluated(state, params)["w"], state


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("steps", [1, 2, 30])
def test_average_is_the_debiased_weighted_mean_of_the_visited_parameters(decay, steps):
    with jax.enable_x64(True):
        visited, average, _ = walk(decay, steps, jnp.float64)
    weights = decay ** np.arange(steps - 1, -1, -1.0)
    expected = weights @ visited / weights.sum()
    np.testing.assert_allclose(average, expected, rtol=1e-12)


def test_float32_weights_do_not_cancel():
    visited, average, _ = walk(0.99999, 5, start=0.0)
    weights = 0.99999 ** np.arange(4, -1, -1.0)
    expected = weights @ visited / weights.sum()
    np.testing.assert_allclose(average, expected, atol=1e-6 * np.abs(visited).max())


def test_bfloat16_parameters_are_averaged_in_float32():
    visited, average, state = walk(0.9, 30, jnp.bfloat16)
    weights = 0.9 ** np.arange(29, -1, -1.0)
    assert average.dtype == jnp.bfloat16
    assert state[-1].average["w"].dtype == jnp.float32
    np.testing.assert_allclose(state[-1].average["w"], weights @ visited / weights.sum(), rtol=1e-5)


def test_before_any_update_the_parameters_themselves():
    params = {"w": jnp.arange(3.0)}
    state = optim.chain(optim.adam(0.1), optim.ema(0.9)).init(params)
    np.testing.assert_array_equal(optim.evaluated(state, params)["w"], params["w"])


def test_the_average_never_shares_a_buffer_with_the_parameters():
    params = jnp.arange(3.0)
    for init in (optim.ema(0.9).init, jax.jit(optim.ema(0.9).init), optim.average().init):
        assert init(params).average.unsafe_buffer_pointer() != params.unsafe_buffer_pointer()


def test_under_select_only_its_group_is_averaged():
    params = {"a": jnp.ones(2), "b": jnp.ones(2)}
    averaged = optim.chain(optim.sgd(1.0), optim.ema(0.5))
    optimizer = optim.select({"a": averaged, "*": optim.sgd(1.0)})
    state = optimizer.init(params)
    for _ in range(2):
        updates, state = optimizer.update({"a": jnp.ones(2), "b": jnp.ones(2)}, state, params)
        params = optim.apply_updates(params, updates)
    chosen = jax.jit(optim.evaluated)(state, params)
    np.testing.assert_allclose(chosen["a"], np.full(2, -2 / 3), rtol=1e-6)  # (½·0 + 1·−1) / 1.5
    np.testing.assert_array_equal(chosen["b"], np.full(2, -1.0))


def test_without_parameters_the_error_says_so():
    for name, transform in {"ema": optim.ema(0.9), "average": optim.average()}.items():
        with pytest.raises(
            ValueError, match=rf"{name}: params is None.*update\(gradient, opt_state, params"
        ):
            transform.update(jnp.ones(1), transform.init(jnp.ones(1)))


@pytest.mark.parametrize("decay", [1.0, -0.1, 1.5, float("nan")])
def test_unusable_decays_are_refused(decay):
    with pytest.raises(ValueError, match=r"ema: decay is .*\[0, 1\)"):
        optim.ema(decay)


def mean_of_walk(start, every, steps, dtype=jnp.float64):
    """The parameters after each update of a random walk, and after each what to evaluate with."""
    optimizer = optim.chain(optim.sgd(1.0), optim.average(start, every))
    random = np.random.default_rng(2)

    def step(carry, g):
        params, state = carry
        updates, state = optimizer.update(g, state, params)
        params = optim.apply_updates(params, updates)
        return (params, state), (params, optim.evaluated(state, params))

    params = jnp.full(3, 100.0, dtype)
    g = jnp.asarray(random.normal(size=(steps, 3)), dtype)
    return jax.lax.scan(step, (params, optimizer.init(params)), g)[1]


@pytest.mark.parametrize("start", [0, 1, 5])
@pytest.mark.parametrize("every", [1, 2, 7])
def test_the_mean_is_that_of_the_parameters_after_each_so_many_updates(start, every):
    with jax.enable_x64(True):
        visited, means = map(np.asarray, mean_of_walk(start, every, 40))
    for t in range(1, 41):  # updates made
        taken = visited[start + every - 1 : t : every]
        expected = taken.mean(0) if len(taken) else visited[t - 1]
        np.testing.assert_allclose(means[t - 1], expected, rtol=1e-13)
        if len(taken) < 2:
            np.testing.assert_array_equal(means[t - 1], expected)


def test_of_one_alone_the_mean_is_itself_however_far_it_was_before():
    for transform in (optim.average(), optim.ema(0.9)):
        far, near = jnp.full(3, 1e8), jnp.array([0.1, 1e-9, -3.0])
        _, state = transform.update(jnp.zeros(3), transform.init(far), near)
        np.testing.assert_array_equal(optim.evaluated(state, near), near)


def test_start_and_every_may_be_traced():
    starts, spans = jnp.array([0, 3, 5]), jnp.array([1, 4, 2])
    together = jax.vmap(lambda s, k: mean_of_walk(s, k, 20, jnp.float32)[1])(starts, spans)
    for lane, s, k in zip(together, starts, spans, strict=True):
        np.testing.assert_allclose(lane, mean_of_walk(int(s), int(k), 20, jnp.float32)[1])


def test_the_mean_of_bfloat16_parameters_is_kept_in_float32():
    visited, means = mean_of_walk(10, 1, 30, jnp.bfloat16)
    assert means.dtype == jnp.bfloat16
    exact = np.asarray(visited[10:], float).mean(0)
    np.testing.assert_array_equal(means[-1], jnp.asarray(exact, jnp.float32).astype(jnp.bfloat16))
    np.testing.assert_array_equal(means[:10], visited[:10])


def regression():
    random = np.random.default_rng(5)
    return random.normal(size=(30, 4)), random.normal(size=30), random.normal(size=4)


def in_torch(torch, optimizer_of, steps, after):
    """The parameters after each step, and what `after` makes of them."""
    x, y, w = map(torch.tensor, regression())
    w = torch.nn.Parameter(w)
    optimizer, rows = optimizer_of(w), []
    for _ in range(steps):
        optimizer.zero_grad()
        (((x @ w - y) ** 2).mean() / 2).backward()
        optimizer.step()
        rows.append((w.detach().numpy().copy(), after(optimizer, w)))
    return zip(*rows, strict=True)


def ours(optimizer, steps):
    """The parameters after each step, and what to evaluate with."""
    x, y, w = map(jnp.asarray, regression())

    def step(carry, _):
        w, state = carry
        updates, state = optimizer.update(x.T @ (x @ w - y) / len(y), state, w)
        w = optim.apply_updates(w, updates)
        return (w, state), (w, optim.evaluated(state, w))

    return jax.lax.scan(step, (w, optimizer.init(w)), length=steps)[1]


def test_every_so_many_steps_it_is_torch_s_averaged_model(torch):
    from torch.optim.swa_utils import AveragedModel

    model = torch.nn.Linear(4, 1)
    averaged, steps = AveragedModel(model), [0]

    def after(_, w):
        steps[0] += 1
        if steps[0] > 100 and (steps[0] - 100) % 7 == 0:
            model.weight.data[0] = w.data
            averaged.update_parameters(model)
        taken = steps[0] >= 107
        return (averaged.module.weight[0] if taken else w).detach().numpy().copy()

    visited, means = in_torch(torch, lambda w: torch.optim.SGD([w], 0.05), 1000, after)
    with jax.enable_x64(True):
        optimizer = optim.chain(optim.sgd(0.05), optim.average(100, 7))
        got, averages = ours(optimizer, 1000)
    np.testing.assert_allclose(got, np.array(visited), rtol=1e-10)
    np.testing.assert_allclose(averages, np.array(means), rtol=1e-10)


def test_torch_s_averaged_gradient_descent_is_a_chain(torch):
    """ASGD: weight decay λ, the rate η / (1 + λ η t)^α, and the mean from update t₀ + 1 on."""
    arguments = {"lr": 0.1, "lambd": 0.02, "alpha": 0.7, "t0": 20}
    visited, means = in_torch(
        torch,
        lambda w: torch.optim.ASGD([w], **arguments),
        1000,
        lambda optimizer, w: optimizer.state[w]["ax"].numpy().copy(),
    )
    with jax.enable_x64(True):
        rate = optim.inverse_time(0.1, 0.02 * 0.1, power=0.7)
        optimizer = optim.chain(optim.l2(0.02), optim.sgd(rate), optim.average(start=21))
        got, averages = ours(optimizer, 1000)
    np.testing.assert_allclose(got, np.array(visited), rtol=1e-10)
    np.testing.assert_allclose(averages, np.array(means), rtol=1e-10)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: optim.average(-1), ValueError, "average: start is -1; .*0 or above"),
        (lambda: optim.average(0, 0), ValueError, "average: every is 0; .*1 or above"),
        (lambda: optim.average(2.5), TypeError, "average: start is 2.5; .*whole number"),
    ],
)
def test_unusable_counts_are_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()

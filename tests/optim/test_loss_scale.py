"""Loss scaling beside torch's, in training steps, and in float16, where it is for."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from laminax import nn, optim, train

RANDOM = np.random.default_rng(2)
X = RANDOM.normal(size=(64, 3)).astype(np.float32)
Y = np.sin(X.sum(1, keepdims=True))
TINY = 2e-9  # of a squared error the gradients are below 3e-8, which float16 rounds to 0


def mlp(compute):
    return nn.policy(nn.mlp(16, 1, activation=jnp.tanh), compute=compute)


def objective(compute=jnp.float16, factor=TINY):
    return train.supervised(mlp(compute), lambda a, b: factor * nn.losses.squared_error(a, b))


def bits(tree):
    raw = (
        jax.random.key_data(a) if jnp.issubdtype(a.dtype, jax.dtypes.prng_key) else a
        for a in jax.tree.leaves(tree)
    )
    return [np.asarray(a).tobytes() for a in raw]


def fit(objective, optimizer, data=(X, Y), **options):
    options = {"epochs": 60, "batch_size": 32, "progress": False, **options}
    return train.fit(objective, optimizer, data, **options)


@functools.cache
def trained_in_float32():
    return fit(objective(jnp.float32), optim.sgd(0.1 / TINY)).history["loss"]


def test_scale_and_weights_are_torch_s(torch):
    """Of gradients among which some are infinite; torch's scaler skips, halves and doubles too."""
    random = np.random.default_rng(5)
    gradients = random.normal(size=(200, 6))
    gradients[random.random(200) < 0.1, 3] = np.inf
    gradients[random.random(200) < 0.05, 1] = np.nan
    weight = torch.ones(6, requires_grad=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**9, growth_interval=5)
    inner = torch.optim.SGD([weight], lr=0.1, momentum=0.9)
    with jax.enable_x64(True):
        optimizer = optim.loss_scaled(optim.momentum(0.1, 0.9), 2.0**9, grow_every=5)
        w, update = jnp.ones(6), jax.jit(optimizer.update)
        state = optimizer.init(w)
        for g in gradients:
            updates, state = update(state.scale.astype(float) * g, state, w)
            w = optim.apply_updates(w, updates)
            inner.zero_grad()
            scaler.scale((weight * torch.tensor(g)).sum()).backward()
            scaler.step(inner)
            scaler.update()
            assert float(optim.loss_scale(state)) == scaler.get_scale()
            np.testing.assert_allclose(w, weight.detach().numpy(), rtol=1e-12)
    assert int(state.total_notfinite) == (~np.isfinite(gradients).all(1)).sum() > 20


def test_a_gradient_that_overflows_leaves_every_bit_and_halves_the_scale():
    inner = optim.chain(
        optim.adam(0.1), optim.ema(0.9), optim.gradient_noise(jax.random.key(1), 1.0)
    )
    optimizer = optim.loss_scaled(inner, 8.0, grow_every=3)
    params = {"w": jnp.array([1.0, -0.0, 0.0]), "b": jnp.array(-2.0)}
    update = jax.jit(optimizer.update)
    fine = jax.tree.map(jnp.ones_like, params)
    _, state = update(fine, optimizer.init(params), params)
    for bad in (jnp.inf, -jnp.inf, jnp.nan):
        updates, after = update({**fine, "b": jnp.array(bad)}, state, params)
        assert bits(optim.apply_updates(params, updates)) == bits(params)
        assert bits(after.optimizer) == bits(state.optimizer)
        assert (float(after.scale), int(after.since)) == (4.0, 0)
        assert int(after.total_notfinite) == int(state.total_notfinite) + 1


def test_the_scale_doubles_after_so_many_updates_in_a_row():
    optimizer, w = optim.loss_scaled(optim.sgd(0.1), 4.0, grow_every=3), jnp.ones(1)
    state, scales = optimizer.init(w), []
    for finite in [True] * 7 + [False] + [True] * 4:
        _, state = optimizer.update(jnp.where(finite, 1.0, jnp.inf)[None], state, w)
        scales.append(float(state.scale))
    assert scales == [4, 4, 8, 8, 8, 16, 16, 8, 8, 8, 16, 16]


def test_the_scale_stays_between_powers_of_two_that_float32_can_leave_again():
    optimizer, w = optim.loss_scaled(optim.sgd(0.1), grow_every=1), jnp.ones(1)
    state = optimizer.init(w)
    for gradient, end in ((0.0, 2.0**127), (jnp.nan, 2.0**-126), (0.0, 2.0**127)):
        state = jax.lax.fori_loop(
            0,
            300,
            lambda i, state, g=gradient: optimizer.update(jnp.full(1, g), state, w)[1],
            state,
        )
        assert float(state.scale) == end


@pytest.mark.parametrize(
    ("make", "start", "microbatches"),
    [
        (lambda: optim.momentum(0.1), 2.0**-3, 1),
        (lambda: optim.adamw(0.1), 2.0**15, 2),
        (lambda: optax.sgd(0.1, 0.9), 2.0**15, 1),
    ],
)
def test_in_float32_not_a_bit_is_changed(make, start, microbatches):
    """Operation by operation: a compiler rounds a product and a sum once where it sees both."""
    both = []
    for optimizer in (make(), optim.loss_scaled(make(), start, grow_every=2)):
        data = objective(jnp.float32, 1.0), optimizer
        state = train.init(*data, (X[:8], Y[:8]))
        with jax.disable_jit():
            step = train.step(*data, microbatches=microbatches)
            for _ in range(4):
                state, metrics = step(state, (X[:8], Y[:8]))
        both.append((state, metrics))
    (plain, plain_metrics), (scaled, scaled_metrics) = both
    assert bits(scaled.params) == bits(plain.params)
    assert bits(scaled.opt_state.optimizer) == bits(plain.opt_state)
    assert bits(scaled_metrics) == bits(plain_metrics)
    assert float(scaled.opt_state.scale) == 4 * start


@pytest.mark.parametrize("microbatches", [1, 2])
def test_gradients_that_float16_rounds_to_0_train_as_in_float32(microbatches):
    sgd = optim.sgd(0.1 / TINY)
    lost = fit(objective(), sgd, microbatches=microbatches, epochs=2)
    kept = fit(objective(), optim.loss_scaled(sgd), microbatches=microbatches)
    before = train.init(objective(), sgd, (X, Y))
    assert bits(lost.state.params) == bits(before.params)
    expected = trained_in_float32()
    assert expected[-1] < 0.3 * expected[0]
    np.testing.assert_allclose(kept.history["loss"], expected, rtol=0.02)


def test_a_scale_that_is_too_small_or_too_large_is_found():
    """2⁻¹⁰ loses the gradients; with 2⁶⁰ the first fifty or so overflow."""
    for start in (2.0**-10, 2.0**60):
        optimizer = optim.loss_scaled(optim.sgd(0.1 / TINY), start, grow_every=4)
        result = fit(objective(), optimizer, epochs=120)
        assert result.history["loss"][-1] < 1.1 * trained_in_float32()[-1]
        assert result.state.opt_state.total_notfinite > 0
        assert 2.0**10 < result.history["loss_scale"][-1] < 2.0**50


def test_an_overflow_does_not_end_a_run_but_a_loss_that_is_not_finite_does():
    result = fit(objective(factor=1.0), optim.loss_scaled(optim.sgd(0.1), 2.0**100), epochs=1)
    assert int(result.state.opt_state.total_notfinite) == 2
    assert result.history["loss_scale"] == [2.0**98]
    with pytest.raises(train.Diverged, match="the loss is"):
        fit(objective(jnp.float32, 1.0), optim.loss_scaled(optim.sgd(1e8)))


def test_the_history_has_no_scale_where_there_is_none():
    result = fit(objective(jnp.float32), optim.adam(0.1), epochs=1)
    assert "loss_scale" not in result.history
    assert optim.loss_scale(result.state.opt_state) is None


def test_rates_and_averages_are_seen_through_it():
    inner = optim.select({"w": optim.chain(optim.sgd(0.5), optim.average()), "b": optim.sgd(0.25)})
    optimizer = optim.loss_scaled(inner, 2.0)
    params = {"w": jnp.zeros(1), "b": jnp.zeros(1)}
    state = optimizer.init(params)
    for _ in range(2):  # of the scaled gradient 2: w = -0.5, -1 and b = -0.25, -0.5
        updates, state = optimizer.update(
            {"w": 2 * jnp.ones(1), "b": 2 * jnp.ones(1)}, state, params
        )
        params = optim.apply_updates(params, updates)
    rates = {name: float(rate) for name, rate in optim.rates(state).items()}
    assert rates == {"rate w": 0.5, "rate b": 0.25}
    seen = optim.evaluated(state, params)
    assert (float(seen["w"][0]), float(seen["b"][0])) == (-0.75, -0.5)


def probe(seen):
    """What an optimizer is given, and how its `value_fn` behaves."""

    def update(updates, state, params=None, *, value, grad, value_fn, **extra):
        seen.update(
            updates=updates, value=value, grad=grad, at=value_fn(params),
            slope=jax.grad(value_fn)(params), curve=jax.hessian(value_fn)(params),
        )  # fmt: skip
        return updates, state

    return optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)


@pytest.mark.parametrize("microbatches", [1, 2])
def test_value_grad_and_value_fn_are_those_of_the_loss_itself(microbatches):
    def cubic(params, state, batch, ctx):
        return (batch * params["w"]) ** 3, train.Aux(state, {})

    game = train.Objective(lambda key, batch: nn.Variables({"w": jnp.float32(2)}, {}), cubic)
    batch, seen = jnp.array([1.0, 2.0]), {}
    optimizer = optim.loss_scaled(probe(seen), 1000.0)
    state = train.init(game, optimizer, batch)
    _, metrics = train.step(game, optimizer, microbatches=microbatches)(state, batch)
    assert float(seen["value"]) == float(seen["at"]) == float(metrics["loss"]) == 36.0
    for name in ("updates", "grad", "slope"):
        np.testing.assert_allclose(seen[name]["w"], 3 * 2**2 * 4.5, rtol=1e-6)
    np.testing.assert_allclose(seen["curve"]["w"]["w"], 6 * 2 * 4.5, rtol=1e-6)


def test_the_second_gradient_of_sam_is_scaled_too():
    sam = optim.sam(optim.sgd(0.1 / TINY), 0.05)
    wide = fit(objective(jnp.float32), sam)
    lost = fit(objective(), sam, epochs=2)
    kept = fit(objective(), optim.loss_scaled(sam))
    assert bits(lost.state.params) == bits(train.init(objective(), sam, (X, Y)).params)
    np.testing.assert_allclose(kept.history["loss"], wide.history["loss"], rtol=0.02)


def test_a_second_gradient_that_overflows_is_skipped():
    """At w = 0 it is 1; where sam looks, 2¹⁰, and 2¹² times that is more than float16 holds."""

    def value(w):
        half = w.astype(jnp.float16)
        return jnp.where(half > 0, 2.0**10 * half, half).astype(jnp.float32).sum()

    optimizer = optim.loss_scaled(optim.sam(optim.sgd(1.0), 1.0), 2.0**12)
    w = jnp.zeros(2)
    updates, state = optimizer.update(jnp.ones(2), optimizer.init(w), w, value_fn=value)
    np.testing.assert_array_equal(updates, np.zeros(2))
    assert float(state.scale) == 2.0**11
    state = state._replace(scale=jnp.float32(1))
    updates, _ = optimizer.update(jnp.ones(2), state, w, value_fn=value)
    np.testing.assert_array_equal(updates, [-(2.0**10)] * 2)


def test_parameters_in_float16_are_updated_by_arithmetic_in_float32():
    """The gradient is 2⁻²⁶, which float16 does not have."""
    optimizer, w = optim.loss_scaled(optim.sgd(2.0**20), 2.0**10), jnp.ones(3, jnp.float16)
    state = optimizer.init(w)
    updates, after = optimizer.update(jnp.full(3, 2.0**-16, jnp.float16), state, w)
    assert updates.dtype == jnp.float16
    np.testing.assert_array_equal(updates, [-(2.0**-6)] * 3)
    assert jax.tree.map(jnp.result_type, after) == jax.tree.map(jnp.result_type, state)
    momentum = optim.loss_scaled(optax.sgd(0.1, momentum=0.9)).init(w).optimizer
    assert {leaf.dtype for leaf in jax.tree.leaves(momentum)} == {np.dtype(np.float32)}


def test_start_interval_and_rate_may_be_traced():
    made = objective()

    def final(rate, start, every):
        optimizer = optim.loss_scaled(optim.sgd(rate / TINY), start, grow_every=every)
        state = train.init(made, optim.loss_scaled(optim.sgd(0.1)), (X, Y))
        state = state._replace(opt_state=optimizer.init(state.params))
        step = train.step(made, optimizer)
        state, _ = jax.lax.scan(lambda s, _: step(s, (X, Y)), state, length=6)
        return state.params, state.opt_state.scale, state.opt_state.total_notfinite

    lanes = jnp.array([0.05, 0.1, 0.1]), jnp.array([2.0**12, 2.0**60, 2.0**10]), [100, 100, 2]
    together = jax.jit(jax.vmap(final))(*lanes[:2], jnp.array(lanes[2]))
    for i in range(3):
        alone = jax.jit(final)(lanes[0][i], lanes[1][i], lanes[2][i])
        jax.tree.map(
            lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=2e-3, atol=1e-5),
            together,
            alone,
        )
    assert together[1].tolist() == [2.0**12, 2.0**54, 2.0**13]
    assert together[2].tolist() == [0, 6, 0]


def test_a_sweep_over_rates_scales_each_of_its_own():
    def build(rate):
        return objective(), optim.loss_scaled(optim.sgd(rate / TINY), 2.0**60, grow_every=20)

    rates = [0.02, 0.1]
    result = train.sweep(
        build, train.grid(rate=rates), (X, Y), epochs=40, batch_size=32, progress=False
    )
    for i, rate in enumerate(rates):
        alone = fit(*build(rate), epochs=40)
        np.testing.assert_allclose(result.curves["loss"][i, 0, 0], alone.history["loss"], rtol=0.02)


def test_a_run_that_is_broken_off_goes_on_with_its_scale(tmp_path):
    """After 5 of 9 epochs the scale has fallen and grown, and the updates since are counted."""
    run = functools.partial(
        fit,
        objective(),
        optim.loss_scaled(optim.adam(0.01), 2.0**45, grow_every=4),
        validation=(X[:8], Y[:8]),
    )
    whole = run(epochs=9)
    run(epochs=5, out=tmp_path)
    rest = run(epochs=9, out=tmp_path, resume=True)
    assert bits(rest.state) == bits(whole.state)
    assert rest.history["loss_scale"] == whole.history["loss_scale"]
    changes = np.diff(rest.history["loss_scale"])
    assert changes.min() < 0 < changes.max()


@pytest.mark.parametrize(
    "optimizer",
    [
        optim.chain(optim.clip_by_norm(1.0), optim.loss_scaled(optim.sgd(0.1))),
        optim.select({"*/w": optim.loss_scaled(optim.sgd(0.1)), "*": optim.sgd(0.1)}),
        optim.skip_nonfinite(optim.loss_scaled(optim.sgd(0.1))),
        optim.lookahead(optim.loss_scaled(optim.sgd(0.1))),
    ],
)
def test_within_another_it_is_refused_before_the_first_step(optimizer):
    with pytest.raises(ValueError, match=r"loss_scaled stands inside another .* put it around"):
        fit(objective(), optimizer)


@pytest.mark.parametrize(
    ("name", "optimizer"),
    [
        ("sam", optim.sam(optim.loss_scaled(optim.sgd(0.1)))),
        ("proximal_l1", optim.proximal_l1(optim.loss_scaled(optim.sgd(0.1)), 0.1)),
        ("loss_scaled", optim.loss_scaled(optim.loss_scaled(optim.sgd(0.1)))),
    ],
)
def test_within_one_that_has_no_state_of_its_own_it_is_refused_by_init(name, optimizer):
    with pytest.raises(ValueError, match=f"{name}: loss_scaled stands inside another"):
        optimizer.init(jnp.ones(2))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: optim.loss_scaled(optim.adam), TypeError, "loss_scaled: optimizer is adam"),
        (lambda: optim.loss_scaled(optim.sgd(0.1), 0.0), ValueError, "start is 0.0; expected"),
        (
            lambda: optim.loss_scaled(optim.sgd(0.1), grow_every=0),
            ValueError,
            "loss_scaled: grow_every is 0; expected",
        ),
        (
            lambda: optim.loss_scaled(optim.sgd(0.1), grow_every=2.5),
            TypeError,
            "loss_scaled: grow_every is 2.5; expected",
        ),
    ],
)
def test_unusable_arguments_are_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()

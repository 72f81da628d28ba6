"""Games: every player descends its own loss along its own parameters, by one ordinary run."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from laminax import nn, optim, train

from .broken_runs import bits, untimed

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(8, 3)).astype(np.float32)
CTX = nn.Context(jax.random.key(5), train=True)

# A game of two networks with batch statistics, each of which reads the other's output.
GENERATOR = nn.serial(nn.dense(4), nn.batch_norm(), nn.tanh, nn.dense(3))
CRITIC = nn.serial(nn.dense(4), nn.batch_norm(), nn.tanh, nn.dense(1))


def made(key, batch):
    a, b = jax.random.split(key)
    x = jax.ShapeDtypeStruct((2, 3), jnp.float32)
    one, other = GENERATOR.init(a, x), CRITIC.init(b, x)
    both = lambda a, b: {"generator": a, "critic": b}  # noqa: E731
    return nn.Variables(both(one.params, other.params), both(one.state, other.state))


def played(params, state, x, ctx):
    """Scores of x and of what is made of noise, and the state after both."""
    z = jax.random.normal(ctx.key, x.shape, x.dtype)
    fake, one = GENERATOR.apply(params["generator"], state["generator"], z, ctx)
    score, other = CRITIC.apply(params["critic"], state["critic"], fake, ctx)
    real, other = CRITIC.apply(params["critic"], other, x, ctx)
    return real[:, 0], score[:, 0], {"generator": one, "critic": other}


def generator_loss(params, state, x, ctx):
    _, score, state = played(params, state, x, ctx)
    return jax.nn.softplus(-score), train.Aux(state, {"score": score})


def critic_loss(params, state, x, ctx):
    real, score, state = played(params, state, x, ctx)
    return jax.nn.softplus(-real) + jax.nn.softplus(score), train.Aux(state, {"real": real})


LOSSES = {"generator/*": generator_loss, "critic/*": critic_loss}
GAME = train.players(LOSSES, init=made)


def own_context(pattern, key=CTX.key):
    return nn.Context(key, train=True).child(pattern)


def close(tree, other, rtol=1e-6, atol=1e-7):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=atol), tree, other)


def test_each_player_s_gradient_is_that_of_its_own_loss_alone():
    params, state = made(jax.random.key(1), X)
    total, after = jax.value_and_grad(lambda p: GAME.loss(p, state, X, CTX)[0].sum())(params)
    values, expected = [], {}
    for pattern, loss in LOSSES.items():
        name = pattern.removesuffix("/*")

        def own(part, loss=loss, pattern=pattern, name=name, state=state):
            value, aux = loss({**params, name: part}, state, X, own_context(pattern))
            return value.sum(), aux.state

        (value, state), expected[name] = jax.value_and_grad(own, has_aux=True)(params[name])
        values.append(value)
    close(after, expected)
    np.testing.assert_allclose(total, sum(values), rtol=1e-6)
    apart = lambda tree: max(np.abs(leaf).max() for leaf in jax.tree.leaves(tree))  # noqa: E731
    assert apart(expected["generator"]) > 0.01 < apart(expected["critic"])


def test_a_player_s_state_goes_on_to_the_next_and_its_loss_and_metrics_are_told():
    params, state = made(jax.random.key(1), X)
    total, aux = GAME.loss(params, state, X, CTX)
    one, first = generator_loss(params, state, X, own_context("generator/*"))
    other, second = critic_loss(params, first.state, X, own_context("critic/*"))
    close(aux.state, second.state)
    assert not np.allclose(*(s.state["critic"]["batch_norm_0"]["mean"] for s in (first, second)))
    told = {"loss generator/*": one, "loss critic/*": other, **first.metrics, **second.metrics}
    close(dict(aux.metrics), told)
    close(total, one + other)


def test_no_gradient_passes_through_the_state():
    """The second loss reads what the first player wrote of its parameter: for it, a constant."""

    def writes(params, state, batch, ctx):
        return batch * params["a"], train.Aux({"seen": params["a"] * params["b"]}, {})

    def reads(params, state, batch, ctx):
        return batch * state["seen"] * params["b"], train.Aux(state, {})

    start = lambda key, batch: nn.Variables(  # noqa: E731
        {"a": jnp.float32(2), "b": jnp.float32(3)}, {"seen": jnp.float32(0)}
    )
    game = train.players({"a": writes, "b": reads}, init=start)
    params, state = start(None, None)
    slope = jax.grad(lambda p: game.loss(p, state, jnp.ones(1), CTX)[0].sum())(params)
    assert (float(slope["a"]), float(slope["b"])) == (1.0, 6.0)


def test_players_draw_noise_of_their_own_and_in_evaluation_none():
    def drawing(name):
        def loss(params, state, batch, ctx):
            noise = jnp.zeros(len(batch)) if ctx.key is None else jax.random.normal(ctx.key, (8,))
            return params[name] * noise, train.Aux(state, {f"noise {name}": noise})

        return loss

    params = {"a": jnp.float32(1), "b": jnp.float32(1)}
    game = train.players(
        {"a": drawing("a"), "b": drawing("b")}, init=lambda key, batch: nn.Variables(params, {})
    )
    noise = game.loss(params, {}, X, CTX)[1].metrics
    again = game.loss(params, {}, X, CTX)[1].metrics
    assert np.abs(np.corrcoef(noise["noise a"], noise["noise b"])[0, 1]) < 0.9
    close(dict(noise), dict(again), rtol=0, atol=0)
    assert train.evaluate(game, nn.Variables(params, {}), X)["loss"] == 0


def two(first, second):
    """A game of two numbers; batches weigh both losses."""

    def of(loss):
        return lambda params, state, batch, ctx: (
            batch * loss(params["x"], params["y"]),
            train.Aux(state, {}),
        )

    start = lambda key, batch: nn.Variables({"x": jnp.float32(1), "y": jnp.float32(2)}, {})  # noqa: E731
    return train.players({"x": of(first), "y": of(second)}, init=start)


BILINEAR = two(lambda x, y: x * y, lambda x, y: -x * y)
ONES, ADAM = jnp.ones(8), optim.adam(0.1)


def test_simultaneous_steps_of_the_bilinear_game_turn_outward():
    """(x, y) ← (x − η y, y + η x): z ← (1 + i η) z of z = x + i y."""
    optimizer = optim.sgd(0.25)
    step, state = (
        jax.jit(train.step(BILINEAR, optimizer)),
        train.init(BILINEAR, optimizer, ONES),
    )
    for n in range(1, 21):
        state, metrics = step(state, ONES)
        z = (1 + 2j) * (1 + 0.25j) ** n
        np.testing.assert_allclose(
            [state.params["x"], state.params["y"]], [z.real, z.imag], rtol=1e-5
        )
        assert float(metrics["loss"]) == 0
    assert set(metrics) == {"loss", "loss x", "loss y"}


@pytest.mark.parametrize("microbatches", [1, 2])
def test_a_quadratic_game_with_a_rate_for_each_player_by_hand(microbatches):
    """ℓ_x = x² + x y and ℓ_y = y² − 3 x y, of examples weighed 1 and 3; the rows of 0 are out."""
    game = two(lambda x, y: x**2 + x * y, lambda x, y: y**2 - 3 * x * y)
    optimizer = optim.select({"x": optim.sgd(0.07), "y": optim.sgd(0.05)})
    batch = jnp.array([1.0, 3.0, jnp.nan, 7.0])
    weights = jnp.array([1.0, 3.0, 0.0, 0.0])
    step = jax.jit(train.step(game, optimizer, microbatches=microbatches))
    state, x, y = train.init(game, optimizer, batch), 1.0, 2.0
    for _ in range(10):
        state, metrics = step(state, batch, weights)
        mean = (1 * 1 + 3 * 3) / 4
        losses = mean * (x**2 + x * y), mean * (y**2 - 3 * x * y)
        np.testing.assert_allclose([metrics["loss x"], metrics["loss y"]], losses, rtol=1e-5)
        x, y = x - 0.07 * mean * (2 * x + y), y - 0.05 * mean * (2 * y - 3 * x)
        np.testing.assert_allclose([state.params["x"], state.params["y"]], [x, y], rtol=1e-5)


def test_a_player_that_moves_every_third_step_only():
    def third(step):
        return step % 3 == 2

    optimizer = optim.select({"x": optim.sgd(0.1), "y": optax.conditionally_mask(ADAM, third)})
    step, state = jax.jit(train.step(BILINEAR, optimizer)), train.init(BILINEAR, optimizer, ONES)
    x, y, kept = 1.0, 2.0, ADAM.init(jnp.float32(2))
    for n in range(9):
        state, _ = step(state, ONES)
        slope, x = -x, x - 0.1 * y
        if n % 3 == 2:
            update, kept = ADAM.update(jnp.float32(slope), kept)
            y += float(update)
        np.testing.assert_allclose([state.params["x"], state.params["y"]], [x, y], rtol=1e-5)


def test_a_parameter_that_nobody_is_to_move_is_a_player_of_its_own_that_is_frozen():
    def third(params, state, batch, ctx):
        return 0 * batch, train.Aux(state, {})

    params = {"fixed": jnp.float32(3), "x": jnp.float32(1)}
    moving = lambda params, state, batch, ctx: (  # noqa: E731
        batch * params["x"] * params["fixed"],
        train.Aux(state, {}),
    )
    game = train.players(
        {"x": moving, "fixed": third}, init=lambda key, batch: nn.Variables(params, {})
    )
    optimizer = optim.select({"fixed": optim.freeze(), "*": optim.sgd(0.1)})
    state = train.init(game, optimizer, ONES)
    state, _ = train.step(game, optimizer)(state, ONES)
    np.testing.assert_allclose(state.params["x"], 1 - 0.1 * 3, rtol=1e-6)
    assert float(state.params["fixed"]) == 3


def plain(params, state, batch, ctx):
    return batch * params["x"], train.Aux(state, {})


def game(losses):
    params = {"x": jnp.float32(1), "y": jnp.float32(1)}
    return train.players(losses, init=lambda key, batch: nn.Variables(params, {}))


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [("bfloat16", "float16", "float32"), ("bfloat16", "float64", "float64")],
)
def test_losses_of_two_dtypes_add_in_float32_or_wider(one, other, both):
    def of(dtype):
        return lambda params, state, batch, ctx: (jnp.full(3, 2**-7, dtype), train.Aux(state, {}))

    params = {"x": jnp.float32(2), "y": jnp.float32(0)}
    with jax.enable_x64(True):
        found = game({"x": of(one), "y": of(other)}).loss(params, {}, jnp.ones(3), CTX)[0]
    assert found.dtype == both
    np.testing.assert_array_equal(found, [2**-6] * 3)


OPTIMIZER = optim.select(
    {"generator/*": optim.chain(optim.adam(0.01), optim.ema(0.9)), "critic/*": optim.adam(0.02)}
)
fit = functools.partial(train.fit, GAME, OPTIMIZER, X, batch_size=4, progress=False)


def test_a_run_broken_off_goes_on_to_the_same_bits(tmp_path):
    whole = fit(epochs=4)
    fit(epochs=2, out=tmp_path)
    rest = fit(epochs=4, out=tmp_path, resume=True)
    assert bits(rest.state) == bits(whole.state)
    assert untimed(rest.history) == untimed(whole.history)
    columns = {"loss generator/*", "loss critic/*", "score", "real"}
    assert columns | {"rate generator/*", "rate critic/*"} <= set(whole.history)
    close(
        whole.history["loss"],
        list(map(sum, zip(*(whole.history[f"loss {p}"] for p in LOSSES), strict=True))),
    )


def test_on_eight_devices_as_on_one():
    run = functools.partial(train.fit, GAME, optim.sgd(0.1), X, batch_size=8, epochs=3)
    layout = train.data_parallel(train.mesh(data=8))
    one, several = (run(layout=at, progress=False).state for at in (None, layout))
    close(several.params, one.params, rtol=1e-5, atol=1e-6)
    close(several.state, one.state, rtol=1e-5, atol=1e-6)


def test_in_a_sweep_as_alone():
    rates = [0.1, 0.3]
    build = lambda rate: (BILINEAR, optim.sgd(rate))  # noqa: E731
    result = train.sweep(
        build, train.grid(rate=rates), ONES, epochs=5, batch_size=8, progress=False
    )
    for i, rate in enumerate(rates):
        z = (1 + 2j) * (1 + 1j * rate) ** np.arange(5)  # before each of five steps
        np.testing.assert_allclose(
            result.curves["loss x"][i, 0, 0], z.real * z.imag, rtol=1e-4, atol=1e-4
        )


MEAN, COVARIANCE = np.array([2.0, -1.0]), np.array([[1.0, 0.6], [0.6, 0.5]])
MAKER, JUDGE = nn.mlp(16, 2, activation=jnp.tanh), nn.mlp(32, 32, 1)


def gan():
    """Non-saturating losses and a penalty ½ · 0.1 ‖∇ score‖² at the data, which makes it settle."""

    def init(key, batch):
        a, b = jax.random.split(key)
        params = {"maker": MAKER.init(a, batch).params, "judge": JUDGE.init(b, batch).params}
        return nn.Variables(params, {})

    def score(params, x):
        return JUDGE(nn.Variables(params["judge"], {}), x)[:, 0]

    def fake(params, batch, ctx):
        return made_of(params, jax.random.normal(ctx.key, batch.shape))

    def maker(params, state, batch, ctx):
        return jax.nn.softplus(-score(params, fake(params, batch, ctx))), train.Aux(state, {})

    def judge(params, state, batch, ctx):
        slopes = jax.vmap(jax.grad(lambda x: score(params, x[None])[0]))(batch)
        penalty = 0.05 * jnp.square(slopes).sum(-1)
        told = jax.nn.softplus(-score(params, batch)) + jax.nn.softplus(
            score(params, fake(params, batch, ctx))
        )
        return told + penalty, train.Aux(state, {})

    return train.players({"maker/*": maker, "judge/*": judge}, init=init)


def made_of(params, noise):
    return MAKER(nn.Variables(params["maker"], {}), noise)


def test_a_tiny_gan_comes_within_a_twentieth_of_a_gaussian_s_moments():
    random = np.random.default_rng(0)
    data = random.multivariate_normal(MEAN, COVARIANCE, 4096).astype(np.float32)
    optimizer = optim.select(
        {
            "maker/*": optim.chain(optim.adam(0.002, 0.5), optim.ema(0.99)),
            "judge/*": optim.adam(0.004, 0.5),
        }
    )
    result = train.fit(gan(), optimizer, data, epochs=60, batch_size=128, progress=False)
    noise = jax.random.normal(jax.random.key(9), (20_000, 2))
    samples = np.asarray(made_of(result.variables.params, noise))
    np.testing.assert_allclose(samples.mean(0), MEAN, atol=0.05)
    np.testing.assert_allclose(samples.std(0), np.sqrt(np.diag(COVARIANCE)), atol=0.05)
    correlation = 0.6 / np.sqrt(0.5)
    np.testing.assert_allclose(np.corrcoef(samples.T)[0, 1], correlation, atol=0.05)
    # Neither player wins: the judge tells nothing, log 2 for each of its two halves.
    assert abs(result.history["loss judge/*"][-1] - 2 * np.log(2)) < 0.05


@pytest.mark.parametrize(
    ("losses", "error", "text"),
    [
        ([plain], TypeError, "players: losses: expected Mapping, got list; give {"),
        ({}, ValueError, "players: losses is empty"),
        ({"x": 3}, TypeError, "players: the loss of 'x': expected Callable, got int"),
        ({3: plain}, TypeError, "players: pattern 3 is int; expected a string"),
    ],
)
def test_bad_arguments_are_refused_at_once(losses, error, text):
    with pytest.raises(error, match=text):
        game(losses)
    with pytest.raises(TypeError, match="players: init: expected Callable"):
        train.players({"x": plain}, init=None)


@pytest.mark.parametrize(
    ("patterns", "text"),
    [
        ("x", "players: no pattern matches y; the patterns are x; give the rest to a player"),
        (("*", "x"), "players: pattern 'x' comes too late"),
        (("*", "z"), "players: pattern 'z' matches nothing"),
    ],
)
def test_every_parameter_has_one_player_and_every_player_a_parameter(patterns, text, compiles):
    objective = game(dict.fromkeys(patterns, plain))
    with pytest.raises(ValueError, match=text):
        train.fit(objective, optim.sgd(0.1), np.ones(4, np.float32), progress=False, batch_size=4)
    assert "jit(chunk)" not in compiles


def told(name):
    return lambda params, state, batch, ctx: (batch, train.Aux(state, {name: batch}))


@pytest.mark.parametrize(
    ("losses", "text"),
    [
        (
            {"*": lambda params, state, batch, ctx: (batch.sum(), train.Aux(state, {}))},
            r"players: the loss of '\*': must be per example, shape \(4,\)",
        ),
        (
            {"*": lambda params, state, batch, ctx: ((batch, batch), train.Aux(state, {}))},
            r"players: the loss of '\*': must be one number an example, got a pair",
        ),
        ({"x": told("same"), "y": told("same")}, "players: 'y': the name 'same' is taken"),
        ({"x": told("loss"), "y": plain}, "players: 'x': the name 'loss' is taken"),
        ({"x": told("loss y"), "y": plain}, "players: 'y': the name 'loss y' is taken"),
        ({"x": told("loss x"), "y": plain}, "players: 'x': the name 'loss x' is taken"),
    ],
)
def test_losses_and_metrics_that_do_not_fit_are_refused(losses, text):
    objective = game(losses)
    variables = objective.init(jax.random.key(0), jnp.ones(4))
    with pytest.raises(ValueError, match=text):
        objective.loss(*variables, jnp.ones(4), CTX)

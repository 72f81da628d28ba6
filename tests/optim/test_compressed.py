"""Optimizers whose state is kept in 8 or 16 bits, beside the same in float32."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from laminax import nn, optim, train
from laminax.optim import _blocks

SHAPE = (64, 96)
KINDS = ["bfloat16", "int8"]
# Of the distance between two levels, the share of the number (bfloat16) or of its block's largest.
DISTANCE = {"bfloat16": 2.0**-7, "int8": 4 / 127}
kinds = pytest.mark.parametrize("kind", KINDS)


def curvatures():
    return np.random.default_rng(1).uniform(0.1, 1.0, SHAPE).astype(np.float32)


def start():
    return jnp.asarray(np.random.default_rng(0).normal(size=SHAPE), jnp.float32)


def descend(optimizer, steps, gradient):
    """Parameters, updates and states after each step; gradient(w, t)."""

    def step(carry, t):
        w, state = carry
        updates, state = optimizer.update(gradient(w, t), state, w)
        w = optim.apply_updates(w, updates)
        return (w, state), (w, updates, state)

    @jax.jit
    def run(w):
        return jax.lax.scan(step, (w, optimizer.init(w)), jnp.arange(steps))[1]

    return run(start())


def distances(kind, kept):
    """The widest distance of two levels about each number of a state (steps, ...), in NumPy."""
    if kind == "bfloat16":
        return DISTANCE[kind] * np.abs(np.asarray(kept.astype(jnp.float32)))
    scales = np.abs(np.asarray(kept.scales))
    each = np.repeat(scales, np.prod(SHAPE) // scales.shape[1], axis=1)
    return DISTANCE[kind] * each.reshape(-1, *SHAPE)


@kinds
@pytest.mark.parametrize("decay", [0.5, 0.9])
def test_momentum_strays_from_float32_as_the_rounding_of_its_state_explains(kind, decay):
    """Momentum on a quadratic is linear: each rounding error has a response in all later θ.

    e ← μ e + λ d + ξ, d ← d − η (μ e + λ d), |ξ| below the distance of two levels. So |d| is below
    Σ |response| distance, and, roundings being independent and right in the mean, its mean square
    below Σ response² distance² / 4.
    """
    steps, rate, curvature = 40, 0.5, curvatures()
    gradient = lambda w, t: jnp.asarray(curvature) * w  # noqa: E731
    exact, _, _ = descend(optim.momentum(rate, decay), steps, gradient)
    optimizer = optim.compressed(optim.momentum(rate, decay), kind)
    got, _, states = descend(optimizer, steps, gradient)
    distance = distances(kind, states.optimizer[0].trace)
    strayed = np.abs(np.asarray(got) - np.asarray(exact))

    most, square = np.zeros_like(strayed), np.zeros_like(strayed)
    for t in range(steps):
        e, d = np.ones(SHAPE), np.zeros(SHAPE)
        for later in range(t + 1, steps):
            e = decay * e + curvature * d
            d = d - rate * e
            most[later] += np.abs(d) * distance[t]
            square[later] += d**2 * distance[t] ** 2 / 4
    rounding = 1e-5
    assert (strayed <= most + rounding).all()
    assert (np.mean(strayed**2, (1, 2)) <= 1.1 * np.mean(square, (1, 2)) + rounding**2).all()
    # The bounds say something: they are well below the way gone.
    assert np.sqrt(square[-1].mean()) < 0.1 * np.abs(start()).mean()
    assert strayed[-1].max() > rounding


@kinds
def test_lion_turns_another_way_only_where_its_mean_is_within_the_rounding(kind):
    """On the same gradients: the mean strays by at most Σ β₂ᵏ distance, its sign decides."""
    steps, b1, b2 = 60, 0.9, 0.99
    noise = jnp.asarray(np.random.default_rng(2).normal(size=(steps, *SHAPE)) + 0.1, jnp.float32)
    gradient = lambda w, t: noise[t]  # noqa: E731
    _, exact, states = descend(optim.lion(0.01, b1, b2), steps, gradient)
    _, got, small = descend(optim.compressed(optim.lion(0.01, b1, b2), kind), steps, gradient)
    m = np.asarray(states[0].mu)
    strayed, turned = np.zeros(SHAPE), 0
    distance = distances(kind, small.optimizer[0].mu)
    for t in range(1, steps):
        strayed = b2 * strayed + distance[t - 1]
        direction = b1 * m[t - 1] + (1 - b1) * np.asarray(noise[t])
        other = np.sign(got[t]) != np.sign(exact[t])
        assert (np.abs(direction)[other] <= b1 * strayed[other] + 1e-6).all()
        turned += other.mean() / (steps - 1)
    assert turned < 0.03


@kinds
def test_a_slow_average_does_not_freeze(kind):
    """With g = 1, then ½, v is 1, then ¼ + ¾ β₂ᵗ: after 3000 updates it has forgotten."""
    optimizer = optim.compressed(optim.adam(1e-3, 0.9, 0.999), kind)
    scale = jnp.asarray(np.random.default_rng(3).uniform(0.5, 1.0, SHAPE), jnp.float32)

    @jax.jit
    def late(params):
        def update(t, state):
            half = jnp.where(t < 3000, jnp.float32(1), jnp.float32(0.5))
            return optimizer.update(half * scale, state)[1]

        return jax.lax.fori_loop(0, 6000, update, optimizer.init(params))

    kept = late(start()).optimizer[0].nu
    v = _blocks.decode(kept) if kind == "int8" else kept.astype(jnp.float32)
    exact = (0.25 + 0.75 * 0.999**3000) * np.asarray(scale) ** 2
    ratio = np.asarray(v) / exact
    # On average right, and each within the distances of a few levels.
    assert abs(ratio.mean() - 1) < 0.02
    assert np.abs(ratio - 1).max() < {"bfloat16": 0.15, "int8": 0.3}[kind]


@kinds
def test_the_root_of_v_strays_by_what_is_said(kind):
    optimizer = optim.compressed(optim.adam(1e-3), kind)
    sizes = jnp.asarray(10 ** np.random.default_rng(3).uniform(-1.5, 0, SHAPE), jnp.float32)

    @jax.jit
    def after(params):
        def update(t, states):
            g = sizes * jax.random.normal(jax.random.fold_in(jax.random.key(0), t), SHAPE)
            plain = optim.adam(1e-3).update(g, states[0])[1]
            return plain, optimizer.update(g, states[1])[1]

        states = optim.adam(1e-3).init(params), optimizer.init(params)
        return jax.lax.fori_loop(0, 3000, update, states)

    plain, small = after(start())
    kept = small.optimizer[0].nu
    v = _blocks.decode(kept) if kind == "int8" else kept.astype(jnp.float32)
    off = np.sqrt(np.asarray(v) / np.asarray(plain[0].nu)) - 1
    assert abs(off.mean()) < 0.01
    low, high = {"bfloat16": (0.01, 0.03), "int8": (0.05, 0.1)}[kind]
    assert low < off.std() < high


@kinds
def test_steps_stay_small_where_gradients_are_of_very_different_sizes(kind):
    """A v that had become 0 beside an m that has not would make a step of m / ε."""
    sizes = jnp.asarray(10 ** np.random.default_rng(3).uniform(-12, 0, SHAPE), jnp.float32)
    noise = jnp.asarray(np.random.default_rng(4).normal(size=(400, *SHAPE)), jnp.float32)
    gradient = lambda w, t: sizes * noise[t]  # noqa: E731
    rate, b1, b2 = 1e-3, 0.9, 0.999
    optimizer = optim.compressed(optim.adam(rate, b1, b2, eps=1e-30), kind)
    _, updates, states = descend(optimizer, 400, gradient)
    kept = states.optimizer[0].nu
    v = jax.vmap(_blocks.decode)(kept) if kind == "int8" else kept.astype(jnp.float32)
    assert (np.asarray(v) > 0).all()
    # The largest step of Adam is that of a gradient after many zeros. In 8 bits the first two
    # levels lie apart by a factor of 16, of the root 4; in bfloat16 all sizes are as precise.
    largest = rate * (1 - b1) / np.sqrt(1 - b2)
    assert np.abs(np.asarray(updates)).max() < {"bfloat16": 1, "int8": 4}[kind] * largest


@functools.cache
def losses(name, rate, kind=None):
    """The loss of a small network before each step over the whole set of examples."""
    random = np.random.default_rng(0)
    x = random.normal(size=(128, 64)).astype(np.float32)
    y = np.sin(x @ random.normal(size=(64, 1)) / 4).astype(np.float32)
    optimizer = getattr(optim, name)(rate)
    optimizer = optim.compressed(optimizer, kind) if kind else optimizer
    model = nn.serial(nn.dense(96), nn.tanh, nn.dense(96), nn.tanh, nn.dense(1))
    objective = train.supervised(model, nn.losses.squared_error)
    step = train.step(objective, optimizer)
    state = train.init(objective, optimizer, (x, y), seed=0)

    def advance(state, _):
        state, metrics = step(state, (x, y))
        return state, metrics["loss"]

    return np.asarray(jax.jit(lambda s: jax.lax.scan(advance, s, length=150)[1])(state))


@kinds
@pytest.mark.parametrize(("name", "rate"), [("adam", 1e-3), ("momentum", 0.01), ("lion", 1e-4)])
def test_a_network_trains_as_with_float32(kind, name, rate):
    """A tenth more of the rate is the yardstick: rounding, unbiased, must matter far less.

    Of thousands of parameters each has its own rounding, of 150 steps too, so little is left of the
    tenth by which, in 8 bits, a single step is off.
    """
    exact, got = losses(name, rate), losses(name, rate, kind)
    assert got[-1] < 0.5 * got[0]
    strayed = np.abs(np.log(got / exact)).max()
    yardstick = np.abs(np.log(losses(name, 1.1 * rate) / exact)).max()
    assert 0 < strayed < {"bfloat16": 0.05, "int8": 0.2}[kind] * yardstick


@kinds
def test_the_state_takes_a_half_or_a_little_over_a_quarter_of_the_bytes(kind):
    params = {"w": jnp.zeros((256, 300)), "k": jnp.zeros((3, 3, 32, 64)), "b": jnp.zeros(4096)}

    def size(optimizer):
        return sum(leaf.nbytes for leaf in jax.tree.leaves(jax.jit(optimizer.init)(params)))

    ratio = size(optim.compressed(optim.adam(1e-3), kind)) / size(optim.adam(1e-3))
    assert ratio < {"bfloat16": 0.5001, "int8": 0.26}[kind]


@kinds
def test_small_arrays_numbers_and_other_dtypes_stay_as_they_are(kind):
    params = {"w": jnp.ones((64, 64)), "b": jnp.ones(64), "one": jnp.ones(())}
    optimizer, plain = optim.compressed(optim.adam(0.1), kind), optim.adam(0.1)
    state, expected = optimizer.init(params), plain.init(params)
    for _ in range(3):
        updates, state = optimizer.update(params, state, params)
        exact, expected = plain.update(params, expected, params)
        for name in ("b", "one"):
            np.testing.assert_array_equal(updates[name], exact[name])
            for mine, theirs in zip(state.optimizer[0][1:], expected[0][1:], strict=True):
                np.testing.assert_array_equal(mine[name], theirs[name])
    np.testing.assert_allclose(optim.rate(state), 0.1, rtol=1e-6)
    # Numbers of their own stay even where every array is small.
    lowest = optim.compressed(optim.adam(0.1), kind, least=1).init(params)
    assert lowest.optimizer[0].mu["one"].dtype == lowest.optimizer[1].rate.dtype == jnp.float32
    b = lowest.optimizer[0].mu["b"]
    assert b.dtype == jnp.bfloat16 if kind == "bfloat16" else b.codes.dtype == jnp.int8
    with jax.enable_x64(True):
        wide = optimizer.init(jnp.ones((64, 64), jnp.float64))
        assert wide.optimizer[0].nu.dtype == jnp.float64


@kinds
def test_a_state_kept_in_bfloat16_by_the_optimizer_stays_so(kind):
    def add(updates, state, params=None):
        return updates, jax.tree.map(lambda kept, u: kept + u.astype(kept.dtype), state, updates)

    params = {"w": jnp.ones((64, 64)), "b": jnp.ones(64)}
    total = optax.GradientTransformation(
        lambda params: jax.tree.map(lambda p: p.astype(jnp.bfloat16), params), add
    )
    for inner in (total, optax.adam(0.1, mu_dtype=jnp.bfloat16)):
        optimizer = optim.compressed(inner, kind)
        state = optimizer.init(params)
        with jax.numpy_dtype_promotion("standard"):
            after = optimizer.update(params, state, params)[1]
        assert jax.tree.map(jnp.result_type, after) == jax.tree.map(jnp.result_type, state)
    assert {leaf.dtype for leaf in jax.tree.leaves(after.optimizer[0].mu)} == {
        jnp.dtype("bfloat16")
    }


@kinds
def test_equal_arrays_are_rounded_each_on_its_own(kind):
    optimizer, params = optim.compressed(optim.momentum(0.1), kind), {"a": start(), "b": start()}
    _, state = optimizer.update(params, optimizer.init(params))
    a, b = (np.asarray(jax.tree.leaves(part)[0]) for part in state.optimizer[0].trace.values())
    assert 0.1 < (a != b).mean() < 0.6


@kinds
@pytest.mark.parametrize(
    "make",
    [
        lambda: optax.adabelief(1e-3),
        lambda: optax.sgd(1e-3, momentum=0.9, nesterov=True),
        lambda: optax.adagrad(1e-2),
        lambda: optim.rprop(1e-3),
        lambda: optim.muon(1e-3),
        lambda: optim.adafactor(1e-3),
        lambda: optim.select({"w": optim.adam(1e-3)}),
        lambda: optim.skip_nonfinite(optim.adam(1e-3)),
    ],
)
def test_any_transform_makes_its_first_steps_within_the_rounding(kind, make):
    """Five steps of one sign: of each step the rounding is a share, so it is of their sum."""
    params = {"w": start()}
    gradient = {"w": jnp.abs(start()) + 0.5}
    ends = []
    with jax.numpy_dtype_promotion("standard"):
        for optimizer in (make(), optim.compressed(make(), kind, least=16)):

            @jax.jit
            def run(params, optimizer=optimizer):
                state = optimizer.init(params)
                for _ in range(5):
                    updates, state = optimizer.update(gradient, state, params)
                    params = optim.apply_updates(params, updates)
                return params

            ends.append(np.asarray(run(params)["w"] - params["w"]))
    share = {"bfloat16": 0.02, "int8": 0.15}[kind]
    assert np.abs(ends[1] - ends[0]).max() <= share * np.abs(ends[0]).max()
    assert (ends[0] != ends[1]).any()


@kinds
def test_a_run_goes_on_from_its_state_bit_for_bit(kind):
    optimizer, w = optim.compressed(optim.adam(0.1), kind), start()
    update = jax.jit(optimizer.update)
    states = [optimizer.init(w)]
    for _ in range(4):
        states.append(update(w, states[-1], w)[1])
    again = jax.tree.map(lambda leaf: jnp.asarray(np.array(leaf)), states[2])
    for _ in range(2):
        again = update(w, again, w)[1]
    jax.tree.map(np.testing.assert_array_equal, again, states[4])
    assert int(states[4].count) == 4
    # Another update is rounded otherwise.
    code = lambda state: jax.tree.leaves(state.optimizer[0].mu)[0]  # noqa: E731
    other = update(w, states[3]._replace(count=jnp.int32(7)), w)[1]
    assert (np.asarray(code(other)) != np.asarray(code(states[4]))).any()


@kinds
def test_members_of_an_ensemble_are_as_alone_and_the_state_can_be_donated(kind):
    optimizer = optim.compressed(optim.momentum(0.1), kind)
    members = jnp.stack([start(), 2 * start(), -start()])

    def step(w, state):
        updates, state = optimizer.update(w, state, w)
        return optim.apply_updates(w, updates), state

    together = jax.jit(jax.vmap(step), donate_argnums=(0, 1))
    states = jax.jit(jax.vmap(optimizer.init))(members)
    alone = jax.jit(step)
    pairs = [(w, optimizer.init(w)) for w in members]
    for _ in range(3):
        given = jax.tree.leaves(states.optimizer[0])
        members, states = together(members, states)
        assert all(leaf.is_deleted() for leaf in given)
        pairs = [alone(*pair) for pair in pairs]
    for i, pair in enumerate(pairs):
        got = jax.tree.map(lambda leaf, i=i: leaf[i], (members, states))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), got, pair)


@kinds
@pytest.mark.parametrize("spec", [("data", None), (None, "data"), ()])
def test_arrays_spread_over_eight_devices_are_rounded_as_on_one(kind, spec):
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    optimizer, w = optim.compressed(optim.adam(0.1), kind), start()
    spread = jax.device_put(w, NamedSharding(mesh, PartitionSpec(*spec)))

    @jax.jit
    def step(w, state):
        updates, state = optimizer.update(w, state, w)
        return optim.apply_updates(w, updates), state

    one, many = (w, optimizer.init(w)), (spread, jax.jit(optimizer.init)(spread))
    for _ in range(3):
        one, many = step(*one), step(*many)
    assert many[0].sharding.is_equivalent_to(spread.sharding, 2)
    # A last bit of the sums on eight devices can turn a rounding, of one number in many thousands.
    for got, expected in zip(jax.tree.leaves(many), jax.tree.leaves(one), strict=True):
        same = np.isclose(got.astype(jnp.float32), expected.astype(jnp.float32), rtol=1e-5)
        assert same.mean() > 0.999


def test_the_compiler_does_not_compress_the_zeros_of_a_state_itself():
    """It takes seconds for a million of them."""
    params = jax.ShapeDtypeStruct((64, 64), jnp.float32)
    text = jax.jit(optim.compressed(optim.adam(0.1), "int8").init).lower(params).as_text()
    assert "optimization_barrier" in text


@kinds
def test_a_file_keeps_it(kind, tmp_path):
    optimizer, w = optim.compressed(optim.adam(0.1), kind), start()
    _, state = optimizer.update(w, optimizer.init(w), w)
    train.save(tmp_path / "state", state)
    restored = train.restore(tmp_path / "state", jax.eval_shape(optimizer.init, w))
    jax.tree.map(np.testing.assert_array_equal, restored, state)
    assert jax.tree.map(jnp.result_type, restored) == jax.tree.map(jnp.result_type, state)


@kinds
def test_extra_arguments_reach_the_optimizer(kind):
    def update(updates, state, params=None, *, value, **extra):
        return jax.tree.map(lambda u: u * value, updates), state

    scaled = optax.GradientTransformationExtraArgs(lambda params: (), update)
    optimizer, w = optim.compressed(optim.chain(scaled, optim.sgd(0.1)), kind), jnp.ones(1)
    updates, _ = optimizer.update(w, optimizer.init(w), w, value=jnp.float32(2.0))
    np.testing.assert_allclose(updates, [-0.2], rtol=1e-6)


@kinds
@pytest.mark.parametrize(
    ("inside", "name"),
    [
        (lambda: optim.chain(optim.adam(0.1), optim.ema(0.9)), "AverageState"),
        (lambda: optim.lookahead(optim.adam(0.1)), "LookaheadState"),
        (lambda: optim.schedule_free(optim.sgd(0.1)), "ScheduleFreeState"),
        (lambda: optim.select({"*": optim.chain(optim.sgd(0.1), optim.ema(0.9))}), "AverageState"),
    ],
)
def test_averages_of_the_parameters_are_refused_inside_and_stand_outside(kind, inside, name):
    with pytest.raises(ValueError, match=f"compressed: .* average of the parameters, {name}.*put"):
        optim.compressed(inside(), kind).init(start())
    outside = optim.chain(optim.compressed(optim.adam(0.1), kind), optim.ema(0.9))
    w, state = start(), outside.init(start())
    updates, state = outside.update(w, state, w)
    np.testing.assert_allclose(
        optim.evaluated(state, w), optim.apply_updates(w, updates), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: optim.compressed(optim.sgd(0.1), "float16"), ValueError,
         "compressed: dtype is float16; expected one of bfloat16, int8"),
        (lambda: optim.compressed(optim.sgd(0.1), "eight"), ValueError,
         "compressed: dtype is 'eight'; expected one of bfloat16, int8"),
        (lambda: optim.compressed(optim.adam, "int8"), TypeError,
         r"compressed: optimizer is adam; expected a gradient transformation such as adam\(1e-3\)"),
        (lambda: optim.compressed(optim.sgd(0.1), "int8", least=0), ValueError,
         "compressed: least is 0; expected a whole number, 1 or above"),
        (lambda: optim.compressed(optim.sgd(0.1), "int8", least=1.5), TypeError,
         "compressed: least is 1.5"),
    ],
)  # fmt: skip
def test_unusable_arguments_are_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()

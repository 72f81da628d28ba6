"""Any topology: entries, sharing, state, errors that say where, stretches of time."""

import logging
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

KEY = jax.random.key(0)
X = jax.random.normal(jax.random.key(7), (2, 3))
TRAIN = nn.Context(train=True)


def noisy():
    """Return a layer that adds noise drawn from its key."""

    def apply(params, state, x, ctx):
        return x + jax.random.normal(ctx.key_for("noisy"), x.shape), state

    return nn.pointwise(lambda key, x, **side: nn.Variables({}, {}), apply, "noisy")


def counter():
    """Return a layer whose state counts its calls, which it answers."""

    def init(key, x, **side):
        return nn.Variables({}, {"calls": jnp.zeros(())})

    def apply(params, state, x, ctx):
        return x + state["calls"], {"calls": state["calls"] + 1}

    return nn.pointwise(init, apply, "counter")


def weighed():
    """Return a layer with an auxiliary loss, the sum of its input."""

    def init(key, x, **side):
        return nn.Variables({}, {"aux_loss": jnp.zeros(()), "calls": jnp.zeros(())})

    def apply(params, state, x, ctx):
        return x, {"aux_loss": x.sum(), "calls": state["calls"] + 1}

    return nn.Layer(init, apply, "weighed")


def no_step():
    """Return a layer that mixes time steps."""
    init = lambda key, x, **side: nn.Variables({}, {})  # noqa: E731
    return nn.Layer(init, lambda p, s, x, ctx: (x[:, ::-1], s), "reverse")


# Entries


def test_children_by_attribute_and_by_name_are_the_same():
    model = nn.compose(lambda c, x: (c.a(x), c["a"](x)), a=nn.dense(2))
    first, second = model(model.init(KEY, X), X)
    np.testing.assert_array_equal(first, second)


def test_children_without_parameters_or_state_leave_no_entry():
    model = nn.serial(nn.relu, nn.serial(nn.dropout(0.5)), nn.batch_norm(), nn.dense(2))
    params, state = model.init(KEY, X)
    assert list(params) == ["batch_norm_0", "dense_0"] and list(state) == ["batch_norm_0"]


def test_parameters_of_a_called_child_can_be_read_again():
    def forward(c, x):
        return c.norm(c.body(x)) @ c.body.params["dense_0"]["w"].T * c.scale.params

    def called(c, x):
        c.scale()
        return forward(c, x)

    body = nn.serial(nn.dense(2, bias=False))
    parts = {"body": body, "norm": jnp.tanh, "scale": nn.parameter((1, 1))}
    model = nn.compose(called, **parts)
    variables = model.init(KEY, X)
    w, scale = variables.params["body"]["dense_0"]["w"], variables.params["scale"]
    np.testing.assert_allclose(model(variables, X), jnp.tanh(X @ w) @ w.T * scale, rtol=1e-5)
    with pytest.raises(ValueError, match=r"scale\.params is read before scale is called"):
        nn.compose(forward, **parts).init(KEY, X)


def test_a_child_never_called_is_named():
    model = nn.compose(lambda c, x: c.used(x), used=nn.dense(2), idle=nn.dense(2), spare=nn.relu)
    with pytest.raises(ValueError, match=r"forward never calls idle, spare.*leave it out"):
        model.init(KEY, X)


def test_a_child_that_is_not_there_is_named():
    model = nn.compose(lambda c, x: c.decode(x), decoder=nn.dense(2))
    with pytest.raises(AttributeError, match="no child named 'decode'; there are decoder"):
        model.init(KEY, X)


MODEL = nn.serial(nn.dense(2), norm=nn.batch_norm())


def entries():
    params, state = MODEL.init(KEY, X)
    return params, state


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda p, s: ({**p, "dense_1": {}}, s), ValueError,
         "params: unknown entries dense_1; expected some of dense_0, norm"),
        (lambda p, s: (p, {**s, "stats": {}}), ValueError,
         "state: unknown entries stats; expected some of dense_0, norm"),
        (lambda p, s: ({"dense_0": p["dense_0"]}, s), ValueError,
         "params: no entry 'norm'; got dense_0; are these the parameters of another model"),
        (lambda p, s: ({}, s), ValueError, "params: no entry 'dense_0'; got none"),
        (lambda p, s: ([p], s), TypeError, r"params: expected a dict.*got list; pass variables\.p"),
        (lambda p, s: (nn.Variables(p, s), s), TypeError, "params: expected a dict.*got Variables"),
        (lambda p, s: (p, None), TypeError, r"state: expected a dict.*NoneType; pass variables\.s"),
    ],
)  # fmt: skip
def test_entries_that_do_not_fit_are_refused(change, error, words):
    with pytest.raises(error, match=words):
        MODEL.apply(*change(*entries()), X, nn.Context())


@pytest.mark.parametrize("name", ["a/b", "", "ctx"])
def test_names_that_cannot_be_paths_are_refused(name):
    with pytest.raises(ValueError, match='without "/" and not "ctx"'):
        nn.compose(lambda c, x: x, **{name: nn.relu})


def test_names_with_equal_crc32_are_refused():
    assert zlib.crc32(b"plumless") == zlib.crc32(b"buckeroo")
    with pytest.raises(ValueError, match=r"'plumless' and 'buckeroo' have the same crc32"):
        nn.serial(plumless=nn.dense(2), buckeroo=nn.dense(2))


# Keys


def test_a_child_draws_from_the_key_folded_by_its_name():
    model = nn.compose(lambda c, x: c.outer(x), outer=nn.serial(nn.relu, noise=noisy()))
    y, _ = model.apply({}, {}, X, nn.Context(jax.random.key(3)))
    key = jax.random.key(3)
    for name in (b"outer", b"noise"):
        key = jax.random.fold_in(key, zlib.crc32(name))
    np.testing.assert_array_equal(y, jnp.maximum(X, 0) + jax.random.normal(key, X.shape))


def test_a_child_is_made_from_the_init_key_folded_by_its_name():
    dense = nn.dense(2)
    params = nn.serial(inner=nn.serial(body=dense)).init(jax.random.key(3), X).params
    key = jax.random.key(3)
    for name in (b"init", b"inner", b"init", b"body"):
        key = jax.random.fold_in(key, zlib.crc32(name))
    np.testing.assert_array_equal(params["inner"]["body"]["w"], dense.init(key, X).params["w"])


def test_calls_of_a_shared_child_draw_from_different_keys():
    model = nn.compose(lambda c, x: [c.noise(0 * x) for _ in range(3)], noise=noisy())
    drawn, _ = model.apply({}, {}, X, nn.Context(jax.random.key(3)))
    key = jax.random.fold_in(jax.random.key(3), zlib.crc32(b"noise"))
    own = [key, *(jax.random.fold_in(key, i) for i in (1, 2))]
    for got, child_key in zip(drawn, own, strict=True):
        np.testing.assert_array_equal(got, jax.random.normal(child_key, X.shape))


# State


def test_state_passes_from_call_to_call():
    inner = nn.serial(counter())
    model = nn.compose(lambda c, x: c.shared(c.shared(c.once(x))), shared=inner, once=counter())
    variables = model.init(KEY, X)
    y, state = model.apply(*variables, X, TRAIN)
    np.testing.assert_allclose(y, X + 1)
    assert jax.tree.map(float, state) == {
        "shared": {"counter_0": {"calls": 2.0}},
        "once": {"calls": 1.0},
    }
    assert jax.tree.leaves(variables.state) == [0.0, 0.0]


def test_auxiliary_losses_of_a_shared_child_add_up():
    shared = nn.serial(weighed())
    model = nn.compose(lambda c, x: c.shared(2 * c.shared(2 * c.shared(x))), shared=shared)
    _, state = model.init(KEY, X)
    for _ in range(2):  # rewritten at each call of the model, never carried over
        _, state = model.apply({}, state, X, TRAIN)
        leaf = state["shared"]["weighed_0"]
        np.testing.assert_allclose(leaf["aux_loss"], 7 * X.sum(), rtol=1e-5)
    assert leaf["calls"] == 6


# Errors that say where


def located_notes(error):
    return [note for note in error.__notes__ if note.startswith("in layer")]


WRONG = jnp.zeros((2, 4))
INNER = nn.serial(nn.dense(3))
NESTINGS = {
    "serial": (nn.serial(a=nn.serial(b=INNER)), "a/b/dense_0", "float32"),
    "repeat": (nn.serial(nn.repeat(nn.residual(nn.dense(3)), 2)), "repeat_0/dense_0", "float32"),
    "remat": (nn.serial(nn.remat(INNER)), "serial_0/dense_0", "float32"),
    "policy": (nn.serial(nn.policy(INNER)), "serial_0/dense_0", "bfloat16"),
    "deep": (
        nn.serial(up=nn.remat(nn.serial(nn.repeat(nn.remat(INNER), 2, unroll=2)))),
        "up/repeat_0/dense_0",
        "float32",
    ),
}


@pytest.mark.parametrize(("model", "path", "dtype"), NESTINGS.values(), ids=NESTINGS)
@pytest.mark.parametrize("run", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_an_error_carries_one_note_with_the_path_and_the_input(model, path, dtype, run):
    variables = model.init(KEY, X)
    with pytest.raises(ValueError, match="x has 4 features") as caught:
        run(model)(variables, WRONG)
    (note,) = located_notes(caught.value)
    assert note == f"in layer '{path}' (dense(3)), input {dtype}[2, 4]"


def test_an_error_at_init_has_its_path_and_comes_before_any_compile(caplog):
    def model(features):
        block = nn.residual(nn.dense(features))
        return nn.serial(up=nn.serial(nn.dense(4), nn.repeat(nn.remat(nn.serial(block)), 2)))

    def compiled(run):
        caplog.clear()
        jax.clear_caches()
        with jax.log_compiles(), caplog.at_level(logging.WARNING):
            run()
        return "Compiling" in caplog.text

    def fail():
        with pytest.raises(ValueError, match="residual: the shortcut is") as caught:
            model(5).init(KEY, X)
        (note,) = located_notes(caught.value)
        assert note == "in layer 'up/repeat_0/residual_0' (residual), input float32[2, 4]"

    assert not compiled(fail)
    assert compiled(lambda: model(4).init(KEY, X))


def test_a_failed_init_is_not_remembered_with_its_note():
    model = nn.serial(a=nn.serial(b=nn.compose(lambda c, x: c.no(x), child=nn.relu)))
    for _ in range(2):
        with pytest.raises(AttributeError, match="no child named 'no'") as caught:
            model.init(KEY, X)
        assert located_notes(caught.value) == ["in layer 'a/b' (compose), input float32[2, 3]"]


# Stretches of time


STRETCH = jax.random.normal(jax.random.key(5), (2, 4, 3))


def shift():
    """Return a cell that answers the time step before, zero at first."""

    def start(variables, x, ctx):
        return jnp.zeros((x.shape[0], 1, x.shape[2]), x.dtype)

    def step(variables, carry, x, ctx):
        longer = jnp.concatenate([carry, x], axis=1)
        return longer[:, -1:], longer[:, :-1]

    def apply(params, state, x, ctx):
        return jnp.pad(x, ((0, 0), (1, 0), (0, 0)))[:, :-1], state

    init = lambda key, x, **side: nn.Variables({}, {})  # noqa: E731
    return nn.Layer(init, apply, "shift", start=start, step=step)


def test_carries_are_threaded_by_name_and_pruned_and_each_call_has_its_own():
    inner = nn.serial(nn.dense(3), nn.relu, shift())
    model = nn.compose(lambda c, x: c.a(x) + c.once(c.a(2 * c.a(x))), a=inner, once=shift())
    variables = model.init(KEY, STRETCH)
    carry, outputs = model.start(variables, STRETCH, nn.Context()), []
    cell = {"shift_0": (2, 1, 3)}
    names = {"a": cell, "a/1": cell, "a/2": cell, "once": (2, 1, 3)}
    assert jax.tree.map(jnp.shape, carry) == names
    for at, size in ((0, 1), (1, 3)):
        stretch = STRETCH[:, at : at + size]
        carry, y = jax.jit(model.step)(variables, carry, stretch, nn.Context())
        outputs.append(y)
    whole = model(variables, STRETCH)
    np.testing.assert_allclose(jnp.concatenate(outputs, 1), whole, rtol=1e-5, atol=1e-6)
    assert jax.tree.map(jnp.shape, carry) == names and jnp.abs(whole).max() > 0.1


def test_steps_draw_as_calls_do():
    model = nn.compose(lambda c, x: c.noise(c.noise(x)), noise=noisy())
    ctx = nn.Context(jax.random.key(3))
    carry, y = model.step(nn.Variables({}, {}), {}, STRETCH, ctx)
    np.testing.assert_array_equal(y, model.apply({}, {}, STRETCH, ctx)[0])
    assert carry == {}


def test_step_reads_the_state_and_writes_none():
    model = nn.serial(counter(), counter())
    variables = nn.Variables(
        {}, {"counter_0": {"calls": jnp.ones(())}, "counter_1": {"calls": 5.0}}
    )
    carry = model.start(variables, STRETCH, TRAIN)
    for _ in range(2):
        carry, y = model.step(variables, carry, STRETCH, TRAIN)
        np.testing.assert_allclose(y, STRETCH + 6)
    assert carry == {}


@pytest.mark.parametrize("wrap", [lambda f: f, nn.remat, nn.policy, lambda f: nn.repeat(f, 2)])
def test_a_layer_without_step_is_named_with_its_path(wrap):
    model = nn.serial(nn.dense(3), deep=wrap(nn.serial(nn.relu, no_step())))
    variables = model.init(KEY, STRETCH)
    with pytest.raises(ValueError, match=r"reverse: has no step, since it mixes time") as caught:
        model.start(variables, STRETCH, nn.Context())
    (note,) = located_notes(caught.value)
    assert note.startswith("in layer 'deep/reverse_0' (Layer('reverse'))")


@pytest.mark.parametrize("shape", [(2, 4, 3), (2, 4, 4)])
@pytest.mark.parametrize("change", [lambda x: x.mean(1), lambda x: x[:, :2], jnp.ravel])
def test_a_function_that_changes_the_time_axis_cannot_be_stepped(shape, change):
    model = nn.serial(nn.relu, pool=change)
    with pytest.raises(ValueError, match="changes the time axis") as caught:
        model.start(nn.Variables({}, {}), jnp.zeros(shape), nn.Context())
    assert located_notes(caught.value)[0].startswith("in layer 'pool'")

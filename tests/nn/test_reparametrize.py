"""The one mechanism under the wrappers of parameters: where, in what layout, with which keys."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn, optim
from laminax.nn._core._reparametrize import Reparametrization, reparametrized

KEY = jax.random.key(0)
X = jax.random.normal(jax.random.key(7), (4, 5, 3))
TRAIN = nn.Context(jax.random.key(3), train=True)
WRAPPERS = {
    "weight_norm": nn.weight_norm,
    "spectral_norm": nn.spectral_norm,
    "drop_connect": lambda layer, pattern: nn.drop_connect(layer, pattern, 0.5),
    "weight_noise": lambda layer, pattern: nn.weight_noise(layer, pattern, 0.5),
    "freeze_random": lambda layer, pattern: nn.freeze_random(layer, pattern, 0.5),
}
wrappers = pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)


def low_rank(layer, pattern, rank):
    """LoRA: w + a b, as a user of the mechanism writes it."""

    def split(key, w):
        a = jax.random.normal(key, (w.shape[0], rank), w.dtype)
        return {"w": w, "a": a, "b": jnp.zeros((rank, w.shape[1]), w.dtype)}, {}

    def join(parts, memory, ctx):
        return parts["w"] + parts["a"] @ parts["b"], memory

    return reparametrized(
        layer, pattern, Reparametrization("low_rank", join, split, ("a", "b", "w"))
    )


def deep():
    return nn.serial(nn.dense(3), nn.repeat(nn.residual(nn.dense(3), nn.dropout(0.5)), 2))


def close(a, b, rtol=1e-5):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-5), a, b)


@pytest.mark.parametrize("name", [n for n in WRAPPERS if n != "spectral_norm"])
def test_a_fresh_layer_computes_what_it_would_without(name):
    model, wrapped = deep(), WRAPPERS[name](deep(), "*/w")
    close(wrapped(wrapped.init(KEY, X), X), model(model.init(KEY, X), X))


def test_a_new_wrapper_is_two_functions():
    model = low_rank(deep(), "*/w", 2)
    variables = model.init(KEY, X)
    assert jax.tree.map(jnp.shape, variables.params["repeat_0"]["dense_0"]["w"]) == {
        "w": (2, 3, 3), "a": (2, 3, 2), "b": (2, 2, 3),
    }  # fmt: skip
    close(model(variables, X), deep()(deep().init(KEY, X), X))
    optimizer = optim.select(
        {"*/w/a": optim.sgd(0.1), "*/w/b": optim.sgd(0.1), "*": optim.freeze()}
    )
    params, state = variables.params, optimizer.init(variables.params)
    for _ in range(3):
        gradients = jax.grad(lambda p: (model(nn.Variables(p, {}), X) ** 2).mean())(params)
        updates, state = optimizer.update(gradients, state, params)
        params = optim.apply_updates(params, updates)
    before, after = (p["dense_0"]["w"] for p in (variables.params, params))
    np.testing.assert_array_equal(before["w"], after["w"])
    assert jnp.abs(after["a"] @ after["b"]).max() > 1e-3


@wrappers
def test_only_matched_leaves_change(wrap):
    plain = deep().init(KEY, X)
    made = wrap(deep(), "repeat_0/*/w").init(KEY, X)
    close(made.params["dense_0"], plain.params["dense_0"])
    np.testing.assert_array_equal(
        made.params["repeat_0"]["dense_0"]["b"], plain.params["repeat_0"]["dense_0"]["b"]
    )
    assert "dense_0" not in made.state


@wrappers
def test_the_wrapper_is_transparent(wrap):
    model = nn.serial(wrap(nn.dense(3), "w"), nn.dense(3))
    assert list(model.children) == ["dense_0", "dense_1"]
    axes = nn.stacked(wrap(deep(), "*/w"))(wrap(deep(), "*/w").init(KEY, X).params)
    assert set(jax.tree.leaves(axes["repeat_0"])) == {1}
    assert set(jax.tree.leaves(axes["dense_0"])) == {0}
    assert "dense(3)" in str(nn.summary(wrap(deep(), "*/w"), X))


@wrappers
def test_each_layer_of_a_stack_by_itself(wrap):
    """In evaluation a wrapped stack is the stack of wrapped layers, of the same parameters."""
    outside, inside = wrap(nn.repeat(nn.dense(3), 3), "w"), nn.repeat(wrap(nn.dense(3), "w"), 3)
    made = inside.init(KEY, X)
    assert jax.tree.map(jnp.shape, made) == jax.tree.map(jnp.shape, outside.init(KEY, X))
    params = jax.tree.map(lambda p: p * jnp.arange(1.0, 4).reshape(3, *(1,) * (p.ndim - 1)), made)
    close(outside(params, X), inside(params, X))


@pytest.mark.parametrize("name", ["drop_connect", "weight_noise"])
def test_the_layers_of_a_stack_draw_their_own(name):
    model = WRAPPERS[name](nn.repeat(nn.dense(40, bias=False), 2), "w")
    x = jnp.eye(40)
    disturbed = []
    for i in range(2):  # the other layer set to 1, whatever is drawn for it
        w = jnp.zeros((2, 40, 40)).at[i].set(1.0).at[1 - i].set(jnp.eye(40))
        disturbed.append(model.apply({"w": w}, {}, x, TRAIN)[0])
    assert (disturbed[0] != disturbed[1]).any()
    again = model.apply({"w": w}, {}, x, TRAIN)[0]
    np.testing.assert_array_equal(disturbed[1], again)


@wrappers
def test_stepping_sees_the_same_weights(wrap):
    model = wrap(deep(), "*/w")
    variables = model.init(KEY, X)
    carry = model.start(variables, X, nn.Context())
    chunks = []
    for stretch in (X[:, :2], X[:, 2:]):
        carry, y = model.step(variables, carry, stretch, nn.Context())
        chunks.append(y)
    close(jnp.concatenate(chunks, 1), model(variables, X))


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_layer_inside_draws_apart_from_a_wrapper_that_draws(name):
    seen = []

    def apply(params, state, x, ctx):
        seen.append(jax.random.key_data(ctx.key))
        return x @ params["w"], state

    layer = nn.Layer(nn.dense(3, bias=False).init, apply, "spy")
    model = WRAPPERS[name](nn.serial(layer), "*/w")
    variables = model.init(KEY, X)
    for run in (nn.serial(layer), model):
        params = nn.serial(layer).init(KEY, X) if run is not model else variables
        run.apply(*params, X, TRAIN)
    draws = name not in ("weight_norm", "spectral_norm")
    assert (seen[-1] != seen[-2]).any() == draws


def test_wrappers_nest_around_their_own_weights():
    model = nn.weight_norm(nn.weight_norm(deep(), "dense_0/w"), "repeat_0/*/w")
    close(model(model.init(KEY, X), X), deep()(deep().init(KEY, X), X))
    model = nn.spectral_norm(nn.spectral_norm(deep(), "dense_0/w"), "repeat_0/*/w")
    variables = model.init(KEY, X)
    assert optim.paths(variables.state) == ["dense_0/w/u", "repeat_0/dense_0/w/u"]
    _, state = model.apply(*variables, X, TRAIN)
    assert optim.paths(state) == optim.paths(variables.state)


@pytest.mark.parametrize("name", ["weight_norm", "spectral_norm"])
def test_a_weight_taken_twice_is_refused(name):
    wrap = WRAPPERS[name]
    model = wrap(wrap(nn.serial(nn.dense(2), nn.dense(2)), "dense_0/w"), "*w")
    with pytest.raises(ValueError, match=f"{name}: pattern .* another {name} inside has taken"):
        model.init(KEY, X)


def test_a_bare_parameter_is_wrapped():
    model = nn.weight_norm(nn.parameter((3, 2)), "*")
    params, _ = model.init(KEY, X)
    assert jax.tree.map(jnp.shape, params) == {"g": (2,), "v": (3, 2)}
    np.testing.assert_allclose(model((params, {}), X), params["v"], rtol=1e-6)


def test_tied_weights_are_those_of_the_composite_wrapped_whole():
    def forward(c, x):
        return jnp.tanh(c.encoder(x)) @ c.encoder.params["w"].T

    model = nn.weight_norm(nn.compose(forward, encoder=nn.dense(2)), "encoder/w")
    variables = model.init(KEY, X)
    longer = jax.tree.map(lambda p: p, variables.params)
    longer["encoder"]["w"]["v"] = 7 * longer["encoder"]["w"]["v"]
    close(model((longer, {}), X), model(variables, X))


@wrappers
def test_what_matches_nothing_is_refused_with_the_paths(wrap):
    with pytest.raises(ValueError, match=r"pattern 'w' matches nothing.*got the paths dense_0/b"):
        wrap(deep(), "w").init(KEY, X)
    with pytest.raises(ValueError, match=r"matches nothing.*got the paths other"):
        wrap(deep(), "*/w").apply({"other": X}, {}, X, nn.Context())
    with pytest.raises(TypeError, match=r"pattern 3 is int; expected a string"):
        wrap(deep(), 3)


def test_other_parameters_and_states_are_refused():
    plain, model = deep().init(KEY, X), nn.weight_norm(deep(), "*/w")
    with pytest.raises(ValueError, match=r"params must hold g, v under 'dense_0/w', got one array"):
        model(plain, X)
    model = nn.spectral_norm(deep(), "*/w")
    with pytest.raises(ValueError, match=r"state must hold 'dense_0/w/u', got none"):
        model(plain, X)


@pytest.mark.parametrize("name", ["weight_norm", "spectral_norm"])
def test_biases_have_no_norm(name):
    message = rf"{name}: a weight must have at least 2 axes, got float32\[2, 3\] at 'repeat_0/"
    with pytest.raises(ValueError, match=message):
        WRAPPERS[name](deep(), "repeat_0/*").init(KEY, X)

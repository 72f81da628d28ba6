"""The contracts of `Layer`, `Variables` and `Context`: linear init, pure memo, transforms."""

import dataclasses
import functools
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from laminax import nn
from laminax.nn._core._layer import abstract, fold
from laminax.nn._core._specs import describe, spec_of

KEY = jax.random.key(0)
SPEC = jax.ShapeDtypeStruct((2, 3), jnp.float32)
X = jax.random.normal(jax.random.key(7), (2, 3))


class Counted:
    """Leaf layers that count how often their functions are traced or run."""

    def __init__(self):
        self.inits = self.applies = 0

    def layer(self):
        def init(key, x, **side):
            self.inits += 1
            return nn.Variables({"shift": jnp.zeros(x.shape[-1:])}, {})

        def apply(params, state, x, ctx):
            self.applies += 1
            return x + params["shift"][None], state

        return nn.Layer(init, apply, "counted")


def nested(leaf, depth, wrap=lambda layer: layer):
    """Return a binary tree of `serial`, 2 ** depth leaves deep inside."""
    if depth == 0:
        return leaf()
    return wrap(nn.serial(nested(leaf, depth - 1, wrap), nested(leaf, depth - 1, wrap)))


TRANSFORMS = {
    "eager": lambda init: init(KEY, SPEC),
    "jit": lambda init: jax.jit(lambda key: init(key, SPEC))(KEY),
    "vmap": lambda init: jax.vmap(lambda key: init(key, SPEC))(
        jax.random.split(jax.random.key(0), 2)
    ),
    "eval_shape": lambda init: jax.eval_shape(init, KEY, SPEC),
}


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_init_traces_each_leaf_once_at_any_nesting(transform):
    counted = Counted()
    model = nested(counted.layer, 6)
    transform(model.init)
    # Each leaf's init: once abstractly, once to make its numbers. Its apply: abstractly alone.
    assert (counted.inits, counted.applies) == (2 * 64, 64)
    transform(lambda key, x: model.init(key, x))
    assert (counted.inits, counted.applies) == (3 * 64, 64)


def test_wrappers_do_not_trace_their_layers_again():
    counted = Counted()
    wraps = (nn.policy, nn.remat, functools.partial(nn.repeat, n=2), lambda f: nn.rename(f, "f"))
    model = nested(counted.layer, 2, lambda f: nn.serial(*(wrap(f) for wrap in wraps[:1])))
    for wrap in wraps:
        model = wrap(model)
    jax.eval_shape(model.init, KEY, SPEC)
    assert (counted.inits, counted.applies) == (2 * 4, 4)


def test_another_input_spec_is_another_abstract_pass():
    counted = Counted()
    model = nn.serial(counted.layer())
    model.init(KEY, SPEC)
    assert model.init(KEY, jnp.zeros((4, 5))).params["counted_0"]["shift"].shape == (5,)
    assert counted.applies == 2


def test_the_memo_holds_specs_alone():
    model = nn.serial(nn.dense(2), nn.repeat(nn.residual(nn.batch_norm(), nn.relu), 2))
    with jax.checking_leaks():
        variables = jax.jit(model.init)(KEY, X)
        jax.jit(model.apply)(*variables, X, nn.Context(train=True))
    for inner in (model, *model.children.values()):
        leaves = jax.tree.leaves(tuple(abstract(inner, jnp.zeros((2, 2)), {})))
        assert leaves and all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in leaves)


def test_parameters_take_the_default_float_of_the_moment():
    def init(key, x, **side):
        return nn.Variables({"like_x": jnp.zeros((), x.dtype)}, {})

    like = nn.Layer(init, lambda params, state, x, ctx: (x, state))
    model = nn.serial(nn.dense(2), like)  # a dense layer answers in the precision of its own w
    dtypes = []
    for x64 in (False, True, False):
        with jax.enable_x64(x64):
            made = model.init(KEY, SPEC), jax.eval_shape(model.init, KEY, SPEC)
            dtypes.append({str(leaf.dtype) for leaf in jax.tree.leaves(made)})
    assert dtypes == [{"float32"}, {"float64"}, {"float32"}]


def test_a_replaced_apply_starts_the_abstract_pass_anew():
    layer = nn.dense(4)
    assert nn.serial(layer, nn.dense(2)).init(KEY, SPEC).params["dense_1"]["w"].shape == (4, 2)

    def doubled(params, state, x, ctx):
        y, state = layer.apply(params, state, x, ctx)
        return jnp.concatenate([y, y], axis=-1), state

    wider = dataclasses.replace(layer, apply=doubled)
    params = nn.serial(wider, nn.dense(2)).init(KEY, SPEC).params
    assert params["dense_0"]["w"].shape == (3, 4) and params["dense_1"]["w"].shape == (8, 2)


def test_init_needs_shapes_alone_and_apply_can_be_abstract():
    model = nn.serial(nn.embedding(5, 4), nn.dense(2))
    tokens = jnp.array([[0, 4]])
    from_spec = model.init(KEY, jax.ShapeDtypeStruct((1, 2), jnp.int32))
    jax.tree.map(np.testing.assert_array_equal, from_spec, model.init(KEY, tokens))
    spec, _ = jax.eval_shape(model.apply, *spec_of(from_spec), spec_of(tokens), nn.Context())
    assert describe(spec) == "float32[1, 2, 2]"


def test_init_must_return_variables():
    layer = nn.Layer(lambda key, x, **side: {}, lambda p, s, x, ctx: (x, s), "odd")
    with pytest.raises(TypeError, match=r"odd: init must return Variables.*got dict"):
        nn.serial(layer).init(KEY, X)


def test_calling_a_model_wants_variables():
    model = nn.dense(2)
    params = model.init(jax.random.key(0), X).params
    with pytest.raises(TypeError, match=r"dense: the first argument must be Variables.*got dict"):
        model(params, X)


@pytest.mark.parametrize("key", [0, None, np.zeros(2, np.uint32)])
def test_only_typed_keys(key):
    with pytest.raises(TypeError, match=r"key must be a typed key.*jax\.random\.key\(seed\)"):
        nn.serial(nn.dense(2)).init(key, X)


def test_a_context_hands_its_child_a_key_and_side_inputs():
    ctx = nn.Context(KEY, {"mask": 1}, train=True)
    child = ctx.child("a", {"memory": 2})
    expected = jax.random.fold_in(KEY, zlib.crc32(b"a"))
    assert child.key == expected == fold(KEY, "a")
    assert child.side == {"mask": 1, "memory": 2} and child.train and ctx.side == {"mask": 1}
    assert ctx.child("a", extra_call=2).key == jax.random.fold_in(expected, 2)
    assert nn.Context().child("a").key is None


def test_a_layer_that_draws_names_itself_where_there_is_no_key():
    model = nn.serial(nn.dense(2), nn.dropout(0.5))
    with pytest.raises(ValueError, match=r"dropout: needs a random key.*got key=None") as caught:
        model.apply(*model.init(KEY, X), X, nn.Context(train=True))
    assert caught.value.__notes__[0].startswith("in layer 'dropout_0' (dropout(0.5))")


def test_one_compile_a_mode(compiles):
    model = nn.serial(nn.dense(2), nn.dropout(0.5), nn.batch_norm())
    variables, apply = model.init(KEY, X), jax.jit(model.apply)
    for seed in range(3):
        _, state = apply(*variables, X, nn.Context(jax.random.key(seed), train=True))
        apply(variables.params, state, X, nn.Context())
    assert compiles.count("jit(apply)") == 2


def test_a_jitted_model_is_traced_and_compiled_once(compiles):
    counted = Counted()
    model = nn.serial(counted.layer(), nn.relu)
    variables = model.init(KEY, X)
    before, call = counted.applies, jax.jit(model)
    for scale in (1.0, 2.0):
        np.testing.assert_allclose(call(variables, scale * X), np.maximum(scale * X, 0))
    assert counted.applies == before + 1
    assert compiles.count("jit(<unnamed function>)") == 1


def test_an_ensemble_by_vmap_equals_a_loop():
    model = nn.serial(nn.dense(4), nn.batch_norm(), nn.relu, nn.dense(2))
    keys = jax.random.split(jax.random.key(0), 3)
    ensemble = jax.vmap(model.init, in_axes=(0, None))(keys, SPEC)
    got = jax.vmap(model, in_axes=(0, None))(ensemble, X)
    for i in range(3):
        member = model.init(keys[i], SPEC)
        jax.tree.map(
            lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-5), ensemble, member
        )
        np.testing.assert_allclose(got[i], model(member, X), rtol=1e-5, atol=1e-6)
    assert jnp.abs(got[0] - got[1]).max() > 0.1


def test_a_batch_sharded_over_eight_devices_equals_one_device():
    model = nn.serial(nn.dense(4), nn.batch_norm(), nn.relu, nn.dense(1))
    x = 3 + jax.random.normal(jax.random.key(1), (16, 3))
    params, state = model.init(KEY, x)

    def loss(params, x):
        y, new = model.apply(params, state, x, nn.Context(train=True))
        return jnp.square(y).mean(), new

    step = jax.jit(jax.value_and_grad(loss, has_aux=True))
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    sharded = jax.device_put(x, NamedSharding(mesh, PartitionSpec("data")))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        step(params, sharded), step(params, x),
    )  # fmt: skip


def test_pointwise_layers_step_as_they_apply():
    layer = nn.dense(2)
    variables = layer.init(jax.random.key(0), X)
    carry = layer.start(variables, X, nn.Context())
    assert carry == {}
    carry, y = layer.step(variables, carry, X, nn.Context())
    assert carry == {}
    np.testing.assert_array_equal(y, layer(variables, X))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.zeros((2, 3)), "float32[2, 3]"),
        (1.5, "float32[]"),
        (jax.ShapeDtypeStruct((8, 63), jnp.bfloat16), "bfloat16[8, 63]"),
        ((jnp.zeros(2), {"n": jnp.arange(3)}), "(float32[2], {'n': int32[3]})"),
        (jax.random.key(0), "key<fry>[]"),
        ("text", "str"),
    ],
)
def test_specs_are_described_as_a_person_writes_them(value, text):
    assert describe(value) == text


@pytest.mark.parametrize(
    "layer", [nn.layer_norm(), nn.residual(nn.dense(3)), nn.repeat(nn.relu, 2)]
)
def test_float64_from_numpy_becomes_the_default_float_without_a_warning(layer):
    x = np.random.default_rng(0).normal(size=(2, 3))
    variables = layer.init(jax.random.key(0), x)
    y = layer(variables, x)
    assert y.dtype == jnp.float32
    np.testing.assert_array_equal(y, layer(variables, x.astype(np.float32)))


@pytest.mark.parametrize("implementation", ["rbg", "unsafe_rbg"])
def test_keys_of_any_implementation_will_do(implementation):
    model = nn.serial(nn.dense(2), nn.dropout(0.5))
    key, draw = jax.random.split(jax.random.key(0, impl=implementation))
    variables = model.init(key, X)
    y, _ = model.apply(*variables, X, nn.Context(draw, train=True))
    expected = 2 * model(variables, X)
    np.testing.assert_allclose(jnp.where(y == 0, expected, y), expected, rtol=1e-6)
    assert (y != 0).any() and variables.params["dense_0"]["w"].std() > 0.1

"""Transparent wrappers: same tree, same keys, same numbers; only how it runs differs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.ad_checkpoint import print_saved_residuals
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from laminax import nn

KEY = jax.random.key(0)
X = jax.random.normal(jax.random.key(7), (8, 3))
TRAIN = nn.Context(jax.random.key(3), train=True)


def inner():
    return nn.serial(nn.dense(4), nn.batch_norm(), jnp.tanh, nn.dropout(0.5), nn.dense(2))


WRAPS = {
    "remat": nn.remat,
    "policy": lambda f: nn.policy(f, compute=jnp.float32),
    "constrain": lambda f: nn.constrain(f, jax.sharding.SingleDeviceSharding(jax.devices()[0])),
    "rename": lambda f: nn.rename(f, "serial_0"),
}


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_a_wrapper_adds_no_level_and_changes_no_number(wrap):
    plain, wrapped = nn.serial(inner()), nn.serial(wrap(inner()))
    variables = wrapped.init(KEY, X)
    jax.tree.map(np.testing.assert_array_equal, variables, plain.init(KEY, X))

    def loss(model):
        def loss(params):
            y, state = model.apply(params, variables.state, X, TRAIN)
            return jnp.square(y).sum(), (y, state)

        return jax.jit(jax.value_and_grad(loss, has_aux=True))

    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5),
        loss(wrapped)(variables.params), loss(plain)(variables.params),
    )  # fmt: skip


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_a_wrapped_cell_steps_as_it_applies(wrap):
    model = nn.serial(wrap(nn.serial(nn.dense(3), cumulative())))
    x = X[None]
    variables = model.init(KEY, x)
    carry, outputs = model.start(variables, x, nn.Context()), []
    for at in (0, 4):
        carry, y = model.step(variables, carry, x[:, at : at + 4], nn.Context())
        outputs.append(y)
    expected = model(variables, x)
    np.testing.assert_allclose(jnp.concatenate(outputs, 1), expected, rtol=1e-5, atol=1e-6)


def cumulative():
    """Return a cell that sums over time; it carries the sum in the precision of x."""

    def start(variables, x, ctx):
        return jnp.zeros((x.shape[0], 1, x.shape[2]), x.dtype)

    def step(variables, carry, x, ctx):
        y = carry + jnp.cumsum(x, axis=1)
        return y[:, -1:], y

    init = lambda key, x, **side: nn.Variables({}, {})  # noqa: E731
    apply = lambda params, state, x, ctx: (jnp.cumsum(x, axis=1), state)  # noqa: E731
    return nn.Layer(init, apply, "cumulative", start=start, step=step)


# rename


def test_rename_names_exactly_and_takes_no_number():
    model = nn.serial(nn.dense(1), nn.remat(nn.rename(nn.dense(2), "head")), nn.dense(3))
    assert list(model.children) == ["dense_0", "head", "dense_1"]


@pytest.mark.parametrize("name", ["a/b", "", "ctx", 3])
def test_rename_refuses_what_cannot_be_in_a_path(name):
    with pytest.raises(ValueError, match='a string without "/"'):
        nn.rename(nn.dense(2), name)


# remat


def tanhs(model, variables):
    def loss(params):
        return model.apply(params, {}, X, nn.Context())[0].sum()

    return str(jax.make_jaxpr(jax.grad(loss))(variables.params)).count("= tanh")


def test_remat_computes_again_what_its_policy_does_not_keep():
    plain = nn.serial(nn.dense(4), jnp.tanh, nn.dense(4), jnp.tanh)
    variables = plain.init(KEY, X)
    keep = jax.checkpoint_policies.everything_saveable
    assert tanhs(plain, variables) == tanhs(nn.remat(plain, policy=keep), variables) == 2
    assert tanhs(nn.remat(plain), variables) == 4


def test_remat_keeps_only_its_inputs(capsys):
    plain = nn.serial(nn.dense(64), jnp.tanh, nn.dense(2))
    variables = plain.init(KEY, X)

    def kept(model):
        print_saved_residuals(
            lambda p: model.apply(p, {}, X, nn.Context())[0].sum(), variables.params
        )
        return capsys.readouterr().out

    assert "[8,64]" in kept(plain) and "[8,64]" not in kept(nn.remat(plain))


# constrain


def test_constrain_lays_the_output_out_over_the_devices():
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    rows = NamedSharding(mesh, PartitionSpec("data"))
    plain = nn.dense(4)
    model = nn.constrain(plain, rows)
    variables = model.init(jax.random.key(0), X)
    y = jax.jit(model)(variables, X)
    assert y.sharding.is_equivalent_to(rows, y.ndim) and len(y.addressable_shards) == 8
    np.testing.assert_allclose(y, plain(variables, X), rtol=1e-6)
    carry = model.start(variables, X[:, None], nn.Context())
    _, y = jax.jit(model.step)(variables, carry, X[:, None], nn.Context())
    assert y.sharding.is_equivalent_to(rows, y.ndim)


# policy


def spy(seen):
    """Return a layer that records the dtypes it meets."""

    def init(key, x, **side):
        return nn.Variables({"w": jnp.ones(3), "n": jnp.arange(3)}, {"mean": jnp.zeros(3)})

    def apply(params, state, x, ctx):
        at = {"w": params["w"], "n": params["n"], "mean": state["mean"], "x": x, **ctx.side}
        seen.update({name: leaf.dtype.name for name, leaf in at.items()})
        return (x * params["w"][None].astype(x.dtype), params["n"]), state

    return nn.pointwise(init, apply, "spy")


@pytest.mark.parametrize("output", [jnp.float32, jnp.bfloat16])
def test_policy_casts_floating_parameters_and_inputs_and_nothing_else(output):
    seen = {}
    model = nn.policy(spy(seen), compute=jnp.bfloat16, output=output)
    variables = model.init(jax.random.key(0), X)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(variables)} == {"float32", "int32"}
    expected = {"w": "bfloat16", "x": "bfloat16", "n": "int32", "mean": "float32", "s": "float32"}
    ctx = nn.Context(side={"s": X})
    (y, integers), state = model.apply(*variables, X, ctx)
    assert seen == expected and state["mean"].dtype == jnp.float32
    assert y.dtype == output and integers.dtype == jnp.int32
    seen.clear()
    _, (y, _) = model.step(variables, model.start(variables, X, ctx), X, ctx)
    assert seen == expected and y.dtype == output


def test_policy_keeps_gradients_and_statistics_in_float32():
    plain, model = inner(), nn.policy(inner(), compute=jnp.bfloat16)
    variables = model.init(KEY, X)

    def loss(layer):
        def loss(params):
            y, state = layer.apply(params, variables.state, X, TRAIN)
            return jnp.square(y).sum(), state

        return jax.jit(jax.grad(loss, has_aux=True))(variables.params)

    half, full = loss(model), loss(plain)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(half)} == {"float32"}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0.1, atol=0.1), half, full)
    assert any(
        jnp.abs(a - b).max() > 1e-4
        for a, b in zip(jax.tree.leaves(half), jax.tree.leaves(full), strict=True)
    )


def test_policy_tells_the_layers_after_it_what_it_answers_in():
    seen = {}
    model = nn.serial(nn.policy(nn.dense(3), output=jnp.bfloat16), spy(seen))
    jax.eval_shape(model.init, KEY, X)
    assert seen["x"] == "bfloat16" and seen["w"] == "float32"


def test_a_carry_is_kept_in_the_precision_of_the_policy():
    model = nn.policy(cumulative(), compute=jnp.bfloat16)
    carry = model.start(nn.Variables({}, {}), X[None], nn.Context())
    assert carry.dtype == jnp.bfloat16
    carry, y = model.step(nn.Variables({}, {}), carry, X[None], nn.Context())
    assert carry.dtype == jnp.bfloat16 and y.dtype == jnp.float32

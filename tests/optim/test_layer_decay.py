"""Rates by depth, of layers apart and of layers stacked."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn, optim


def dense(seed, n=3, m=3):
    random = np.random.default_rng(seed)
    return {
        "w": jnp.asarray(random.normal(size=(n, m)), jnp.float32),
        "b": jnp.asarray(random.normal(size=m), jnp.float32),
    }


PARAMS = {"embed": dense(0), "low": dense(1), "position": dense(2), "top": dense(3)}
GROUPS = [["embed/*", "position/*"], "low/*", "*"]


def updates_of(optimizer, params):
    return optimizer.update(params, optimizer.init(params), params)[0]


@pytest.mark.parametrize("decay", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("make", [lambda: optim.sgd(0.1), lambda: optim.adamw(0.1)])
def test_updates_are_the_optimizer_s_by_the_factor_of_their_depth(make, decay):
    plain = updates_of(make(), PARAMS)
    got = updates_of(optim.layerwise_decay(make(), GROUPS, decay), PARAMS)
    depths = {"embed": 2, "position": 2, "low": 1, "top": 0}
    for name, depth in depths.items():
        for one, other in zip(*map(jax.tree.leaves, (got[name], plain[name])), strict=True):
            np.testing.assert_allclose(one, decay**depth * np.asarray(other), rtol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, got["top"], plain["top"])


def test_the_state_is_the_optimizer_s_and_the_rate_that_of_the_output():
    optimizer = optim.layerwise_decay(optim.adam(0.25), GROUPS, 0.5)
    _, state = optimizer.update(PARAMS, optimizer.init(PARAMS), PARAMS)
    _, plain = optim.adam(0.25).update(PARAMS, optim.adam(0.25).init(PARAMS), PARAMS)
    jax.tree.map(np.testing.assert_array_equal, state[0], plain)
    assert float(optim.rate(state)) == 0.25


def test_bfloat16_updates_are_scaled_in_float32():
    params = jax.tree.map(lambda p: p.astype(jnp.bfloat16), PARAMS)
    got = updates_of(optim.layerwise_decay(optim.sgd(1.0), GROUPS, 0.9), params)
    exact = -(np.float32(0.9) ** 2) * np.asarray(params["embed"]["w"], np.float32)
    assert got["embed"]["w"].dtype == jnp.bfloat16
    np.testing.assert_array_equal(got["embed"]["w"], jnp.asarray(exact).astype(jnp.bfloat16))


DEPTH = 4


def model_of(*blocks):
    return nn.serial(embed=nn.dense(3), **dict(blocks), head=nn.dense(2))


def block():
    return nn.residual(nn.dense(3), nn.tanh)


def unrolled(params):
    """The parameters of a stack of blocks as those of blocks one after another."""
    layers = {
        f"block{i}": jax.tree.map(lambda leaf, i=i: leaf[i], params["blocks"]) for i in range(DEPTH)
    }
    return {"embed": params["embed"], **layers, "head": params["head"]}


@pytest.mark.parametrize("steps", [1, 3])
def test_steps_on_a_repeat_are_those_on_its_layers_unrolled(steps):
    together = model_of(("blocks", nn.repeat(block(), DEPTH)))
    apart = model_of(*((f"block{i}", block()) for i in range(DEPTH)))
    x = jnp.asarray(np.random.default_rng(9).normal(size=(5, 6)), jnp.float32)
    params = together.init(jax.random.key(0), x).params
    names = [f"block{i}" for i in range(DEPTH)]
    with jax.enable_x64(True):
        x, params = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), (x, params))
        one = optim.layerwise_decay(
            optim.adam(0.1), ["embed/*", "blocks/*", "head/*"], 0.7, stacked=nn.stacked(together)
        )
        groups = ["embed/*", *(f"{name}/*" for name in names), "head/*"]
        other = optim.layerwise_decay(optim.adam(0.1), groups, 0.7, stacked=nn.stacked(apart))
        start = params

        def trained(model, optimizer, params):
            loss = lambda params: jnp.mean(jnp.sin(model(nn.Variables(params, {}), x)))  # noqa: E731
            state = optimizer.init(params)
            for _ in range(steps):
                updates, state = optimizer.update(jax.grad(loss)(params), state, params)
                params = optim.apply_updates(params, updates)
            return params

        got, expected = trained(together, one, params), trained(apart, other, unrolled(params))
        for a, b in zip(*map(jax.tree.leaves, (unrolled(got), expected)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9)
        if steps == 1:  # the first step of Adam is about the rate
            moved = [np.abs(got["embed"]["w"] - start["embed"]["w"]).max()]
            stack = np.abs(got["blocks"]["dense_0"]["w"] - start["blocks"]["dense_0"]["w"])
            moved = [
                *moved,
                *stack.max((1, 2)),
                np.abs(got["head"]["w"] - start["head"]["w"]).max(),
            ]
            np.testing.assert_allclose(moved, 0.1 * 0.7 ** np.arange(5, -1, -1), rtol=1e-4)


def test_layers_of_layers_count_in_the_order_in_which_they_run():
    params = {"blocks": jnp.ones((2, 3, 5)), "head": jnp.ones(5)}
    optimizer = optim.layerwise_decay(
        optim.sgd(1.0), ["blocks", "head"], 0.5, stacked={"blocks": 2, "head": 0}
    )
    expected = -(0.5 ** np.arange(6, 0, -1.0)).reshape(2, 3, 1) * np.ones(5)
    np.testing.assert_allclose(updates_of(optimizer, params)["blocks"], expected, rtol=1e-6)


def test_a_stack_nearest_the_output_ends_with_factor_one():
    params = {"head": jnp.ones(5), "blocks": jnp.ones((3, 5))}
    optimizer = optim.layerwise_decay(
        optim.sgd(1.0), ["head", "blocks"], 0.5, stacked={"head": 0, "blocks": 1}
    )
    got = updates_of(optimizer, params)
    np.testing.assert_allclose(got["blocks"][:, 0], [-0.25, -0.5, -1.0])
    np.testing.assert_allclose(got["head"], np.full(5, -0.125))


def test_extra_arguments_reach_the_optimizer():
    inner = optim.chain(optim.sgd(1.0), optim.reduce_on_plateau(0.5, 1))
    optimizer = optim.layerwise_decay(inner, GROUPS, 0.5)
    _, state = optimizer.update(PARAMS, optimizer.init(PARAMS), PARAMS, value=jnp.float32(1.0))
    assert float(state[0][1].best) == 1.0


def uneven():
    params = {"a": jnp.ones((3, 2)), "b": jnp.ones(2)}
    stacked = {"a": 1, "b": 0}
    optim.layerwise_decay(optim.sgd(0.1), ["*"], 0.9, stacked=stacked).init(params)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda: optim.layerwise_decay(optim.sgd(0.1), GROUPS, 2.6),
            ValueError,
            r"decay is 2.6; .*\[0, 1\]; try decay=0.9",
        ),
        (lambda: optim.layerwise_decay(optim.sgd(0.1), GROUPS, -0.1), ValueError, "decay is -0.1"),
        (
            lambda: optim.layerwise_decay(optim.sgd(0.1), "low/*", 0.9),
            TypeError,
            "groups is 'low/\\*'; expected patterns from the input to the output",
        ),
        (lambda: optim.layerwise_decay(optim.sgd(0.1), [], 0.9), TypeError, r"groups is \[\]"),
        (lambda: optim.layerwise_decay(optim.sgd(0.1), [[]], 0.9), TypeError, r"groups is \[\[\]"),
        (
            lambda: optim.layerwise_decay(optim.sgd(0.1), ["low/*", "*/v"], 0.9).init(PARAMS),
            ValueError,
            "pattern '\\*/v' matches nothing",
        ),
        (
            lambda: optim.layerwise_decay(optim.sgd(0.1), ["*", "top/*"], 0.9).init(PARAMS),
            ValueError,
            "pattern 'top/\\*' comes too late",
        ),
        (
            lambda: optim.layerwise_decay(optim.sgd(0.1), ["low/*", "top/*"], 0.9).init(PARAMS),
            ValueError,
            "no pattern matches embed/b, embed/w.*add a pattern that does",
        ),
        (uneven, ValueError, r"in the group \('\*',\) the layers of a are \(3,\), those of b are"),
    ],
)
def test_unusable_arguments_are_refused(make, error, words):
    with pytest.raises(error, match=f"layerwise_decay: {words}"):
        make()

"""Small arrays updated as one: the same updates, and nothing that tells arrays apart inside."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from laminax import optim

SHAPES = {"embed": (40, 8), "block": {"w": (8, 4), "b": (4,)}, "scale": ()}


def normal(seed, dtype=jnp.float32):
    keys = iter(jax.random.split(jax.random.key(seed), 4))
    return jax.tree.map(
        lambda shape: jax.random.normal(next(keys), shape, dtype),
        SHAPES,
        is_leaf=lambda node: isinstance(node, tuple),
    )


def run(optimizer, params, steps=5):
    update = jax.jit(optimizer.update)
    state = optimizer.init(params)
    for i in range(steps):
        gradient = jax.tree.map(lambda g, p: g.astype(p.dtype), normal(i + 1), params)
        updates, state = update(gradient, state, params, value=jnp.float32(1))
        params = optim.apply_updates(params, updates)
    return params, state


ALIKE = {
    "sgd": lambda: optim.sgd(0.1),
    "nesterov": lambda: optim.nesterov(0.1),
    "adam": lambda: optim.adam(optim.cosine(0.1, 5)),
    "adamw": lambda: optim.adamw(0.1),
    "rprop": lambda: optim.rprop(0.1),
    "lion": lambda: optim.lion(0.1),
    "adadelta": lambda: optim.adadelta(0.1),
    "clipped": lambda: optim.chain(optim.clip_by_norm(0.5), optim.adam(0.1)),
    "of optax": lambda: optax.sgd(0.1, momentum=0.9),
}


@pytest.mark.parametrize("name", ALIKE)
@pytest.mark.parametrize("largest", [8, 100, 10_000])
def test_the_updates_are_the_optimizers_own(name, largest):
    plain, _ = run(ALIKE[name](), normal(0))
    flat, _ = run(optim.flattened(ALIKE[name](), largest=largest), normal(0))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7), flat, plain)


def test_what_is_small_is_joined_by_dtype_and_what_is_large_keeps_its_path_and_shape():
    params = normal(0) | {"half": normal(9, jnp.bfloat16)["block"]}
    _, state = run(optim.flattened(optim.momentum(0.1), largest=32), params, steps=0)
    shapes = {path: m.shape for path, m in state[0].trace.items()}
    assert shapes == {"embed": (40, 8), "joined float32": (37,), "joined bfloat16": (36,)}


@pytest.mark.parametrize(
    "make",
    [
        lambda: optim.lars(0.1),
        lambda: optim.lamb(0.1),
        lambda: optim.adafactor(0.1),
        lambda: optim.chain(optim.centralize(), optim.sgd(0.1)),
        lambda: optim.chain(optim.adaptive_clip(0.1), optim.sgd(0.1)),
    ],
)
def test_what_tells_arrays_apart_is_refused(make):
    for init in (optim.flattened(make()).init, jax.jit(optim.flattened(make()).init)):
        with pytest.raises(ValueError, match=r"flattened: .* by the array .* leave flattened out"):
            init(normal(0))


def test_patterns_stand_outside():
    with pytest.raises(ValueError, match="matches nothing"):
        optim.flattened(optim.adamw(0.1, decayed="*/w")).init(normal(0))
    groups = optim.select(
        {"*/w": optim.flattened(optim.adamw(0.1)), "*": optim.flattened(optim.adam(0.1))}
    )
    flat, _ = run(groups, normal(0))
    plain, _ = run(optim.adamw(0.1, decayed="*/w"), normal(0))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7), flat, plain)


def test_averages_of_the_parameters_stand_outside():
    inside = optim.chain(optim.sgd(0.1), optim.ema(0.5))
    with pytest.raises(ValueError, match=r"flattened: .* AverageState.* put flattened inside"):
        optim.flattened(inside).init(normal(0))
    outside = optim.chain(optim.flattened(optim.sgd(0.1)), optim.ema(0.5))
    params, state = run(outside, normal(0))
    assert jax.tree.map(jnp.shape, optim.evaluated(state, params)) == SHAPES


def test_a_rate_may_be_traced():
    params, gradient = normal(0), normal(1)

    def moved(rate):
        optimizer = optim.flattened(optim.adam(rate))
        return optimizer.update(gradient, optimizer.init(params))[0]["scale"]

    rates = jnp.array([0.1, 0.2])
    np.testing.assert_allclose(
        jax.vmap(moved)(rates), -rates * jnp.sign(gradient["scale"]), rtol=1e-5
    )


def test_the_loss_reaches_the_optimizer_and_trees_of_the_parameters_form_do_not():
    seen = []

    def update(updates, state, params=None, **extra):
        seen.append(sorted(extra))
        return jax.tree.map(lambda u: u * extra["value"], updates), state

    optimizer = optim.flattened(optax.GradientTransformationExtraArgs(lambda params: (), update))
    params = {"w": jnp.ones(2)}
    updates, _ = optimizer.update(
        params, optimizer.init(params), params, value=jnp.float32(3), grad=params, value_fn=None
    )
    np.testing.assert_array_equal(updates["w"], [3, 3])
    assert seen[-1] == ["value"]


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: optim.flattened(optim.adam), TypeError, "flattened: optimizer is adam; expected"),
        (lambda: optim.flattened(optim.sgd(0.1), largest=0), ValueError, "largest is 0; expected"),
    ],
)
def test_bad_arguments_raise(call, error, text):
    with pytest.raises(error, match=text):
        call()

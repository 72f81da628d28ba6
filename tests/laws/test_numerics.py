"""Gradients against central differences in float64, and the precision that layers answer in."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

from .running import MODES, context, example, in_float64, label, layer_of, run, spec
from .table import LAYERS

PRECISE = [row for row in LAYERS if row.precise]
STEP = 1e-6
SMOOTH = [(row, train) for row, train in MODES if row.precise and (row.smooth or not train)]
QUICK = {"xla_backend_optimization_level": 0}
"""Compiling takes longer than running here."""


@pytest.mark.parametrize(("row", "train"), SMOOTH, ids=label)
def test_gradient_is_the_central_difference(row, train):
    """In five random directions of parameters and input, of a random sum over y."""
    with jax.enable_x64(True):
        x, variables = in_float64(example(row))
        random = np.random.default_rng(0)

        def f(at):
            params, x = at
            if row.integer:
                x = jax.lax.stop_gradient(x).astype(jnp.int32)
            y, _ = layer_of(row).apply(params, variables.state, x, context(row, train))
            return sum(
                (leaf * np.cos(np.arange(leaf.size)).reshape(leaf.shape)).sum()
                for leaf in jax.tree.leaves(y)
            )

        at = jax.tree.map(lambda a: np.asarray(a, np.float64), (variables.params, x))
        both = jax.jit(jax.value_and_grad(f), compiler_options=QUICK)
        _, gradient = both(at)
        for _ in range(5):
            v = jax.tree.map(lambda a: random.normal(size=a.shape), at)
            if row.integer:
                v = v[0], np.zeros(x.shape)
            ahead, behind = (
                both(jax.tree.map(lambda a, b, h=h: a + h * b, at, v))[0] for h in (STEP, -STEP)
            )
            along = jax.tree.map(lambda g, b: np.sum(g * b), gradient, v)
            np.testing.assert_allclose(
                sum(jax.tree.leaves(along)), (ahead - behind) / (2 * STEP), rtol=1e-6, atol=1e-8
            )
        for leaf in jax.tree.leaves(gradient[0]):
            assert row.steps or jnp.abs(leaf).max() > 1e-9, "a parameter y does not depend on"


@pytest.mark.parametrize("row", PRECISE, ids=str)
def test_precision_follows_x_and_the_parameters(row):
    def traced(layer, x, variables):
        def apply(variables, x, key):
            return layer.apply(*variables, x, nn.Context(key, train=True))

        return jax.eval_shape(apply, variables, x, jax.random.key(0))

    def dtypes(tree):
        return {leaf.dtype.name for leaf in jax.tree.leaves(tree)}

    x, variables = example(row)
    layer = layer_of(row)
    y, _ = traced(layer, x, variables)
    assert dtypes(y) == {"float32"}
    half = nn.policy(layer, compute=jnp.bfloat16, output=jnp.bfloat16)
    y, state = traced(half, x, variables)
    assert dtypes(y) == {"bfloat16"}
    assert spec(state) == spec(variables.state), "statistics stay in float32"
    cast = jax.tree.map(lambda p: p.astype(jnp.bfloat16), variables.params)
    own, _ = traced(layer, x if row.integer else x.astype(jnp.bfloat16), (cast, variables.state))
    assert dtypes(own) == {"bfloat16"}
    with jax.enable_x64(True):
        wide_x = in_float64(x)
        made = jax.eval_shape(layer.init, jax.random.key(0), wide_x)
        y, _ = traced(layer, wide_x, made)
        assert dtypes(made) <= {"float64"} and dtypes(y) == {"float64"}


@pytest.mark.parametrize("row", LAYERS, ids=str)
def test_bfloat16_is_near_float32(row):
    x, variables = example(row)
    half = jax.jit(nn.policy(layer_of(row), compute=jnp.bfloat16))
    (y, _), near = run(row), half(variables, x)
    for a, b in zip(*map(jax.tree.leaves, (y, near)), strict=True):
        np.testing.assert_allclose(b, a, rtol=0.05, atol=0.05 * float(jnp.abs(a).max()))

"""Programs without choices of platforms and without groups."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.extend.core import jaxpr_as_fun

from laminax.train.export._portable import portable


def chosen(x):
    """One form for the CPU, another for all others; the same numbers in life, here told apart."""
    return lax.platform_dependent(x, cpu=lambda x: x + 1, default=lambda x: x * 3)


def primitives(program):
    inner = [p for e in program.eqns for p in jax.extend.core.jaxprs_in_params(e.params)]
    return {e.primitive.name for e in program.eqns}.union(*map(primitives, inner))


CASES = {
    "plain": lambda f, x: f(x),
    "checkpoint": lambda f, x: jax.checkpoint(f)(x),
    "jit": lambda f, x: jax.jit(f)(x),
    "scan": lambda f, x: lax.scan(lambda c, t: (f(c), f(t)), x[0], x),
    "while": lambda f, x: lax.fori_loop(0, x.shape[0], lambda i, c: f(c), x),
    "cond": lambda f, x: lax.cond(x[0] > 0, f, lambda x: -x, x),
    "vmap": lambda f, x: jax.vmap(f)(x[:, None]),
    "relu": lambda f, x: jax.nn.relu(f(x)),
    "pad": lambda f, x: jnp.pad(f(x)[None], ((1, 0), (0, 2)), constant_values=7.0),
    "cut": lambda f, x: lax.pad(x, np.float32(0), [(-1, 2, 0)]),
    "dilated": lambda f, x: lax.pad(x, np.float32(5), [(1, 0, 1)]),
}


@pytest.mark.parametrize("name", CASES)
def test_the_default_form_is_taken_everywhere_and_nothing_else_changes(name):
    x = jnp.array([0.5, -2.0, 1.5])
    program = portable(jax.make_jaxpr(lambda x: CASES[name](chosen, x))(x))
    assert not {"platform_index", "jit", "remat2", "custom_jvp_call"} & primitives(program.jaxpr)
    answered = jaxpr_as_fun(program)(x)
    expected = jax.tree.leaves(CASES[name](lambda x: x * 3, x))
    for mine, leaf in zip(answered, expected, strict=True):
        np.testing.assert_array_equal(mine, leaf)


def test_padding_needs_no_size_of_the_batch():
    (batch,) = jax.export.symbolic_shape("batch")
    spec = jax.ShapeDtypeStruct((batch, 3), np.float32)
    program = portable(jax.make_jaxpr(lambda x: jnp.pad(x, ((0, 0), (1, 2))))(spec))
    assert "pad" not in primitives(program.jaxpr)

"""JAX's transforms leave a layer's numbers as they are: jit, vmap, sharding; one compile a mode."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from .kinds import rows_over_devices
from .running import (
    MODES,
    assert_close,
    compiled,
    context,
    example,
    label,
    layer_of,
    part,
    run,
    tolerance,
)
from .table import LAYERS

modes = pytest.mark.parametrize(("row", "train"), MODES, ids=label)
rows = pytest.mark.parametrize("row", LAYERS, ids=str)


@modes
def test_jit_equals_eager(row, train):
    x, variables = example(row)
    eager = layer_of(row).apply(*variables, x, context(row, train))
    assert_close(run(row, train), eager, **tolerance(row))


@modes
def test_the_second_call_compiles_nothing(row, train, compiles):
    _, state = run(row, train)
    x, variables = example(row)
    other = x + 1 if x.dtype == jnp.float32 else x[::-1]
    compiles.clear()
    run(row, train, x=other, key=7)
    run(row, train, variables=variables._replace(state=state))
    assert compiles == []


@rows
def test_init_under_jit_is_eager_init(row):
    """To the last bit or two: the compiler may join the constant factors of a normal draw."""
    x, _ = example(row)
    init = layer_of(row).init
    jitted, eager = jax.jit(init)(jax.random.key(3), x), init(jax.random.key(3), x)
    assert_close(jitted, eager, rtol=3e-7, atol=0)


@modes
def test_vmap_over_an_ensemble_is_a_loop(row, train):
    x, variables = example(row)
    members = jax.tree.map(lambda leaf: np.stack([leaf, 2 * leaf, leaf + 1]), variables)
    if not jax.tree.leaves(members):
        pytest.skip("has no variables")
    together = jax.vmap(compiled(row, train), in_axes=(0, None, None))(
        members, x, jax.random.key(2)
    )
    for i in range(3):
        alone = run(row, train, variables=part(members, i))
        assert_close(part(together, i), alone, **tolerance(row, 1e-5))


@modes
def test_a_batch_over_eight_devices_is_one_device(row, train):
    x, variables = example(row)
    sharding = rows_over_devices()
    replicated = NamedSharding(sharding.mesh, PartitionSpec())
    apply = jax.jit(lambda v, x, key: layer_of(row).apply(*v, x, context(row, train, key)))
    key = jax.device_put(jax.random.key(2), replicated)
    sharded = apply(jax.device_put(variables, replicated), jax.device_put(x, sharding), key)
    assert_close(sharded, run(row, train), **tolerance(row, 1e-5))

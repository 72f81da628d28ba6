"""Laws of losses and metrics: one number an example, in at least float32, the same under jit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from .running import assert_close, spec
from .table import BATCH, MEASURES, rows_over_devices

measures = pytest.mark.parametrize("measure", MEASURES, ids=str)
smooth = pytest.mark.parametrize("measure", [m for m in MEASURES if m.smooth], ids=str)


def arguments(measure):
    return tuple(map(jnp.asarray, measure.arguments()))


@measures
def test_one_number_or_pair_an_example_in_at_least_float32(measure):
    first, second = arguments(measure)
    for dtype in (jnp.bfloat16, jnp.float16, jnp.float32):
        cast = second if second.dtype == jnp.int32 else second.astype(dtype)
        result = jax.eval_shape(measure.function, first.astype(dtype), cast)
        leaves = result if isinstance(result, tuple) else (result,)
        assert len(leaves) in (1, 2)
        assert spec(list(leaves)) == spec([jnp.zeros(BATCH, jnp.float32)] * len(leaves))


@smooth
def test_float64_stays(measure):
    with jax.enable_x64(True):
        first, second = arguments(measure)
        wide = second if second.dtype == jnp.int32 else second.astype(jnp.float64)
        for a, b in (
            (first.astype(jnp.float64), second),
            (first, wide),
            (first.astype(float), wide),
        ):
            if jnp.float64 in (a.dtype, b.dtype):
                leaves = jax.tree.leaves(jax.eval_shape(measure.function, a, b))
                assert {leaf.dtype for leaf in leaves} == {jnp.dtype(jnp.float64)}


@measures
def test_jit_equals_eager_and_compiles_once(measure):
    function, (first, second) = jax.jit(lambda a, b: measure.function(a, b)), arguments(measure)
    assert_close(function(first, second), measure.function(first, second))
    function(first + 1, second)
    assert function._cache_size() == 1


@measures
def test_a_row_reads_no_other(measure):
    first, second = arguments(measure)
    result = measure.function(first, second)
    for i in range(0, BATCH, 3):
        alone = measure.function(first[i : i + 1], second[i : i + 1])
        assert_close(alone, jax.tree.map(lambda a, i=i: a[i : i + 1], result))
        mixed = measure.function(first[::-1].at[i].set(first[i]), second[::-1].at[i].set(second[i]))
        assert_close(*(jax.tree.map(lambda a, i=i: a[i], r) for r in (mixed, result)))


@measures
def test_vmap_is_a_loop(measure):
    first, second = arguments(measure)
    together = jax.vmap(measure.function)(
        jnp.stack([first, 2 * first]), jnp.stack([second, second[::-1]])
    )
    for i, pair in enumerate([(first, second), (2 * first, second[::-1])]):
        assert_close(jax.tree.map(lambda a, i=i: a[i], together), measure.function(*pair))


@measures
def test_a_batch_over_eight_devices_is_one_device(measure):
    function, batch = jax.jit(lambda a, b: measure.function(a, b)), arguments(measure)
    assert_close(function(*jax.device_put(batch, rows_over_devices())), measure.function(*batch))


@smooth
def test_gradient_is_the_central_difference(measure):
    with jax.enable_x64(True):
        first, second = arguments(measure)
        first, h = first.astype(jnp.float64), 1e-6

        @jax.jit
        def total(a):
            result = measure.function(a, second)
            result = result[0] if isinstance(result, tuple) else result
            return (result * np.cos(np.arange(BATCH))).sum()

        gradient = jax.grad(total)(first)
        for seed in range(5):
            v = np.random.default_rng(seed).normal(size=first.shape)
            difference = (total(first + h * v) - total(first - h * v)) / (2 * h)
            np.testing.assert_allclose((gradient * v).sum(), difference, rtol=1e-6, atol=1e-8)

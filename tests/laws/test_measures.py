"""Laws of losses and metrics: one number an example, in at least float32, the same under jit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from .kinds import BATCH, rows_over_devices
from .running import assert_close, differ, part, spec
from .table import MEASURES

measures = pytest.mark.parametrize("measure", MEASURES, ids=str)
smooth = pytest.mark.parametrize("measure", [m for m in MEASURES if m.smooth], ids=str)


def arguments(measure):
    return jax.tree.map(jnp.asarray, measure.arguments())


def cast(tree, dtype):
    """Return the tree with its floating arrays in `dtype`."""
    floating = lambda a: jnp.issubdtype(a.dtype, jnp.floating)  # noqa: E731
    return jax.tree.map(lambda a: a.astype(dtype) if floating(a) else a, tree)


def reverse(tree):
    return jax.tree.map(lambda a: a[::-1], tree)


def total(measure, *arguments):
    """Return a sum of the measure's values, each weighed differently."""
    result = measure.function(*arguments)
    result = result[0] if isinstance(result, tuple) else result
    return (result * np.cos(np.arange(BATCH, dtype=result.dtype))).sum()


@measures
def test_one_number_or_pair_an_example_in_at_least_float32(measure):
    for dtype in (jnp.bfloat16, jnp.float16, jnp.float32):
        result = jax.eval_shape(measure.function, *cast(arguments(measure), dtype))
        leaves = result if isinstance(result, tuple) else (result,)
        assert len(leaves) in (1, 2)
        assert spec(list(leaves)) == spec([jnp.zeros(BATCH, jnp.float32)] * len(leaves))


@smooth
def test_float64_stays(measure):
    with jax.enable_x64(True):
        first, *rest = arguments(measure)
        wide_first, wide_rest = cast(first, jnp.float64), cast(rest, jnp.float64)
        for given in ((wide_first, *rest), (first, *wide_rest), (wide_first, *wide_rest)):
            if any(leaf.dtype == jnp.float64 for leaf in jax.tree.leaves(given)):
                leaves = jax.tree.leaves(jax.eval_shape(measure.function, *given))
                assert {leaf.dtype for leaf in leaves} == {jnp.dtype(jnp.float64)}


@measures
def test_jit_equals_eager_and_compiles_once(measure, compiles):
    given = arguments(measure)
    compiled = jax.jit(measure.function)
    assert_close(compiled(*given), measure.function(*given))
    others = reverse(given)
    compiles.clear()
    compiled(*others)
    assert compiles == []


@measures
def test_a_row_reads_no_other(measure):
    given = arguments(measure)
    result = measure.function(*given)
    alone = measure.function(*jax.tree.map(lambda a: a[:1], given))
    if measure.contrasts:
        assert differ(part(alone, 0), part(result, 0))
        return
    assert_close(alone, jax.tree.map(lambda a: a[:1], result))
    for i in range(0, BATCH, 3):
        others = jax.tree.map(lambda a, b, i=i: a.at[i].set(b[i]), reverse(given), given)
        assert_close(part(measure.function(*others), i), part(result, i))


@measures
def test_rows_in_another_order_give_their_values_in_that_order(measure):
    given = arguments(measure)
    assert_close(measure.function(*reverse(given)), reverse(measure.function(*given)))


@measures
def test_vmap_is_a_loop(measure):
    given = arguments(measure)
    pairs = jax.tree.map(lambda a, b: jnp.stack([a, b]), given, reverse(given))
    together = jax.vmap(measure.function)(*pairs)
    for i, alone in enumerate((given, reverse(given))):
        assert_close(part(together, i), measure.function(*alone))


@measures
def test_a_batch_over_eight_devices_is_one_device(measure):
    given = arguments(measure)
    sharded = jax.device_put(given, rows_over_devices())
    assert_close(jax.jit(lambda *a: measure.function(*a))(*sharded), measure.function(*given))


@smooth
def test_gradient_is_the_central_difference(measure):
    with jax.enable_x64(True):
        first, *rest = arguments(measure)
        first, h = cast(first, jnp.float64), 1e-6
        value = jax.jit(lambda first: total(measure, first, *rest))
        gradient = jax.jit(jax.grad(value))(first)
        for seed in range(5):
            random = np.random.default_rng(seed)
            v = jax.tree.map(lambda a, random=random: random.normal(size=a.shape), first)
            ahead, behind = (
                value(jax.tree.map(lambda a, b, h=h: a + h * b, first, v)) for h in (h, -h)
            )
            along = sum(jax.tree.leaves(jax.tree.map(lambda g, b: (g * b).sum(), gradient, v)))
            np.testing.assert_allclose(along, (ahead - behind) / (2 * h), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("measure", [m for m in MEASURES if m.smooth and not m.bounded], ids=str)
@pytest.mark.parametrize("scale", [1e4, 0.0])
def test_value_and_gradient_are_finite_at_scores_of_any_size(measure, scale):
    first, *rest = arguments(measure)
    first = jax.tree.map(lambda a: scale * jnp.sign(a), first)
    value, gradient = jax.value_and_grad(lambda first: total(measure, first, *rest))(first)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves((value, gradient)))

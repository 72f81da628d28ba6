"""Laws of metrics of a whole set: another library's number, whatever the order of examples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from .table import WHOLE

whole = pytest.mark.parametrize("metric", WHOLE, ids=str)
arrays_only = pytest.mark.parametrize(
    "metric", [m for m in WHOLE if m.needs != "sacrebleu"], ids=str
)


def value(metric, arguments):
    pytest.importorskip(metric.needs)
    return metric.function(*arguments)


@whole
def test_it_is_the_number_of_another_library(metric):
    arguments = metric.arguments()
    got = value(metric, arguments)
    np.testing.assert_allclose(got, metric.reference(*arguments), rtol=1e-12, atol=1e-12)


@whole
def test_the_order_of_examples_is_no_matter(metric):
    arguments = metric.arguments()
    order = np.random.default_rng(0).permutation(len(arguments[0]))
    shuffled = [
        [a[i] for i in order] if isinstance(a, list) else np.asarray(a)[order] for a in arguments
    ]
    np.testing.assert_allclose(value(metric, shuffled), value(metric, arguments), rtol=1e-12)


@whole
def test_the_pairing_of_examples_matters(metric):
    arguments = metric.arguments()
    if len(arguments) > 1:
        first = arguments[0]
        mispaired = first[1:] + first[:1] if isinstance(first, list) else np.roll(first, 5, 0)
        got = value(metric, [mispaired, *arguments[1:]])
        assert np.any(np.abs(got - value(metric, arguments)) > 1e-6)


@arrays_only
def test_arrays_on_a_device_are_read_in_float64(metric):
    arguments = metric.arguments()
    got = value(metric, [*map(jnp.asarray, arguments)])
    assert np.asarray(got).dtype in (np.float64, np.int64)
    np.testing.assert_array_equal(got, value(metric, arguments))


@arrays_only
def test_it_refuses_to_be_traced(metric):
    with pytest.raises(TypeError, match=r"is traced.*outside jit"):
        jax.jit(lambda *a: jnp.asarray(metric.function(*a)))(*metric.arguments())


@whole
def test_an_empty_set_raises(metric):
    with pytest.raises(ValueError, match=r"empty|got 0 for 0"):
        value(metric, [a[:0] for a in metric.arguments()])

"""The embedding: rows looked up, gradients added up, and no answer for what is not in the table."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

TABLE = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
VARIABLES = nn.Variables({"table": TABLE}, {})


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32])
def test_rows_are_looked_up(dtype):
    x = np.array([[4, 0], [2, 2]], dtype)
    np.testing.assert_array_equal(nn.embedding(5, 3)(VARIABLES, x), TABLE[x])


def test_the_gradient_of_a_row_is_the_sum_over_its_places():
    x, g = np.array([1, 1, 4]), np.arange(9, dtype=np.float32).reshape(3, 3)
    loss = lambda table: (nn.embedding(5, 3)(nn.Variables({"table": table}, {}), x) * g).sum()  # noqa: E731
    expected = np.zeros((5, 3))
    np.add.at(expected, x, g)
    np.testing.assert_array_equal(jax.grad(loss)(TABLE), expected)


@pytest.mark.parametrize("wrong", [-1, -5, 5, 2**31 - 1])
def test_what_is_not_in_the_table_reads_nan(wrong):
    y = jax.jit(nn.embedding(5, 3))(VARIABLES, jnp.array([0, wrong]))
    np.testing.assert_array_equal(y[0], TABLE[0])
    assert jnp.isnan(y[1]).all()


@pytest.mark.parametrize("wrong", [200, 255])
def test_a_small_dtype_does_not_wrap_around(wrong):
    y = nn.embedding(5, 3)(VARIABLES, np.array([wrong], np.uint8))
    assert jnp.isnan(y).all()


def test_a_vocabulary_larger_than_its_indices_count():
    """A negative int8 is out of the table even where 300 rows are more than int8 can count."""
    table = np.arange(300, dtype=np.float32)[:, None]
    y = nn.embedding(300, 1)(nn.Variables({"table": table}, {}), np.array([-1, 5], np.int8))
    assert jnp.isnan(y[0]).all() and y[1] == 5


def test_it_starts_small():
    table = nn.embedding(300, 100).init(jax.random.key(0), jnp.zeros(1, int)).params["table"]
    np.testing.assert_allclose(table.std(), 0.02, rtol=0.02)


@pytest.mark.parametrize("x", [np.zeros(2, np.float32), np.zeros(2, bool)])
def test_what_are_no_integers_is_refused(x):
    with pytest.raises(TypeError, match="embedding: x must hold integers"):
        nn.embedding(5, 3)(VARIABLES, x)


def test_arguments_and_tables_are_checked():
    with pytest.raises(ValueError, match="embedding: vocabulary must be an integer of at least 1"):
        nn.embedding(0, 3)
    with pytest.raises(ValueError, match="embedding: features must be an integer of at least 1"):
        nn.embedding(3, 0)
    with pytest.raises(ValueError, match=r"table must be \(6, 3\), got \(5, 3\)"):
        nn.embedding(6, 3)(VARIABLES, np.array([1]))

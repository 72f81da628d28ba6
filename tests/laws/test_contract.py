"""What every layer promises: its state, its keys, its rows, its chunks, its errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

from .running import (
    MODES,
    assert_close,
    assert_equal,
    context,
    differ,
    example,
    label,
    layer_of,
    part,
    run,
    spec,
    tolerance,
)
from .table import LAYERS

modes = pytest.mark.parametrize(("row", "train"), MODES, ids=label)
rows = pytest.mark.parametrize("row", LAYERS, ids=str)


@rows
def test_init_reads_only_shape_and_dtype(row):
    x, _ = example(row)
    init = layer_of(row).init
    from_spec = init(jax.random.key(3), jax.ShapeDtypeStruct(x.shape, x.dtype))
    assert isinstance(from_spec, nn.Variables)
    assert_equal(from_spec, init(jax.random.key(3), x))
    assert_equal(from_spec, init(jax.random.key(3), 0 * x))


@modes
def test_the_state_keeps_its_structure_and_dtypes(row, train):
    _, variables = example(row)
    _, state = run(row, train)
    assert spec(state) == spec(variables.state)


@rows
def test_evaluation_leaves_the_state_untouched(row):
    _, variables = example(row)
    _, state = run(row)
    assert_equal(state, variables.state)
    assert bool(jax.tree.leaves(state)) == row.state


@rows
def test_training_writes_the_state(row):
    if row.state:
        _, variables = example(row)
        _, state = run(row, True)
        for before, after in zip(*map(jax.tree.leaves, (variables.state, state)), strict=True):
            assert differ(before, after)


@rows
def test_the_key_alone_decides_what_is_drawn(row):
    first, again, other = (run(row, True, key=key)[0] for key in (5, 5, 6))
    assert_equal(first, again)
    assert differ(first, other) == row.random


@rows
def test_only_what_draws_needs_a_key(row):
    x, variables = example(row)
    if not row.random:
        layer_of(row).apply(*variables, x, nn.Context(train=True))
        return
    with pytest.raises(ValueError, match=r"needs a random key in training, got key=None"):
        layer_of(row).apply(*variables, x, nn.Context(train=True))


@rows
def test_no_row_of_a_batch_reads_another_in_evaluation(row):
    x, _ = example(row)
    y, _ = run(row)
    other_x = x[::-1] if row.integer else x + 1 + jnp.abs(x)
    for i in (0, 3):
        mixed, _ = run(row, x=other_x.at[i].set(x[i]))
        if row.reads_x:
            assert_close(part(mixed, i), part(y, i))
            assert differ(mixed, y)
        else:
            assert_equal(mixed, y)


@rows
def test_stepping_in_chunks_is_apply(row):
    x, variables = example(row)
    layer, ctx = layer_of(row), nn.Context()
    if not row.cell:
        return _assert_not_steppable(layer, variables, x)
    whole = run(row)
    for sizes in ((5,), (1, 3, 1), (1, 1, 1, 1, 1)):
        carry = layer.start(variables, jax.ShapeDtypeStruct(x.shape, x.dtype), ctx)
        before, chunks = spec(carry), []
        for stretch in jnp.split(x, np.cumsum(sizes)[:-1], axis=1):
            carry, y = layer.step(variables, carry, stretch, ctx)
            assert spec(carry) == before
            chunks.append(y)
        assert_close(
            jax.tree.map(lambda *ys: jnp.concatenate(ys, 1), *chunks), whole[0], **tolerance(row)
        )


def _assert_not_steppable(layer, variables, x):
    if layer.start is None or layer.name == "parameter":
        return
    with pytest.raises(ValueError, match=r"has no step|cannot run a stretch at a time"):
        layer.start(variables, jax.ShapeDtypeStruct(x.shape, x.dtype), nn.Context())


@rows
def test_a_wrong_feature_size_raises_before_any_compile(row):
    x, variables = example(row)
    if not jax.tree.leaves(variables.params) or not row.reads_x:
        pytest.skip("has no parameters that x must fit")
    wrong = [x.astype(float)] if row.integer else [jnp.concatenate([x, x], -1), x[..., :1]]
    for bad in wrong:
        if bad.shape == x.shape and not row.integer:
            continue
        # Lowering traces and never compiles.
        apply = jax.jit(lambda v, x: layer_of(row).apply(*v, x, context(row, False)))
        with pytest.raises(TypeError if row.integer else ValueError, match="got") as raised:
            apply.lower(variables, bad)
        assert not type(raised.value).__module__.startswith("jax")
        ours = raised.traceback[-1].path
        assert "laminax" in str(ours) or "/nn/" in str(ours)


@rows
def test_wrong_parameters_raise(row):
    x, variables = example(row)
    if not jax.tree.leaves(variables.params):
        pytest.skip("has no parameters")
    wrong = jnp.zeros(11) if row.name == "parameter" else {"other": jnp.zeros(1)}
    with pytest.raises(ValueError, match=r"got|unknown entries"):
        layer_of(row).apply(wrong, variables.state, x, nn.Context())

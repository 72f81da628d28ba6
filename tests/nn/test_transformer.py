"""Transformers: what blocks add up to, what each side input reaches, decoding by the carry."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

SOURCE = np.array([[1, 0, 4, 4, 2], [2, 2, 1, 0, 3]])
TARGET = np.array([[1, 5, 4, 4], [2, 2, 5, 0]])
MODEL = nn.transformer(5, 6, layers=2, heads=2, features=8, hidden=12)
X = np.random.default_rng(0).normal(size=(2, 5, 4)).astype(np.float32)


def made(layer, *args, **side):
    params, _ = layer.init(jax.random.key(0), *args, **side)
    bent = lambda p: p + 0.3 * jnp.cos(jnp.arange(p.size)).reshape(p.shape)  # noqa: E731
    return nn.Variables(jax.tree.map(bent, params), {})


VARIABLES = made(MODEL, (SOURCE, TARGET))


def child(name):
    return MODEL.children[name], nn.Variables(VARIABLES.params[name], {})


@pytest.mark.parametrize("post_norm", [False, True])
def test_a_block_adds_its_sublayers_and_norms_before_or_after(post_norm):
    double, shift = (lambda x: 2 * x), (lambda x: x + 1)
    block = nn.encoder_block(double, shift, norm=nn.rms_norm, post_norm=post_norm)
    variables = block.init(jax.random.key(0), X)
    norm = lambda x: x / np.sqrt(np.square(x).mean(-1, keepdims=True))  # noqa: E731
    if post_norm:
        h = norm(X + 2 * X)
        expected = norm(h + h + 1)
    else:
        h = X + 2 * norm(X)
        expected = h + norm(h) + 1
    np.testing.assert_allclose(block(variables, X), expected, rtol=1e-3, atol=1e-3)


def test_a_decoder_block_reads_the_memory_between():
    order = []
    note = lambda name: lambda x: (order.append(name), x)[1]  # noqa: E731
    block = nn.decoder_block(note("self"), note("memory"), note("feed forward"))
    block.apply(*block.init(jax.random.key(0), X), X, nn.Context())
    assert order[-3:] == ["self", "memory", "feed forward"]


@pytest.mark.parametrize("post_norm", [False, True])
def test_stacks_end_in_a_norm(post_norm):
    for make, side in ((nn.encoder, {}), (nn.decoder, {"memory": X})):
        model = make(2, 2, 6, post_norm=post_norm)
        y = model(model.init(jax.random.key(0), X, **side), X, **side)
        np.testing.assert_allclose(y.mean(-1), 0, atol=1e-6)
        np.testing.assert_allclose(y.std(-1), 1, atol=1e-3)


def test_the_target_reads_its_past_and_all_of_the_source():
    usual = MODEL(VARIABLES, (SOURCE, TARGET))
    changed = MODEL(VARIABLES, (SOURCE, np.where(np.arange(4) == 2, 0, TARGET)))
    np.testing.assert_allclose(changed[:, :2], usual[:, :2], atol=1e-6)
    assert (jnp.abs(changed - usual).max((0, 2))[2:] > 1e-3).all()
    changed = MODEL(VARIABLES, (np.where(np.arange(5) == 4, 0, SOURCE), TARGET))
    assert (jnp.abs(changed - usual).max((0, 2)) > 1e-3).all()


def test_padding_of_source_and_target_is_never_read():
    side = {"memory_lengths": jnp.array([3, 5]), "lengths": jnp.array([4, 2])}
    usual = MODEL(VARIABLES, (SOURCE, TARGET), **side)
    source, target = SOURCE.copy(), TARGET.copy()
    source[0, 3:], target[1, 2:] = 0, 1
    padded = MODEL(VARIABLES, (source, target), **side)
    np.testing.assert_array_equal(padded[0], usual[0])
    np.testing.assert_array_equal(padded[1, :2], usual[1, :2])
    source[0, 2] = 0
    assert jnp.abs(MODEL(VARIABLES, (source, target), **side)[0] - usual[0]).max() > 1e-3


def test_the_lengths_of_the_target_are_not_those_of_the_source():
    whole = MODEL(VARIABLES, (SOURCE, TARGET))
    padded = MODEL(VARIABLES, (SOURCE, TARGET), lengths=jnp.array([4, 2]))
    np.testing.assert_allclose(padded[1, :2], whole[1, :2], atol=1e-6)


def test_decoding_from_a_memory_projected_once():
    lengths = jnp.array([3, 5])
    whole = MODEL(VARIABLES, (SOURCE, TARGET), memory_lengths=lengths)
    encode, variables = child("encoder")
    memory = encode(variables, SOURCE, lengths=lengths)
    decode, variables = child("decoder")
    given = nn.Context(side={"memory": memory, "memory_lengths": lengths})
    carry, outputs = decode.start(variables, TARGET, given), []
    step = jax.jit(decode.step)
    for t in range(4):
        carry, y = step(variables, carry, TARGET[:, t : t + 1], nn.Context())
        outputs.append(y)
    np.testing.assert_allclose(jnp.concatenate(outputs, 1), whole, rtol=1e-4, atol=1e-5)
    for block in carry["blocks"]["blocks"]:
        projected = block["cross_attention"]["kv"]["keys"]
        assert projected.shape == (2, 2, 5, 4)  # batch, heads, time of the source, size


def test_the_table_of_the_target_is_its_read_out():
    shapes = jax.tree.map(jnp.shape, VARIABLES.params)
    assert set(shapes) == {"encoder", "decoder"}
    assert set(shapes["decoder"]) == {"embed", "blocks"}
    assert shapes["decoder"]["embed"] == {"table": (6, 8)}


def test_the_parameters_of_the_base_model():
    spec = jax.ShapeDtypeStruct((1, 2), jnp.int32)
    params, _ = jax.eval_shape(nn.transformer(37000, 37000).init, jax.random.key(0), (spec, spec))
    attention, mlp, norm = 4 * (512 * 512 + 512), 2 * 512 * 2048 + 2048 + 512, 2 * 512
    blocks = 6 * (attention + mlp + 2 * norm) + 6 * (2 * attention + mlp + 3 * norm)
    total = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert total == 2 * 37000 * 512 + blocks

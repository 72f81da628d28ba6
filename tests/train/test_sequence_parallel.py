"""Sequences in parts along time: what one device finds, in a part of its memory."""

import functools
import math
import re

import jax
import numpy as np
import pytest

from laminax import nn, optim, train
from laminax.train._chunk import Program, chunk
from laminax.train._feed import Resident

RANDOM = np.random.default_rng(0)
TOKENS = RANDOM.integers(0, 11, (16, 33)).astype(np.int32)
DATA = TOKENS[:, :-1], TOKENS[:, 1:]
fit = functools.partial(train.fit, batch_size=8, epochs=4, progress=False)


def layout():
    return train.sequence_parallel(train.mesh(data=2, time=4))


def gpt(ring=False, context=32):
    model = nn.gpt(11, layers=2, heads=2, features=16, context=context)
    return nn.ring_attention(model, layout().sequences) if ring else model


def objective(model):
    return train.supervised(model, nn.losses.cross_entropy)


@functools.cache
def alone():
    return fit(objective(gpt()), optim.adam(3e-3), DATA, validation=DATA)


@pytest.mark.parametrize("ring", [False, True])
def test_losses_are_those_of_one_device(ring):
    result = fit(objective(gpt(ring)), optim.adam(3e-3), DATA, validation=DATA, layout=layout())
    for column in ("loss", "validation_loss"):
        np.testing.assert_allclose(
            result.history[column], alone().history[column], rtol=1e-5, err_msg=column
        )
    assert result.history["loss"][-1] < result.history["loss"][0]


def test_microbatches_and_streams_are_cut_too():
    model = objective(gpt(True))
    parts = fit(model, optim.adam(3e-3), DATA, microbatches=2, layout=layout())
    np.testing.assert_allclose(parts.history["loss"], alone().history["loss"], rtol=1e-5)
    key = train.init(model, optim.adam(3e-3), DATA).data_key
    stream = train.data.indexed(DATA, batch_size=8, key=key)
    streamed = fit(model, optim.adam(3e-3), stream, layout=layout())
    np.testing.assert_allclose(streamed.history["loss"], alone().history["loss"], rtol=1e-5)


def test_labels_and_lengths_have_no_time_axis():
    """x (batch, time, features), y (batch,), lengths (batch,), weights (batch,)."""
    x = RANDOM.normal(size=(16, 32, 6)).astype(np.float32)
    data = x, (x.mean((1, 2)) > 0).astype(np.int32), {"lengths": RANDOM.integers(1, 33, 16)}

    def model(ring):
        block = nn.residual(nn.layer_norm(), nn.attention(2))
        block = nn.ring_attention(block, layout().sequences) if ring else block
        return nn.serial(nn.dense(8), block, lambda h: h.mean(1), nn.dense(2))

    weights = RANDOM.uniform(size=16)
    losses = [
        fit(
            objective(model(lay is not None)), optim.adam(3e-3), data, weights=weights, layout=lay
        ).history["loss"]
        for lay in (None, layout())
    ]
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_each_array_is_cut_as_its_shape_allows():
    batch = {
        "text": np.zeros((8, 32), np.int32),
        "frames": np.zeros((8, 16, 5), np.float32),
        "one_hot": np.zeros((8, 10), np.float32),
        "label": np.zeros(8, np.int32),
    }
    placed = jax.device_put(batch, layout().batch(batch))
    held = {name: array.addressable_shards[0].data.shape for name, array in placed.items()}
    assert held == {"text": (4, 8), "frames": (4, 4, 5), "one_hot": (4, 10), "label": (4,)}
    blocks = jax.tree.map(lambda a: a[None], batch)
    placed = jax.device_put(blocks, layout().batch(blocks, 1))
    assert {n: a.addressable_shards[0].data.shape[1:] for n, a in placed.items()} == held
    plain = train.data_parallel(train.mesh(data=2, time=4)).batch(batch)
    assert {name: tuple(sharding.spec) for name, sharding in plain.items()} == {
        "text": ("data", None), "frames": ("data", None), "one_hot": ("data", None),
        "label": ("data",),
    }  # fmt: skip


def needs(lay, ring):
    """The bytes that a device needs for steps over long sequences, and its longest array."""
    tokens = RANDOM.integers(0, 11, (8, 257)).astype(np.int32)
    data = tokens[:, :-1], tokens[:, 1:]
    goal, optimizer = objective(gpt(ring, context=256)), optim.sgd(0.1)
    feed = Resident(data, None, 8, lay)
    program = Program(goal, optimizer, feed.take_batch, 1, lay)
    state = train.init(goal, optimizer, data, layout=lay)
    compiled = chunk.lower(program, state, feed.take(0)[0], np.int32(0)).compile()
    shapes = re.findall(r"\w+\[([\d,]+)\]", compiled.as_text())
    largest = max(math.prod(map(int, shape.split(","))) for shape in shapes)
    return compiled.memory_analysis().temp_size_in_bytes, largest


def test_a_device_needs_a_part_of_the_memory():
    whole, _ = needs(train.data_parallel(train.mesh(data=2, time=4)), False)
    parts, largest = needs(layout(), True)
    assert parts < whole / 4
    assert largest == 4 * 2 * 64 * 64  # a block of scores: half the batch, all heads, (256 / 4)²


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: train.sequence_parallel(train.mesh(data=8)), "mesh has no axis 'time'; it has da"),
        (
            lambda: train.sequence_parallel(train.mesh(data=8), time_axis="data"),
            "'data' cannot cut both batch and time",
        ),
        (
            lambda: fit(
                objective(gpt()), optim.sgd(0.1), (TOKENS[:, :30], TOKENS[:, 1:31]), layout=layout()
            ),
            "sequences of 30 steps cannot be cut evenly over the 4 devices along 'time'; pad them",
        ),
        (
            lambda: fit(
                objective(gpt()), optim.sgd(0.1), DATA, layout=layout(),
                validation=(TOKENS[:, :30], TOKENS[:, 1:31]),
            ),
            "sequences of 30 steps cannot be cut evenly",
        ),
        (
            lambda: fit(objective(gpt()), optim.sgd(0.1), DATA, batch_size=7, layout=layout()),
            "a batch of 7 in 1 microbatches cannot be cut evenly over the 2 devices",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_cut_is_refused_before_any_compile(make, words, compiles):
    compiles.clear()
    with pytest.raises(ValueError, match=words):
        make()
    assert "jit(chunk)" not in compiles

"""Eight devices find what one finds, however the run lies on them, and hold their part of it."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from laminax import nn, optim, train

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(64, 16)).astype(np.float32)
Y = RANDOM.integers(0, 8, 64).astype(np.int32)
BLOCK = nn.residual(nn.layer_norm(), nn.serial(nn.dense(64), nn.relu, nn.dense(128)))
MODEL = nn.serial(nn.batch_norm(), nn.dense(128), nn.repeat(BLOCK, 2), nn.dropout(0.1), nn.dense(8))
OBJECTIVE = train.supervised(
    MODEL, nn.losses.cross_entropy, metrics={"accuracy": nn.metrics.accuracy}
)
OPTIMIZER = optim.chain(
    optim.clip_by_norm(1.0), optim.adam(optim.warmup(optim.cosine(3e-3, 40), 4)), optim.ema(0.9)
)
RULES = {
    "repeat_0/serial_0/dense_0/w": (None, "model"),
    "repeat_0/serial_0/dense_0/b": ("model",),
    "repeat_0/serial_0/dense_1/w": ("model", None),
    "*": (),
}
LAYOUTS = {
    "data parallel": lambda: train.data_parallel(train.mesh(data=8)),
    "fully sharded": lambda: train.fully_sharded(train.mesh(data=8)),
    "tensor parallel": lambda: train.tensor_parallel(train.mesh(data=2, model=4), RULES),
    "both": lambda: train.tensor_parallel(
        train.mesh(data=2, model=4), {"*dense_0/w": ("data", "model"), "*": ()}
    ),
}
fit = functools.partial(
    train.fit, OBJECTIVE, OPTIMIZER, (X, Y), batch_size=24, epochs=12, validation=(X[:20], Y[:20]),
    progress=False,
)  # fmt: skip
alone = functools.cache(lambda **options: fit(**options))


def held(tree):
    """How many elements the first device holds."""
    return sum(leaf.addressable_shards[0].data.size for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize("name", LAYOUTS)
def test_losses_are_those_of_one_device(name):
    result = fit(layout=LAYOUTS[name]())
    for column in ("loss", "validation_loss", "accuracy"):
        np.testing.assert_allclose(
            result.history[column], alone().history[column], rtol=1e-5, err_msg=column
        )
    assert result.history["loss"][-1] < 0.8 * result.history["loss"][0]
    for a, b in zip(
        jax.tree.leaves(result.variables), jax.tree.leaves(alone().variables), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-5)


@pytest.mark.parametrize("name", LAYOUTS)
def test_parameters_and_moments_lie_where_they_are_told(name):
    layout = LAYOUTS[name]()
    state = fit(layout=layout, epochs=1).state
    wanted = layout.state(state)
    for leaf, sharding in zip(jax.tree.leaves(state), jax.tree.leaves(wanted), strict=True):
        assert leaf.sharding.is_equivalent_to(sharding, leaf.ndim)
    before = train.init(OBJECTIVE, OPTIMIZER, (X, Y), layout=layout)
    for leaf, sharding in zip(jax.tree.leaves(before), jax.tree.leaves(wanted), strict=True):
        assert leaf.sharding.is_equivalent_to(sharding, leaf.ndim)
    plain = train.init(OBJECTIVE, OPTIMIZER, (X, Y))
    for a, b in zip(jax.tree.leaves(before.params), jax.tree.leaves(plain.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_a_device_holds_its_part():
    whole = alone().state
    size = held(whole.params)
    cut = fit(layout=LAYOUTS["fully sharded"](), epochs=1).state
    small = sum(leaf.size for leaf in jax.tree.leaves(cut.params) if leaf.size < 2**12)
    assert held(cut.params) == (size - small) // 8 + small
    # Two moments and the average are cut like the parameters; six numbers count and scale.
    assert held(cut.opt_state) < 3 * held(cut.params) + 8
    assert held(whole.opt_state) > 3 * size
    model = fit(layout=LAYOUTS["tensor parallel"](), epochs=1).state
    w = model.params["repeat_0"]["serial_0"]["dense_0"]["w"]
    assert w.shape == (2, 128, 64)
    assert {shard.data.shape for shard in w.addressable_shards} == {(2, 128, 16)}
    moments = [leaf for leaf in jax.tree.leaves(model.opt_state) if jnp.shape(leaf) == (2, 128, 64)]
    assert len(moments) == 3
    assert all(m.addressable_shards[0].data.shape == (2, 128, 16) for m in moments)


def test_one_compile(compiles):
    fresh = train.supervised(nn.dense(8), nn.losses.cross_entropy)
    optimizer = optim.adam(1e-3)
    layout = LAYOUTS["fully sharded"]()
    for seed in (0, 1):
        train.fit(
            fresh, optimizer, (X, Y), batch_size=16, epochs=3, seed=seed, layout=layout,
            progress=False,
        )  # fmt: skip
    assert compiles.count("jit(chunk)") == 1


@pytest.mark.parametrize("name", ["fully sharded", "tensor parallel"])
def test_microbatches_and_streams_are_cut_too(name):
    layout = LAYOUTS[name]()
    parts = fit(layout=layout, microbatches=3, epochs=3)
    expected = alone(epochs=3, microbatches=3)
    np.testing.assert_allclose(parts.history["loss"], expected.history["loss"], rtol=1e-5)

    class Stream:
        batch_size, examples, step = 24, 64, 0
        key = train.init(OBJECTIVE, OPTIMIZER, (X, Y)).data_key

        def __next__(self):
            rows = np.asarray(train.data.index(self.key, self.step, 24, 64))
            self.step += 1
            return X[rows], Y[rows]

        def state(self):
            return self.step

        def restore(self, state):
            self.step = state

    streamed = train.fit(OBJECTIVE, OPTIMIZER, Stream(), epochs=3, layout=layout, progress=False)
    np.testing.assert_allclose(streamed.history["loss"], alone(epochs=3).history["loss"], rtol=1e-5)


def test_a_run_goes_on_on_another_mesh(tmp_path):
    whole = alone()
    fit(layout=LAYOUTS["fully sharded"](), epochs=4, out=tmp_path)
    fit(layout=LAYOUTS["tensor parallel"](), epochs=8, out=tmp_path, resume=True)
    rest = fit(out=tmp_path, resume=True)
    np.testing.assert_allclose(rest.history["loss"], whole.history["loss"], rtol=1e-5)
    assert rest.history["step"] == whole.history["step"]
    assert rest.best.epoch == whole.best.epoch


@pytest.mark.parametrize("name", ["data parallel", "fully sharded"])
def test_the_same_mesh_goes_on_to_the_same_bits(name, tmp_path):
    whole = fit(layout=LAYOUTS[name](), epochs=4)
    fit(layout=LAYOUTS[name](), epochs=2, out=tmp_path)
    rest = fit(layout=LAYOUTS[name](), epochs=4, out=tmp_path, resume=True)
    for a, b in zip(jax.tree.leaves(whole.variables), jax.tree.leaves(rest.variables), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
    assert whole.history["loss"] == rest.history["loss"]


def test_a_long_sequence_lies_in_parts():
    """Sequence parallel: activations in parts along time, constrained between the blocks."""
    mesh = train.mesh(data=2, model=4)
    tokens = RANDOM.integers(0, 11, (8, 33)).astype(np.int32)
    data = tokens[:, :-1], tokens[:, 1:]
    along_time = NamedSharding(mesh, PartitionSpec("data", "model"))

    def model(constrained):
        block = nn.residual(nn.layer_norm(), nn.attention(2, causal=True))
        block = nn.constrain(block, along_time) if constrained else block
        return nn.serial(nn.embedding(11, 16), nn.repeat(block, 2), nn.dense(11))

    losses = [
        train.fit(
            train.supervised(model(layout is not None), nn.losses.cross_entropy),
            optim.adam(3e-3), data, batch_size=8, epochs=5, layout=layout, progress=False,
        ).history["loss"]
        for layout in (None, train.data_parallel(mesh))
    ]  # fmt: skip
    np.testing.assert_allclose(*losses, rtol=1e-5)
    trained = jax.jit(model(True))
    variables = model(True).init(jax.random.key(0), data[0])
    text = trained.lower(variables, jax.device_put(data[0], NamedSharding(mesh, PartitionSpec())))
    compiled = text.compile().as_text()
    # A device works on (8/2, 32/4) of the activations, and gathers keys and values.
    assert "f32[4,8,16]" in compiled
    assert "all-gather" in compiled


def test_the_table_tells_what_a_device_holds():
    layout = LAYOUTS["tensor parallel"]()
    table = layout.table(alone().state.params).splitlines()
    rows = {line.split()[0]: line for line in table[1:]}
    assert set(rows) == {
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, _ in jax.tree.leaves_with_path(alone().state.params)
    }
    row = rows["repeat_0/serial_0/dense_0/w"]
    assert "(2, 128, 64)" in row and "-, -, model" in row
    assert row.endswith(f"{2 * 128 * 16:,}")
    assert math.prod((16, 128)) == int(rows["dense_0/w"].split()[-1].replace(",", ""))


def test_a_mesh_has_all_devices():
    assert dict(train.mesh(data=-1).shape) == {"data": 8}
    assert dict(train.mesh(data=-1, model=2).shape) == {"data": 4, "model": 2}
    assert train.mesh(data=2, model=4).axis_names == ("data", "model")
    for axes, words in (
        ({"data": 3}, "is 3 devices, but there are 8"),
        ({"data": -1, "model": -1}, "at most one of them -1"),
        ({"data": 0}, "at least 1"),
        ({}, "sizes must be"),
        ({"data": -1, "model": 3}, "but there are 8"),
    ):
        with pytest.raises(ValueError, match=words):
            train.mesh(**axes)


def two_by_four():
    return train.mesh(data=2, model=4)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: train.data_parallel(two_by_four(), batch_axis="dp"), "has no axis 'dp'; it has d"),
        (lambda: train.fully_sharded(two_by_four(), axis="x"), "has no axis 'x'"),
        (lambda: train.tensor_parallel(two_by_four(), {"*": ("rows",)}), "no axis 'rows'"),
        (
            lambda: train.tensor_parallel(two_by_four(), {"*": ("model", "model")}),
            "uses a mesh axis twice",
        ),
        (
            lambda: fit(layout=train.tensor_parallel(two_by_four(), {"nothing/*": (), "*": ()})),
            "pattern 'nothing/\\*' matches nothing",
        ),
        (
            lambda: fit(layout=train.tensor_parallel(two_by_four(), {"*/w": (None, "model")})),
            "no pattern matches batch_norm_0/bias, .*add a last rule",
        ),
        (
            lambda: fit(
                layout=train.tensor_parallel(
                    two_by_four(), {"dense_1/w": (None, ("data", "model")), "*/b": ("model",)}
                )
            ),
            "no pattern matches",
        ),
        (
            lambda: train.tensor_parallel(two_by_four(), {"*": ("model",)}).params(
                {"w": np.zeros((4, 6))}
            ),
            r"w of shape \(4, 6\) cannot be cut by the rule \('model',\): 6 is no multiple of .* 4",
        ),
        (
            lambda: train.tensor_parallel(two_by_four(), {"*": (None, "model")}).params(
                {"b": np.zeros(8)}
            ),
            "has more axes than its shape",
        ),
        (
            lambda: fit(layout=LAYOUTS["data parallel"](), batch_size=12),
            "a batch of 12 in 1 microbatches cannot be cut evenly over the 8 devices along 'data'; "
            "choose a multiple of 8",
        ),
        (lambda: fit(layout=two_by_four()), "layout: expected Layout, got Mesh"),
    ],
)
def test_a_layout_that_cannot_be_is_refused_before_any_compile(make, words, compiles):
    compiles.clear()
    with pytest.raises((TypeError, ValueError), match=words):
        make()
    assert "jit(chunk)" not in compiles

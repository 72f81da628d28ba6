"""Ring attention answers what attention does, and no device holds more than its part."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from laminax import nn
from laminax.nn._attention._attention import _visible
from laminax.nn._attention._ring import Places, ring_attend

torch = pytest.importorskip("torch")

MESH = jax.make_mesh((2, 4), ("data", "time"), axis_types=(AxisType.Auto,) * 2)
ALONG = NamedSharding(MESH, PartitionSpec("data", "time"))
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(4, 16, 16)).astype(np.float32)
LENGTHS = jnp.array([0, 3, 16, 9])


def close(ours, other):
    """Alike within 1e-5 of the greatest number in each array."""
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * max(1, np.abs(b).max()))


def value_and_gradients(model, variables, x, **side):
    def total(variables, x):
        y = model(variables, x, **side)
        return (y * jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape)).sum(), y

    return jax.jit(jax.value_and_grad(total, (0, 1), has_aux=True))(variables, x)


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize("causal", [False, True])
def test_it_is_the_attention_of_torch(kv_heads, causal):
    shapes = (2, 4, 16, 6), (2, kv_heads, 16, 6), (2, kv_heads, 16, 6), (2, 4, 16, 6)
    q, k, v, cotangent = (3 * RANDOM.normal(size=shape).astype(np.float32) for shape in shapes)
    steps = jnp.arange(16)
    real = steps[None] < jnp.array([16, 5])[:, None]

    def look(rows, cols):
        return _visible(rows.steps, cols.steps, causal, None, cols.real), None

    ours, back = jax.vjp(
        lambda *qkv: ring_attend(*qkv, Places(steps, steps[None], real), look, ALONG), q, k, v
    )
    theirs = [torch.tensor(a, requires_grad=True) for a in (q, k, v)]
    mask = np.asarray(real)[:, None, None, :] & (np.tri(16, dtype=bool) | (not causal))
    y = torch.nn.functional.scaled_dot_product_attention(
        *theirs, attn_mask=torch.tensor(mask), enable_gqa=True
    )
    y.backward(torch.tensor(cotangent))
    close(ours, y.detach().numpy())
    close(back(jnp.asarray(cotangent)), tuple(a.grad.numpy() for a in theirs))


MASK = {"mask": jnp.asarray(RANDOM.integers(0, 2, (4, 16)) > 0)}
POSITIONS = {"positions": jnp.asarray(RANDOM.integers(0, 50, (4, 16)))}


@pytest.mark.parametrize(
    "options, side",
    [
        ({}, {}),
        ({}, MASK),
        ({"causal": True}, {"lengths": LENGTHS}),  # of which one is 0: it sees nothing
        ({"causal": True, "kv_heads": 2, "window": 5}, MASK),
        ({"causal": True, "position": nn.rotary()}, {}),
        ({"position": nn.rotary()}, POSITIONS),
        ({"kv_heads": 1, "position": nn.alibi()}, {"lengths": LENGTHS}),
        ({"causal": True, "position": nn.alibi()}, POSITIONS),
    ],
    ids=["plain", "mask", "lengths", "window", "rotary", "positions", "alibi", "alibi-positions"],
)
def test_answers_and_gradients_are_those_of_attention(options, side):
    plain = nn.attention(4, **options)
    variables = plain.init(jax.random.key(0), X, **side)
    model = nn.ring_attention(plain, ALONG)
    close(
        value_and_gradients(model, variables, X, **side),
        value_and_gradients(plain, variables, X, **side),
    )


def test_bfloat16_sums_in_float32():
    plain = nn.attention(4, causal=True, kv_heads=2)
    variables = plain.init(jax.random.key(0), X)
    half, ring = (nn.policy(f) for f in (plain, nn.ring_attention(plain, ALONG)))
    exact = value_and_gradients(plain, variables, X)
    for a, b, c in zip(
        *(jax.tree.leaves(value_and_gradients(m, variables, X)) for m in (half, ring)),
        jax.tree.leaves(exact), strict=True,
    ):  # fmt: skip
        scale = np.abs(c).max()
        assert np.abs(b - c).max() <= 0.02 * scale + 2 * np.abs(a - c).max()


def shapes(model, variables, x):
    """The shapes of all floating arrays that a device computes, forward and back."""
    put = jax.device_put((variables, x), (NamedSharding(MESH, PartitionSpec()), ALONG))
    back = jax.jit(jax.grad(lambda v, x: jnp.square(model(v, x)).sum(), (0, 1)))
    text = back.lower(*put).compile().as_text()
    found = set(re.findall(r"f32\[([\d,]+)\]", text))
    return {tuple(map(int, shape.split(","))) for shape in found}, text


def test_no_device_holds_more_than_its_part():
    """Of 128 steps 32, of the scores a block of 32 × 32; the compiler alone gathers all keys."""
    x = RANDOM.normal(size=(2, 128, 24)).astype(np.float32)
    plain = nn.attention(2, causal=True)
    variables = plain.init(jax.random.key(0), x)
    parts, text = shapes(nn.ring_attention(plain, ALONG), variables, x)
    assert not any(size >= 64 for shape in parts for size in shape if size != 72)  # 3 · 24
    assert any(shape[-2:] == (32, 32) for shape in parts)
    assert "collective-permute" in text and "all-gather" not in text
    whole, text = shapes(plain, variables, x)
    assert any(128 in shape for shape in whole)
    assert "all-gather" in text or "collective" in text


def test_dropped_weights_are_dropped_in_the_gradients_too():
    """Values that are unit vectors show the weights, and so which were dropped in each block."""
    rate, causal = 0.3, True
    shapes = (4, 4, 16, 16), (4, 2, 16, 16), (4, 2, 16, 16)
    q, k, v = (RANDOM.normal(size=shape).astype(np.float32) for shape in shapes)
    steps = jnp.arange(16)

    def look(rows, cols):
        return _visible(rows.steps, cols.steps, causal, None, cols.real), None

    def drop(key, p):
        return jnp.where(jax.random.bernoulli(key, 1 - rate, p.shape), p / (1 - rate), 0)

    def ring(key):
        places = Places(steps, steps[None], None)
        return lambda *qkv: ring_attend(*qkv, places, look, ALONG, drop, key)

    def weights(q, k):
        s = jnp.einsum("bhtd,bhsd->bhts", q, jnp.repeat(k, 2, 1)) / 4
        return jax.nn.softmax(jnp.where(np.tri(16, dtype=bool), s, -jnp.inf), -1)

    units = jnp.broadcast_to(jnp.eye(16), shapes[2])
    mask = ring(jax.random.key(3))(q, k, units) / jnp.where(np.tri(16), weights(q, k), 1)

    def by_hand(q, k, v):
        return jnp.einsum("bhts,bhsd->bhtd", weights(q, k) * mask, jnp.repeat(v, 2, 1))

    seen = np.asarray(mask)[..., np.tri(16, dtype=bool)]
    assert set(np.round(seen.astype(float), 4).ravel().tolist()) == {0.0, round(1 / (1 - rate), 4)}
    assert abs((seen == 0).mean() - rate) < 0.03
    rows = seen.reshape(16, -1)  # of each example and head
    assert len(np.unique(rows, axis=0)) == 16
    below = [mask[..., at : at + 4, :4] for at in (4, 8, 12)]  # blocks that are seen whole
    assert len({np.asarray(block).tobytes() for block in below}) == 3

    ours, back = jax.vjp(ring(jax.random.key(3)), q, k, v)
    theirs, back_by_hand = jax.vjp(by_hand, q, k, v)
    cotangent = jnp.asarray(RANDOM.normal(size=ours.shape), jnp.float32)
    close(ours, theirs)
    close(back(cotangent), back_by_hand(cotangent))
    assert (ring(jax.random.key(4))(q, k, v) != ours).any()


def test_dropout_of_a_layer_is_met_on_average():
    layer = nn.attention(4, dropout=0.2)
    model = nn.ring_attention(layer, ALONG)
    variables = model.init(jax.random.key(0), X)

    @jax.jit
    def answers(key):
        return model.apply(*variables, X, nn.Context(key, train=True))[0]

    keys = jax.random.split(jax.random.key(1), 200)
    drawn = np.stack([np.asarray(answers(key)) for key in keys])
    error = drawn.std(0) / 200**0.5
    assert drawn.std(0).min() > 0
    assert (np.abs(drawn.mean(0) - layer(variables, X)) < 5 * error).all()


def test_every_attention_of_a_model_is_meant():
    model = nn.gpt(11, layers=2, heads=2, features=24, context=128)
    tokens = RANDOM.integers(0, 11, (2, 128)).astype(np.int32)
    variables = model.init(jax.random.key(0), tokens)
    ring = nn.ring_attention(model, ALONG)
    jax.tree.map(np.testing.assert_array_equal, ring.init(jax.random.key(0), tokens), variables)
    close(jax.jit(ring)(variables, tokens), jax.jit(model)(variables, tokens))
    for wrap in (nn.remat, nn.policy):
        assert "collective_permute" in jax.jit(wrap(ring)).lower(variables, tokens).as_text()
    text = jax.jit(ring).lower(variables, tokens).as_text()
    assert text.count("all_gather") == 0 < text.count("collective_permute")


def test_the_model_of_one_device_answers_few_examples_and_steps():
    plain = nn.attention(4, causal=True)
    variables = plain.init(jax.random.key(0), X)
    model = nn.ring_attention(plain, ALONG)
    close(model(variables, X[:3]), plain(variables, X[:3]))  # 3 are not cut in 2
    carry, ys = model.start(variables, X, nn.Context()), []
    for at in range(0, 16, 4):
        carry, y = model.step(variables, carry, X[:, at : at + 4], nn.Context())
        ys.append(y)
    close(jnp.concatenate(ys, 1), plain(variables, X))


def test_what_cannot_be_is_refused():
    layer = nn.attention(4, dropout=0.5)
    with pytest.raises(TypeError, match="sharding must be a NamedSharding, got P"):
        nn.ring_attention(layer, PartitionSpec("data", "time"))
    for spec in (PartitionSpec("data"), PartitionSpec(None, ("data", "time")), PartitionSpec(None)):
        with pytest.raises(ValueError, match="must name one axis of the mesh for time, got"):
            nn.ring_attention(layer, NamedSharding(MESH, spec))
    model = nn.ring_attention(layer, ALONG)
    variables = model.init(jax.random.key(0), X)
    with pytest.raises(ValueError, match="a sequence of 14 steps cannot be cut into 4 equal parts"):
        model(variables, X[:, :14])
    with pytest.raises(ValueError, match="attention: needs a random key in training"):
        model.apply(*variables, X, nn.Context(train=True))
    close(model(variables, X), layer(variables, X))  # in evaluation nothing is dropped

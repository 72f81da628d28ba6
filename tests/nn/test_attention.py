"""Attention against the same equations in NumPy, its masks, its cache and its errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

X = np.random.default_rng(0).normal(size=(2, 6, 8)).astype(np.float32)
MEMORY = np.random.default_rng(1).normal(size=(2, 5, 3)).astype(np.float32)


def made(layer, x=X, **side):
    """Return variables of which none is zero."""
    params, _ = layer.init(jax.random.key(0), x, **side)
    return nn.Variables(
        jax.tree.map(lambda p: p + 0.3 * jnp.cos(jnp.arange(p.size)).reshape(p.shape), params), {}
    )


def softmax(s):
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def by_hand(q, k, v, heads, kv_heads, sees, bias=None):
    """Attend head by head, query by query, to the keys that `sees(b, i, j)`."""
    size = q.shape[-1] // heads
    y = np.zeros_like(q)
    for b in range(len(q)):
        for h in range(heads):
            own, shared = (slice(n * size, (n + 1) * size) for n in (h, h * kv_heads // heads))
            for i in range(q.shape[1]):
                seen = [j for j in range(k.shape[1]) if sees(b, i, j)]
                if seen:
                    s = k[b, seen, shared] @ q[b, i, own] / np.sqrt(size)
                    s += 0 if bias is None else [bias(h, i, j) for j in seen]
                    y[b, i, own] = softmax(s) @ v[b, seen, shared]
    return y


def reference(variables, x, heads, kv_heads, sees, bias=None):
    p = jax.tree.map(np.asarray, variables.params)
    size = x.shape[-1] // heads
    qkv = x @ p["qkv"]["w"] + p["qkv"].get("b", 0)
    q, k, v = np.split(qkv, [heads * size, (heads + kv_heads) * size], -1)
    return by_hand(q, k, v, heads, kv_heads, sees, bias) @ p["out"]["w"] + p["out"].get("b", 0)


@pytest.mark.parametrize(
    ("options", "sees"),
    [
        ({}, lambda i, j: True),
        ({"causal": True}, lambda i, j: j <= i),
        ({"causal": True, "window": 3}, lambda i, j: i - 3 < j <= i),
        ({"kv_heads": 2, "bias": False}, lambda i, j: True),
        ({"kv_heads": 1, "causal": True}, lambda i, j: j <= i),
    ],
)
@pytest.mark.parametrize("padded", [False, True])
def test_attention_is_its_equation(options, sees, padded):
    layer = nn.attention(4, **options)
    variables = made(layer)
    side = {"mask": jnp.array([[0, 1, 1, 1, 0, 1], [0] * 6], bool)} if padded else {}
    real = np.array(side["mask"]) if padded else np.ones((2, 6), bool)
    kv_heads = options.get("kv_heads", 4)
    expected = reference(variables, X, 4, kv_heads, lambda b, i, j: sees(i, j) and real[b, j])
    np.testing.assert_allclose(layer(variables, X, **side), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("window", [None, 5, 70])
def test_blocks_of_queries_leave_nothing_out(window):
    x = np.random.default_rng(0).normal(size=(1, 150, 2)).astype(np.float32)
    layer = nn.attention(1, causal=True, window=window)
    variables = made(layer, x)
    sees = lambda b, i, j: j <= i and (window is None or i - window < j)  # noqa: E731
    expected = reference(variables, x, 1, 1, sees)
    np.testing.assert_allclose(layer(variables, x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("heads", [4, 3])
def test_alibi_lowers_the_scores_by_the_distance(heads):
    x = X[..., : heads * 2]
    slopes = {4: [2**-2, 2**-4, 2**-6, 2**-8], 3: [2**-4, 2**-8, 2**-2]}[heads]
    layer = nn.attention(heads, position=nn.alibi())
    variables = made(layer, x)
    everything = lambda b, i, j: True  # noqa: E731
    bias = lambda h, i, j: -slopes[h] * abs(i - j)  # noqa: E731
    expected = reference(variables, x, heads, heads, everything, bias)
    np.testing.assert_allclose(layer(variables, x), expected, rtol=1e-5, atol=1e-5)


def test_rotary_turns_each_pair_and_scores_by_distance_alone():
    turn = nn.rotary(base=100.0).turn
    q, k = jnp.asarray(X[:, None, :, :4]), jnp.asarray(X[:, None, :, 4:])
    at = jnp.arange(6)[None]
    for pair, speed in ((0, 1.0), (1, 0.1)):
        complex_of = lambda x, i=pair: np.asarray(x)[..., i] + 1j * np.asarray(x)[..., i + 2]  # noqa: E731
        turned = complex_of(q) * np.exp(1j * speed * np.arange(6))
        y = complex_of(turn(q, at))
        np.testing.assert_allclose(y, turned, rtol=1e-5, atol=1e-6)
    scores = [turn(q, p) @ jnp.swapaxes(turn(k, p), 2, 3) for p in (at, at + 50)]
    np.testing.assert_allclose(*scores, rtol=1e-3, atol=1e-4)


def test_positions_of_the_caller_take_the_place_of_the_count():
    layer = nn.attention(2, causal=True, position=nn.rotary())
    variables = made(layer)
    usual = layer(variables, X)
    moved = layer(variables, X, positions=jnp.arange(6)[None] + jnp.array([[7], [0]]))
    np.testing.assert_allclose(moved, usual, rtol=1e-4, atol=1e-5)
    stretched = layer(variables, X, positions=2 * jnp.arange(6)[None] + jnp.zeros((2, 1), int))
    assert jnp.abs(stretched - usual).max() > 0.01


@pytest.mark.parametrize("causal", [False, True])
def test_padding_is_never_read_and_rows_of_padding_are_finite(causal):
    layer = nn.attention(2, causal=causal)
    variables = made(layer)
    mask = jnp.array([[1, 1, 1, 0, 0, 0], [0] * 6], bool)

    def total(params, x):
        y = layer(nn.Variables(params, {}), x, mask=mask)
        return (y * jnp.where(mask[..., None], 1, 0)).sum() + 0 * y.sum(), y

    run = jax.jit(jax.grad(total, argnums=(0, 1), has_aux=True))
    (_, to_x), y = run(variables.params, jnp.asarray(X))
    gradients, other = run(variables.params, jnp.where(mask[..., None], X, 50.0))
    np.testing.assert_array_equal(y[0, :3], other[0, :3])
    np.testing.assert_array_equal(to_x[~mask], 0)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves((gradients, y, other)))
    np.testing.assert_allclose(y[1], jnp.broadcast_to(variables.params["out"]["b"], (6, 8)))


def test_lengths_are_a_mask():
    layer = nn.attention(2)
    variables = made(layer)
    mask = jnp.array([[1, 1, 1, 0, 0, 0], [1] * 6], bool)
    by_lengths = layer(variables, X, lengths=jnp.array([3, 6]))
    np.testing.assert_array_equal(by_lengths, layer(variables, X, mask=mask))


def test_dropout_keeps_the_mean_and_drops_whole_weights():
    layer = nn.attention(1, dropout=0.4)
    eye = {"qkv": {"w": jnp.concatenate([jnp.zeros((8, 16)), jnp.eye(8)], 1), "b": jnp.zeros(24)},
           "out": {"w": jnp.eye(8), "b": jnp.zeros(8)}}  # fmt: skip
    x = jnp.tile(jnp.eye(8), (500, 1, 1))  # so that y holds the weights themselves, 1/8 each
    y, _ = layer.apply(eye, {}, x, nn.Context(jax.random.key(0), train=True))
    weights = set(np.unique(np.round(y * 8, 4)).tolist())
    assert weights == {0.0, np.float32(1.6667).item()}
    assert abs(y.mean() * 8 - 1) < 0.02
    np.testing.assert_allclose(layer(nn.Variables(eye, {}), x), 1 / 8, rtol=1e-6)


def stepped(layer, variables, x, sizes, start=None, **side):
    """Return the outputs of steps of the sizes given, each with its part of the side inputs."""
    spec = jax.ShapeDtypeStruct(x.shape, x.dtype)
    carry, outputs, at = layer.start(variables, spec, nn.Context(side=start or {})), [], 0
    for size in sizes:
        part = {name: a[:, at : at + size] for name, a in side.items()}
        carry, y = layer.step(variables, carry, x[:, at : at + size], nn.Context(side=part))
        outputs.append(y)
        at += size
    return jnp.concatenate(outputs, 1)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"window": 2, "kv_heads": 1},
        {"position": nn.rotary(), "kv_heads": 2},
        {"position": nn.alibi()},
    ],
)
def test_stepping_with_masks_and_positions_is_apply(options):
    layer = nn.attention(4, causal=True, **options)
    variables = made(layer)
    side = {
        "mask": jnp.array([[0, 0, 1, 1, 1, 0], [1, 1, 0, 1, 1, 1]], bool),
        "positions": jnp.array([[0, 0, 0, 1, 2, 3], [4, 5, 6, 7, 8, 9]]),
    }
    whole = layer(variables, X, **side)
    for sizes in ((6,), (2, 3, 1), (1,) * 6):
        got = stepped(layer, variables, X, sizes, **side)
        np.testing.assert_allclose(got, whole, rtol=2e-5, atol=2e-6)


def test_a_full_cache_answers_nan_and_a_stretch_too_long_raises():
    layer = nn.attention(2, causal=True)
    variables = made(layer)
    carry = layer.start(variables, X[:, :4], nn.Context())
    with pytest.raises(ValueError, match=r"holds 4 steps, got a stretch of 6"):
        layer.step(variables, carry, X, nn.Context())
    carry, y = layer.step(variables, carry, X[:, :4], nn.Context())
    assert jnp.isfinite(y).all()
    _, y = layer.step(variables, carry, X[:, 4:5], nn.Context())
    assert jnp.isnan(y).all()


def cross_reference(variables, mask):
    p = jax.tree.map(np.asarray, variables.params)
    q, kv = X @ p["q"]["w"] + p["q"]["b"], MEMORY @ p["kv"]["w"] + p["kv"]["b"]
    k, v = np.split(kv, 2, -1)
    y = by_hand(q, k, v, 4, 2, lambda b, i, j: mask[b, j])
    return y @ p["out"]["w"] + p["out"]["b"]


def test_cross_attention_is_its_equation():
    layer = nn.cross_attention(4, kv_heads=2)
    variables = made(layer, memory=MEMORY)
    mask = np.array([[1, 1, 0, 0, 0], [0] * 5], bool)
    got = layer(variables, X, memory=MEMORY, memory_mask=jnp.asarray(mask))
    np.testing.assert_allclose(got, cross_reference(variables, mask), rtol=1e-5, atol=1e-5)
    by_lengths = layer(variables, X, memory=MEMORY, memory_lengths=jnp.array([2, 0]))
    np.testing.assert_array_equal(got, by_lengths)
    whole = layer(variables, X, memory=MEMORY)
    everything = np.ones((2, 5), bool)
    np.testing.assert_allclose(whole, cross_reference(variables, everything), rtol=1e-5, atol=1e-5)


def test_cross_attention_projects_a_memory_known_at_the_start_once():
    layer = nn.cross_attention(4)
    side = {"memory": MEMORY, "memory_lengths": jnp.array([2, 5])}
    variables = made(layer, memory=MEMORY)
    whole = layer(variables, X, **side)
    got = stepped(layer, variables, X, (1, 3, 2), start=side)  # the steps are given none
    np.testing.assert_allclose(got, whole, rtol=1e-5, atol=1e-6)
    carry = layer.start(variables, X, nn.Context(side=side))
    step = lambda v, c, x: layer.step(v, c, x, nn.Context())  # noqa: E731
    products = str(jax.make_jaxpr(step)(variables, carry, X[:, :1])).count("dot_general")
    assert products == 4, "the queries, the scores, the values and the read-out"


def test_a_head_of_bfloat16_reads_a_float32_memory_in_bfloat16():
    layer = nn.policy(nn.cross_attention(2), compute=jnp.bfloat16, output=jnp.bfloat16)
    variables = made(layer, memory=MEMORY)
    y = layer(variables, X, memory=MEMORY)
    assert y.dtype == jnp.bfloat16
    full = nn.cross_attention(2)(variables, X, memory=MEMORY)
    np.testing.assert_allclose(y.astype(jnp.float32), full, rtol=0.05, atol=0.05)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: nn.attention(0), "heads must be an integer of at least 1, got 0"),
        (lambda: nn.attention(4, kv_heads=3), "kv_heads must divide heads, got 4 heads and 3"),
        (lambda: nn.attention(4, window=2), "needs causal=True"),
        (lambda: nn.attention(4, causal=True, window=0), "window must be an integer"),
        (lambda: nn.attention(4, dropout=1.0), r"dropout must be a number in \[0, 1\)"),
        (lambda: nn.rotary(base=0), "base must be a number above 0"),
    ],
)
def test_wrong_arguments_raise(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_wrong_inputs_raise():
    with pytest.raises(TypeError, match=r"position must be rotary\(\) or alibi\(\), .* forgot"):
        nn.attention(2, position=nn.rotary)
    layer, key = nn.attention(3), jax.random.key(0)
    with pytest.raises(ValueError, match="got 8 features and 3 heads"):
        layer.init(key, X)
    with pytest.raises(ValueError, match=r"x must be \(batch, time, features\)"):
        nn.attention(2).init(key, X[0])
    with pytest.raises(ValueError, match="an even size to turn in pairs, got 1"):
        nn.attention(8, position=nn.rotary()).init(key, X)
    cross = nn.cross_attention(2)
    with pytest.raises(ValueError, match=r"needs side input memory .* got mask"):
        cross.init(key, X, mask=np.ones((2, 6), bool))
    with pytest.raises(ValueError, match=r"of one batch, got float32\[2, 6, 8\] and float32\[1"):
        cross.init(key, X, memory=MEMORY[:1])
    variables = cross.init(key, X, memory=MEMORY)
    with pytest.raises(ValueError, match=r"needs side input memory .* got none.*give start"):
        cross.start(variables, X, nn.Context())
    with pytest.raises(ValueError, match="attention: has no step"):
        nn.attention(2).start(made(nn.attention(2)), X, nn.Context())

"""What the recurrent layers share: masks, carries, chunks, derivatives of every mode, precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

N, INPUTS, BATCH, TIME = 3, 2, 4, 5
LENGTHS = np.array([5, 0, 2, 4])
PREFIX = np.arange(TIME) < LENGTHS[:, None]
HOLES = np.array([[1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [0, 1, 1, 0, 1], [1, 1, 1, 1, 1]], bool)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def lstm(p, x, carry):
    h, c = carry
    i, f, g, o = np.split(x @ p["wi"] + h @ p["wh"] + p["b"], 4)
    wc = p.get("wc", np.zeros((3, N)))
    i, f = sigmoid(i + wc[0] * c), sigmoid(f + wc[1] * c)
    c = f * c + i * np.tanh(g)
    h = sigmoid(o + wc[2] * c) * np.tanh(c)
    return (h, c), h


def gru(p, x, h):
    xr, xz, xn = np.split(x @ p["wi"] + p["b"], 3)
    hr, hz, hn = np.split(h @ p["wh"], 3)
    r, z = sigmoid(xr + hr), sigmoid(xz + hz)
    n = np.tanh(xn + r * (hn + p["bh"]))
    h = (1 - z) * n + z * h
    return h, h


def simple_rnn(p, x, h):
    h = np.tanh(x @ p["wi"] + h @ p["wh"] + p["b"])
    return h, h


CELLS = {
    "lstm": (nn.lstm(N), lstm),
    "peepholes": (nn.lstm(N, peepholes=True), lstm),
    "gru": (nn.gru(N), gru),
    "simple_rnn": (nn.simple_rnn(N), simple_rnn),
}
X = np.random.default_rng(0).normal(size=(BATCH, TIME, INPUTS))
kinds = pytest.mark.parametrize("kind", CELLS)


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def made(kind):
    """Return the layer, and variables in which no parameter is zero."""
    layer = CELLS[kind][0]
    vary = lambda p: p + 0.3 * np.cos(1 + np.arange(p.size)).reshape(p.shape)  # noqa: E731
    return layer, jax.tree.map(vary, layer.init(jax.random.key(0), X))


def start_of(kind, b):
    h = np.sin(b + np.arange(N))
    return (h, h / 2) if CELLS[kind][1] is lstm else h


def expected(kind, mask):
    """Run NumPy's cell over the real steps of each row; return y, zero elsewhere, and carries."""
    params = jax.tree.map(np.asarray, made(kind)[1].params)
    y, carries = np.zeros((BATCH, TIME, N)), []
    for b in range(BATCH):
        carry = start_of(kind, b)
        for t in np.flatnonzero(mask[b]):
            carry, y[b, t] = CELLS[kind][1](params, X[b, t], carry)
        carries.append(carry)
    return y, jax.tree.map(lambda *leaves: np.stack(leaves), *carries)


@kinds
@pytest.mark.parametrize(
    ("side", "mask"),
    [({}, PREFIX | True), ({"lengths": LENGTHS}, PREFIX), ({"mask": HOLES}, HOLES)],
    ids=["full", "lengths", "holes"],
)
def test_outputs_and_last_carry_are_those_of_the_real_steps(kind, side, mask):
    layer, variables = made(kind)
    begin = jax.tree.map(lambda *leaves: np.stack(leaves), *(start_of(kind, b) for b in range(4)))
    y, carry = nn.rnn(layer, carry=True)(variables, X, carry=begin, **side)
    for ours, theirs in zip(*map(jax.tree.leaves, ((y, carry), expected(kind, mask))), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


@kinds
def test_padding_is_not_read_and_has_no_gradient(kind):
    layer, variables = made(kind)

    def total(variables, x):
        return jnp.sin(layer(variables, x, mask=HOLES)).sum()

    gradients = jax.grad(total, (0, 1))
    clean = gradients(variables, X)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(clean))
    assert bool((clean[1][~HOLES] == 0).all()) and bool((clean[1][HOLES] != 0).all())
    other = gradients(variables, np.where(HOLES[..., None], X, 1e3))
    for a, b in zip(*map(jax.tree.leaves, (clean, other)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@kinds
def test_chunks_with_a_mask_a_stretch_are_the_whole(kind):
    layer, variables = made(kind)
    spec = jax.ShapeDtypeStruct(X.shape, X.dtype)
    carry, ys = layer.start(variables, spec, nn.Context()), []
    for a, b in ((0, 2), (2, 3), (3, 5)):
        ctx = nn.Context(side={"mask": HOLES[:, a:b]})
        carry, y = layer.step(variables, carry, X[:, a:b], ctx)
        ys.append(y)
    whole, last = nn.rnn(layer, carry=True)(variables, X, mask=HOLES)
    np.testing.assert_allclose(jnp.concatenate(ys, 1), whole, rtol=1e-12)
    jax.tree.map(lambda p, q: np.testing.assert_allclose(p, q, rtol=1e-12), carry, last)


@kinds
@pytest.mark.parametrize("mask", [None, HOLES], ids=["full", "holes"])
def test_derivatives_of_both_modes_and_of_second_order(kind, mask):
    layer, variables = made(kind)
    flat, unravel = jax.flatten_util.ravel_pytree((variables, X[:, :3]))
    mask = None if mask is None else mask[:, :3]

    def total(flat):
        variables, x = unravel(flat)
        return jnp.sin(3 * layer(variables, x, mask=mask)).sum()

    gradient = jax.jit(jax.grad(total))(flat)
    v = np.random.default_rng(1).normal(size=flat.shape)
    _, along = jax.jvp(total, (flat,), (v,))
    np.testing.assert_allclose(along, gradient @ v, rtol=1e-10)
    _, forward = jax.jit(lambda f: jax.jvp(jax.grad(total), (f,), (v,)))(flat)
    reverse = jax.jit(jax.grad(lambda f: jax.grad(total)(f) @ v))(flat)
    np.testing.assert_allclose(forward, reverse, rtol=1e-9, atol=1e-11)
    ahead, behind = (jax.jit(jax.grad(total))(flat + h * v) for h in (1e-5, -1e-5))
    np.testing.assert_allclose(forward, (ahead - behind) / 2e-5, rtol=1e-5, atol=1e-6)


@kinds
def test_the_recurrent_weights_start_orthogonal(kind):
    layer = CELLS[kind][0]
    wh = np.asarray(layer.init(jax.random.key(0), X).params["wh"])
    for gate in np.split(wh, wh.shape[1] // N, 1):
        np.testing.assert_allclose(gate @ gate.T, np.eye(N), atol=1e-12)
    assert len({float(gate[0, 0]) for gate in np.split(wh, wh.shape[1] // N, 1)}) > wh.shape[1] / 4


@kinds
def test_a_carry_keeps_its_dtypes_in_bfloat16(kind):
    layer, variables = made(kind)
    half = nn.policy(layer, compute=jnp.bfloat16)
    spec = jax.ShapeDtypeStruct(X.shape, jnp.float32)
    carry = half.start(variables, spec, nn.Context())
    first, *memory = jax.tree.leaves(carry)
    assert first.dtype == jnp.bfloat16 and all(m.dtype == jnp.float32 for m in memory)
    after, y = half.step(variables, carry, X, nn.Context())
    assert jax.tree.map(jnp.result_type, after) == jax.tree.map(jnp.result_type, carry)
    np.testing.assert_allclose(y, layer(variables, X), rtol=0.05, atol=0.05)


@kinds
@pytest.mark.parametrize(
    ("x", "side", "message"),
    [
        (X[0], {}, r"x must be \(batch, time, features\), got float64\[5, 2\]"),
        (X[..., :1], {}, r"x has 1 features.*made for 2"),
        (X, {"mask": HOLES, "lengths": LENGTHS}, "got both mask and lengths"),
        (X, {"carry": np.zeros((4, 3))}, r"sets the start of rnn; wrap the layer: rnn\("),
    ],
)
def test_misuse_is_named(kind, x, side, message):
    layer, variables = made(kind)
    with pytest.raises(ValueError, match=message):
        layer(variables, x, **side)


@kinds
def test_a_wrong_carry_is_named(kind):
    layer, variables = made(kind)
    for carry in (np.zeros((BATCH, N + 1)), (np.zeros((BATCH, N)),) * 3, {}):
        with pytest.raises(ValueError, match=r"the carry must be .*\[4, 3\].*, got"):
            layer.step(variables, carry, X, nn.Context())


@kinds
def test_features_must_be_positive(kind):
    make = {"gru": nn.gru, "simple_rnn": nn.simple_rnn}.get(kind, nn.lstm)
    with pytest.raises(ValueError, match="features must be an integer of at least 1, got 0"):
        make(0)

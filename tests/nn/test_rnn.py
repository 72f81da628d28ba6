"""One time step lifted over a sequence: carries given and returned, noise, state, side inputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

X = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)
MASK = np.array([[1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [0, 1, 1, 0, 1], [1, 1, 1, 1, 1]], bool)
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def leaky(h, x):
    h = 0.5 * h + x
    return h, 2 * h


def elman(c, pair):
    h, x = pair
    h = jnp.tanh(c.wi(x) + c.wh(h))
    return h, h


def own_cell(features=4):
    return nn.rnn(
        nn.compose(elman, wi=nn.dense(features), wh=nn.dense(features, bias=False)),
        start=lambda x: jnp.zeros((len(x), features), x.dtype),
    )


def test_a_plain_function_is_run_step_by_step():
    h, expected = np.zeros((4, 3)), []
    for t in range(5):
        h = np.where(MASK[:, t, None], 0.5 * h + X[:, t], h)
        expected.append(np.where(MASK[:, t, None], 2 * h, 0))
    layer = nn.rnn(leaky, start=jnp.zeros_like, carry=True)
    y, carry = layer(nn.Variables({}, {}), X, mask=MASK)
    np.testing.assert_allclose(y, np.stack(expected, 1), **CLOSE)
    np.testing.assert_allclose(carry, h, **CLOSE)


def test_a_cell_with_parameters_is_the_simple_rnn():
    layer, reference = own_cell(), nn.simple_rnn(4)
    variables = layer.init(jax.random.key(0), X)
    assert list(layer.children) == ["wi", "wh"]
    (wi, b), wh = (variables.params["wi"][k] for k in "wb"), variables.params["wh"]["w"]
    same = nn.Variables({"wi": wi, "wh": wh, "b": b}, {})
    for side in ({}, {"mask": MASK}):
        np.testing.assert_allclose(layer(variables, X, **side), reference(same, X, **side), **CLOSE)


def test_the_carry_of_a_whole_stack_is_given_and_returned():
    stack = nn.serial(nn.lstm(2), nn.dense(3), nn.gru(4))
    layer = nn.rnn(stack, carry=True)
    variables = layer.init(jax.random.key(0), X)
    y, carry = layer(variables, X)
    assert jax.tree.map(jnp.shape, carry) == {"lstm_0": ((4, 2), (4, 2)), "gru_0": (4, 4)}
    np.testing.assert_allclose(y, stack(variables, X), **CLOSE)
    first, middle = layer(variables, X[:, :2])
    second, last = layer(variables, X[:, 2:], carry=middle)
    np.testing.assert_allclose(jnp.concatenate([first, second], 1), y, **CLOSE)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **CLOSE), last, carry)


def test_a_decoder_starts_from_what_an_encoder_remembers():
    def forward(c, pair):
        source, target = pair
        _, memory = c.encoder(source)
        return c.decoder(target, carry=memory)

    model = nn.compose(forward, encoder=nn.rnn(nn.gru(3), carry=True), decoder=nn.rnn(nn.gru(3)))
    variables = model.init(jax.random.key(0), (X, X))
    y = model(variables, (X, X))
    assert bool((jnp.abs(model(variables, (X + 1, X)) - y) > 1e-4).any())
    # Step by step: start sees the caller's side inputs.
    decoder = nn.compose(lambda c, x: c.decoder(x), decoder=model.children["decoder"])
    params = nn.Variables({"decoder": variables.params["decoder"]}, {})
    encoder = nn.Variables(variables.params["encoder"], {})
    _, memory = model.children["encoder"](encoder, X)
    spec = jax.ShapeDtypeStruct(X.shape, X.dtype)
    carry = decoder.start(params, spec, nn.Context(side={"carry": memory}))
    for t in range(5):
        carry, step = decoder.step(params, carry, X[:, t : t + 1], nn.Context())
        np.testing.assert_allclose(step, y[:, t : t + 1], **CLOSE)


def test_a_function_reads_side_inputs_at_each_step():
    def read(c, pair):
        h, x = pair
        h = h + c.attend(x) * c.ctx.side["memory"]
        return h, h

    layer = nn.rnn(nn.compose(read, attend=jnp.sign), start=jnp.zeros_like)
    y = layer(nn.Variables({}, {}), X, memory=np.float32(2) * np.ones((4, 3), np.float32))
    np.testing.assert_allclose(y, 2 * np.cumsum(np.sign(X), 1), **CLOSE)


def test_noise_differs_from_step_to_step():
    layer = nn.rnn(
        nn.compose(lambda c, p: (p[0], c.drop(p[1])), drop=nn.dropout(0.5)), start=jnp.zeros_like
    )
    x = jnp.ones((1, 64, 32))
    y, _ = layer.apply({}, {}, x, nn.Context(jax.random.key(0), train=True))
    kept = np.asarray(y[0] != 0)
    assert len(np.unique(kept, axis=0)) == 64 and abs(kept.mean() - 0.5) < 0.05


def test_state_is_written_step_by_step():
    def init(key, x, **side):
        return nn.Variables({}, {"count": jnp.zeros(())})

    def apply(params, state, x, ctx):
        return x, {"count": state["count"] + 1}

    layer = nn.rnn(nn.Layer(init, apply, "counter"), start=jnp.zeros_like)
    variables = layer.init(jax.random.key(0), X)
    assert layer.apply(*variables, X, nn.Context(train=True))[1] == {"count": 5.0}
    given = {"carry": jnp.zeros((4, 3))}
    with pytest.raises(ValueError, match=r"writes a state .* can neither start from a given carry"):
        layer.apply(*variables, X, nn.Context(side=given, train=True))


def test_x_and_y_may_be_trees_and_time_steps_images():
    def f(carry, at):
        image, gain = at
        carry = carry + image * gain[:, None, None]
        return carry, (carry, gain)

    layer = nn.rnn(f, start=lambda at: jnp.zeros_like(at[0]))
    images, gains = jnp.ones((2, 3, 4, 5)), jnp.arange(6.0).reshape(2, 3)
    total, same = layer(nn.Variables({}, {}), (images, gains), lengths=np.array([3, 1]))
    np.testing.assert_allclose(total[:, :, 0, 0], [[0, 1, 3], [3, 0, 0]])
    np.testing.assert_allclose(same, [[0, 1, 2], [3, 0, 0]])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.rnn(leaky), "is no cell, so a start is needed"),
        (lambda: nn.rnn(nn.bidirectional(nn.gru(2))), "is no cell, so a start is needed"),
        (lambda: nn.rnn(lambda h, x: (x, x), start=lambda x: x[:, :1]), "the carry must be .*got"),
        (lambda: nn.rnn(leaky, start=lambda x: x[:1]), "first axis of each array of the carry"),
    ],
)
def test_misuse_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make().init(jax.random.key(0), X)


def test_a_function_must_return_a_pair():
    with pytest.raises(TypeError, match=r"f must return \(carry, y_t\), got float32\[4, 3\]"):
        nn.rnn(lambda h, x: h, start=jnp.zeros_like).init(jax.random.key(0), X)


def test_a_given_carry_must_fit():
    layer = nn.rnn(nn.gru(2))
    variables = layer.init(jax.random.key(0), X)
    with pytest.raises(ValueError, match=r"the carry must be float32\[4, 2\], got float32\[4, 3\]"):
        layer(variables, X, carry=jnp.zeros((4, 3)))


def test_a_factory_that_was_not_called_is_named():
    with pytest.raises(TypeError, match=r"forgot \(\)"):
        nn.rnn(nn.lstm)

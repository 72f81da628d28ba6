"""Sequence to sequence: each equation by hand, what padding reaches, decoding by the carry."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn

SOURCE = np.array([[1, 0, 4, 4, 2], [2, 2, 1, 0, 3]])
TARGET = np.array([[1, 3, 2, 2], [2, 0, 3, 1]])
LENGTHS = jnp.array([3, 5])
ATTENTION = {"none": None, "dot": nn.dot_attention(), "additive": nn.additive_attention(5)}
MODELS = {
    name: nn.seq2seq(5, 4, nn.gru(3), features=2, attention=attention)
    for name, attention in ATTENTION.items()
}
RUN = {name: jax.jit(model) for name, model in MODELS.items()}
kinds = pytest.mark.parametrize("kind", MODELS)


def made(layer, *args, **side):
    params, _ = layer.init(jax.random.key(0), *args, **side)
    bent = lambda p: p + 0.5 * jnp.cos(jnp.arange(p.size)).reshape(p.shape)  # noqa: E731
    return nn.Variables(jax.tree.map(bent, params), {})


VARIABLES = {name: made(model, (SOURCE, TARGET)) for name, model in MODELS.items()}


def child(kind, name):
    return MODELS[kind].children[name], nn.Variables(VARIABLES[kind].params[name], {})


def encoded(kind, lengths=LENGTHS):
    encoder, variables = child(kind, "encoder")
    memory, carry = encoder(variables, SOURCE, lengths=lengths)
    return {"memory": memory, "carry": carry, "memory_lengths": lengths}


def gru(p, h, x):
    """One step of one example, in NumPy."""
    sigmoid = lambda z: 1 / (1 + np.exp(-z))  # noqa: E731
    (xr, xz, xn), (hr, hz, hn) = np.split(x @ p["wi"] + p["b"], 3), np.split(h @ p["wh"], 3)
    r, z = sigmoid(xr + hr), sigmoid(xz + hz)
    return (1 - z) * np.tanh(xn + r * (hn + p["bh"])) + z * h


def scores(kind, p, h, memory):
    if kind == "dot":
        return np.array([h @ m for m in memory])
    q, k, v = p["query"]["w"], p["keys"]["w"], p["score"]["w"][:, 0]
    return np.array([v @ np.tanh(h @ q + m @ k) for m in memory])


def by_hand(kind, params, source, target):
    """The logits of one example without padding."""
    encoder, decoder = params["encoder"], params["decoder"]
    h, memory, logits = np.zeros(3), [], []
    for token in source:
        h = gru(encoder["cell"], h, encoder["embed"]["table"][token])
        memory.append(h)
    for token in target:
        h = gru(decoder["cell"], h, decoder["embed"]["table"][token])
        y = h
        if kind != "none":
            e = np.exp(scores(kind, decoder["read"].get("attention"), h, memory))
            context = (e / e.sum()) @ np.array(memory)
            combine = decoder["read"]["combine"]
            y = np.tanh(np.concatenate([h, context]) @ combine["w"] + combine["b"])
        logits.append(y @ decoder["readout"]["w"] + decoder["readout"]["b"])
    return np.array(logits)


@kinds
def test_the_equations_in_numpy_where_the_source_is_padded(kind):
    y = RUN[kind](VARIABLES[kind], (SOURCE, TARGET), memory_lengths=LENGTHS)
    params = jax.tree.map(np.float64, VARIABLES[kind].params)
    for i, length in enumerate(LENGTHS):
        expected = by_hand(kind, params, SOURCE[i, :length], TARGET[i])
        np.testing.assert_allclose(y[i], expected, rtol=1e-4, atol=1e-5)


@kinds
def test_the_target_reads_its_past_and_all_of_the_source(kind):
    model, variables = RUN[kind], VARIABLES[kind]
    usual = model(variables, (SOURCE, TARGET))
    changed = model(variables, (SOURCE, np.where(np.arange(4) == 2, 0, TARGET)))
    np.testing.assert_allclose(changed[:, :2], usual[:, :2], atol=1e-6)
    assert (jnp.abs(changed - usual).max((0, 2))[2:] > 1e-4).all()
    changed = model(variables, (np.where(np.arange(5) == 0, 3, SOURCE), TARGET))
    assert (jnp.abs(changed - usual).max((0, 2)) > 1e-5).all()


@kinds
def test_a_mask_says_what_lengths_say_and_those_of_the_target_are_its_own(kind):
    model, variables = RUN[kind], VARIABLES[kind]
    usual = model(variables, (SOURCE, TARGET), memory_lengths=LENGTHS)
    mask = jnp.arange(5)[None] < LENGTHS[:, None]
    masked = model(variables, (SOURCE, TARGET), memory_mask=mask, lengths=jnp.array([4, 2]))
    np.testing.assert_allclose(masked[0], usual[0], atol=1e-6)
    np.testing.assert_allclose(masked[1, :2], usual[1, :2], atol=1e-6)


@kinds
def test_a_source_of_padding_alone_is_finite_and_so_is_its_gradient(kind):
    def loss(params):
        variables = nn.Variables(params, {})
        y = RUN[kind](variables, (SOURCE, TARGET), memory_lengths=jnp.array([0, 5]))
        return jnp.square(y).sum(), y

    (_, y), gradient = jax.value_and_grad(loss, has_aux=True)(VARIABLES[kind].params)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves((y, gradient)))
    params = jax.tree.map(np.float64, VARIABLES[kind].params)
    if kind == "none":
        np.testing.assert_allclose(y[0], by_hand(kind, params, [], TARGET[0]), rtol=1e-4, atol=1e-5)


@kinds
def test_decoding_from_a_memory_projected_once(kind):
    whole = RUN[kind](VARIABLES[kind], (SOURCE, TARGET), memory_lengths=LENGTHS)
    decoder, variables = child(kind, "decoder")
    carry = decoder.start(variables, TARGET, nn.Context(side=encoded(kind)))
    step, outputs = jax.jit(decoder.step), []
    for t in range(4):
        carry, y = step(variables, carry, TARGET[:, t : t + 1], nn.Context())
        outputs.append(y)
    np.testing.assert_allclose(jnp.concatenate(outputs, 1), whole, rtol=1e-4, atol=1e-5)
    if kind == "additive":
        assert carry["read"]["attention"]["keys"]["keys"].shape == (2, 5, 5)


def test_greedy_generation_chooses_what_the_whole_model_ranks_first():
    decoder, variables = child("additive", "decoder")
    start = jnp.array([[1], [2]])
    made = nn.decoding.generate(decoder, variables, start, 4, **encoded("additive")).tokens
    whole = RUN["additive"](VARIABLES["additive"], (SOURCE, made[:, :-1]), memory_lengths=LENGTHS)
    np.testing.assert_array_equal(made[:, 1:], whole.argmax(-1))


def test_beams_as_many_as_prefixes_find_the_likeliest_of_all():
    kind = "dot"
    decoder, variables = child(kind, "decoder")
    start = jnp.array([[1], [2]])
    found = nn.decoding.beam_search(decoder, variables, start, 2, beams=4, **encoded(kind))
    for i in range(2):
        every = np.array([(start[i, 0], *pair) for pair in itertools.product(range(4), repeat=2)])
        sources = np.repeat(SOURCE[i : i + 1], 16, 0)
        logits = RUN[kind](
            VARIABLES[kind], (sources, every[:, :2]), memory_lengths=jnp.repeat(LENGTHS[i], 16)
        )
        log_p = jax.nn.log_softmax(logits)
        total = jnp.take_along_axis(log_p, jnp.asarray(every)[:, 1:, None], 2).sum((1, 2))
        np.testing.assert_array_equal(found.tokens[i, 0], every[total.argmax()])
        np.testing.assert_allclose(found.scores[i, 0], total.max(), rtol=1e-5)


def test_stacked_cells_start_where_those_of_the_encoder_ended():
    cell = nn.serial(nn.lstm(3), nn.dropout(0.2), nn.simple_rnn(2))
    model = nn.seq2seq(5, 4, cell, features=2, attention=nn.cross_attention(2))
    variables = made(model, (SOURCE, TARGET))
    usual = jax.jit(model)(variables, (SOURCE, TARGET))
    encoder = nn.Variables(variables.params["encoder"], {})
    memory, carry = jax.jit(model.children["encoder"])(encoder, SOURCE)
    assert set(carry) == {"lstm_0", "simple_rnn_0"}
    decoder = nn.Variables(variables.params["decoder"], {})
    decode = jax.jit(model.children["decoder"])
    np.testing.assert_allclose(
        decode(decoder, TARGET, memory=memory, carry=carry), usual, atol=1e-6
    )
    other = jax.tree.map(jnp.zeros_like, carry)
    assert jnp.abs(decode(decoder, TARGET, memory=memory, carry=other) - usual).max() > 1e-3


def test_what_is_missing_is_said():
    decoder, variables = child("dot", "decoder")
    given = encoded("dot")
    with pytest.raises(ValueError, match=r"seq2seq: the decoder needs side input carry, .* memory"):
        decoder(variables, TARGET, memory=given["memory"])
    with pytest.raises(ValueError, match="needs side input carry"):
        decoder.start(variables, TARGET, nn.Context(side={"memory": given["memory"]}))
    with pytest.raises(ValueError, match=r"dot_attention: needs side input memory .* got carry"):
        decoder(variables, TARGET, carry=given["carry"])
    with pytest.raises(ValueError, match=r"dot_attention: x and memory must be .* of one batch"):
        decoder(variables, TARGET, carry=given["carry"], memory=given["memory"][:1])
    with pytest.raises(ValueError, match="is no cell"):
        nn.seq2seq(5, 4, nn.bidirectional(nn.gru(3)), features=2)
    with pytest.raises(ValueError, match="hidden must be"):
        nn.additive_attention(0)


def test_a_query_of_other_features_than_the_memory_is_told_to_map_itself():
    x, memory = jnp.ones((1, 2, 4)), jnp.ones((1, 5, 6))
    with pytest.raises(ValueError, match=r"dot_attention: .* serial\(dense\(6\), dot_attention"):
        nn.dot_attention()(nn.Variables({}, {}), x, memory=memory)

"""Beam search against all continuations, written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn
from laminax.nn.decoding import beam_search, generate

from .tiny_models import VOCABULARY, exhaustive, log_p, made, recurrent, transformer

MODELS = {"recurrent": recurrent(), "transformer": transformer()}
PROMPT = np.random.default_rng(1).integers(0, VOCABULARY, (3, 4)).astype(np.int32)
models = pytest.mark.parametrize("kind", list(MODELS))


def assert_best(found, row, reference, n):
    """Compare the row's beams with the best of the reference, [(score, continuation)]."""
    for beam, (score, run) in enumerate(reference):
        np.testing.assert_allclose(found.scores[row, beam], score, rtol=1e-4, atol=1e-4)
        assert found.lengths[row, beam] == n + len(run)
        assert tuple(found.tokens[row, beam, n : n + len(run)].tolist()) == run


@models
@pytest.mark.parametrize("stop", [None, 2])
def test_with_enough_beams_it_is_the_exhaustive_search(kind, stop):
    """64 beams hold every prefix of 3 tokens, so none is lost; the best 20 of 256 or so."""
    model, variables = MODELS[kind], made(MODELS[kind])
    for alpha in (0.0, 1.5):
        found = beam_search(model, variables, PROMPT, 4, beams=64, stop=stop, length_penalty=alpha)
        for row in range(3):
            reference = exhaustive(model, variables, PROMPT[row], 4, stop=stop, alpha=alpha)[:20]
            assert_best(found, row, reference, 4)
            prompts = np.tile(PROMPT[row], (64, 1))
            np.testing.assert_array_equal(found.tokens[row, :, :4], prompts)
        if stop is not None:
            filler = np.arange(8) >= np.asarray(found.lengths)[..., None]
            assert (np.asarray(found.tokens)[filler] == stop).all() and filler.any()
        assert (np.diff(found.scores) <= 0).all()


def search(model, variables, prompt, steps, beams, stop, alpha):
    """Beam search of one row by lists and full passes, without any early end."""
    live, ended = [(0.0, ())], []

    def normal(score, run):
        return score / ((5 + len(run)) / 6) ** alpha

    for _ in range(steps):
        tokens = np.array([[*prompt, *run] for _, run in live])
        table = log_p(model, variables, tokens)[:, -1]
        candidates = [
            (score + table[i, token], (*run, token))
            for i, (score, run) in enumerate(live)
            for token in range(VOCABULARY)
        ]
        candidates = sorted(candidates, reverse=True)[: 2 * beams]
        ended += [(normal(*c), c[1]) for c in candidates if c[1][-1] == stop]
        live = [c for c in candidates if c[1][-1] != stop][:beams]
    ended += [(normal(*c), c[1]) for c in live]
    return sorted(ended, reverse=True)[:beams]


@models
@pytest.mark.parametrize(("beams", "stop"), [(1, 1), (3, 1), (2, None)])
def test_few_beams_keep_what_the_search_by_lists_keeps(kind, beams, stop):
    for seed in range(2):
        model, variables = MODELS[kind], made(MODELS[kind], seed)
        found = beam_search(model, variables, PROMPT, 6, beams=beams, stop=stop, length_penalty=1)
        for row in range(3):
            reference = search(model, variables, PROMPT[row], 6, beams, stop, 1)
            assert_best(found, row, reference, 4)


@models
def test_one_beam_without_a_stop_is_greedy(kind):
    model, variables = MODELS[kind], made(MODELS[kind])
    greedy = generate(model, variables, PROMPT, 6)
    found = beam_search(model, variables, PROMPT, 6, beams=1)
    np.testing.assert_array_equal(found.tokens[:, 0], greedy.tokens)
    table = log_p(model, variables, np.asarray(greedy.tokens))
    at = np.arange(4, 10)
    for row in range(3):
        score = table[row, at - 1, np.asarray(greedy.tokens)[row, at]].sum()
        np.testing.assert_allclose(found.scores[row, 0], score, rtol=1e-4)


@pytest.mark.parametrize(
    ("kind", "stop"), [("recurrent", 2), ("recurrent", None), ("transformer", 2)]
)
def test_prompts_of_different_lengths_do_as_each_alone(kind, stop):
    model, variables, lengths = MODELS[kind], made(MODELS[kind]), np.array([2, 4, 1])
    found = beam_search(model, variables, PROMPT, 5, beams=3, stop=stop, lengths=lengths)
    for row, n in enumerate(lengths):
        assert_best(found, row, search(model, variables, PROMPT[row, :n], 5, 3, stop, 0), n)
        assert (np.asarray(found.tokens[row, :, n + 5 :]) == (stop or 0)).all()


def test_float64():
    with jax.enable_x64(True):
        model, variables = MODELS["recurrent"], made(MODELS["recurrent"])
        found = beam_search(model, variables, PROMPT, 3, beams=16, stop=1)
        assert found.scores.dtype == jnp.float64
        for row in range(3):
            reference = exhaustive(model, variables, PROMPT[row], 3, stop=1)[:10]
            np.testing.assert_allclose(
                found.scores[row, :10], [score for score, _ in reference], rtol=1e-11
            )


def test_side_inputs_follow_the_beams():
    model, variables = MODELS["recurrent"], made(MODELS["recurrent"])
    bias = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32) * 2
    found = beam_search(model, variables, PROMPT, 3, beams=16, bias=bias)
    for row in range(3):
        beside = {"bias": bias[row : row + 1]}
        assert_best(found, row, exhaustive(model, variables, PROMPT[row], 3, **beside)[:10], 4)


def test_fewer_continuations_than_beams_are_scored_minus_infinity():
    chain = nn.Variables({"table": jnp.zeros((4, 4))}, {})
    found = beam_search(nn.embedding(4, 4), chain, PROMPT[:1], 1, beams=6, stop=0)
    assert np.isfinite(found.scores[0, :4]).all() and (found.scores[0, 4:] == -jnp.inf).all()
    np.testing.assert_allclose(found.scores[0, :4], np.log(0.25), rtol=1e-6)
    assert sorted(found.tokens[0, :4, 4].tolist()) == [0, 1, 2, 3]


def test_the_loop_ends_when_nothing_can_be_overtaken():
    """After 0 the stop is nearly certain: one step more shows that no other can win."""
    calls = []

    def step(variables, carry, x, ctx):
        jax.debug.callback(lambda: calls.append(1))
        chances = jnp.log(jnp.array([0.001, 0.001, 0.998]))
        return carry, jnp.broadcast_to(chances, (*x.shape, 3))

    chain = nn.embedding(3, 3)
    sure = nn.Layer(chain.init, chain.apply, "sure", start=lambda *_: {}, step=step)
    beam_search(sure, nn.Variables({}, {}), np.array([[0], [1]]), 50, beams=1, stop=2)
    jax.effects_barrier()
    assert len(calls) <= 3


def test_a_second_call_compiles_nothing(compiles):
    model, variables = MODELS["recurrent"], made(MODELS["recurrent"])
    beam_search(model, variables, PROMPT, 3, beams=2, stop=1, length_penalty=0.5)
    compiles.clear()
    beam_search(model, variables, 3 - PROMPT, 3, beams=2, stop=2, length_penalty=1)
    assert "jit(_search)" not in compiles


CHAIN, TABLE = nn.embedding(4, 4), nn.Variables({"table": jnp.eye(4)}, {})


def odd_carry(variables, x, ctx):
    return jnp.zeros((x.shape[0] * 2, 3))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"beams": 0}, ValueError, "beam_search: beams must be an integer of at least 1, got 0"),
        ({"steps": 0}, ValueError, "beam_search: steps must be an integer of at least 1, got 0"),
        ({"length_penalty": -1}, ValueError, "length_penalty must be a number of at least 0"),
        ({"prompt": PROMPT * 1.0}, TypeError, "beam_search: prompt must hold integers"),
        (
            {"model": nn.Layer(CHAIN.init, CHAIN.apply, "odd", start=odd_carry, step=CHAIN.step)},
            ValueError,
            r"carry of odd is float32\[4, 3\] for a batch of 2 and float32\[6, 3\] for 3",
        ),
    ],
)
def test_arguments_are_checked(change, error, message):
    arguments = {"model": CHAIN, "variables": TABLE, "prompt": PROMPT, "steps": 2, "beams": 2}
    arguments |= change
    positional = [arguments.pop(name) for name in ("model", "variables", "prompt", "steps")]
    with pytest.raises(error, match=message):
        beam_search(*positional, **arguments)

"""Generation against full passes over all tokens so far: greedy, drawn, stopped, uneven prompts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn
from laminax.nn.decoding import categorical, generate, greedy, temperature, top_k

from .tiny_models import VOCABULARY, continued, log_p, made, recurrent, transformer

MODELS = {"recurrent": recurrent(), "transformer": transformer()}
PROMPT = np.random.default_rng(1).integers(0, VOCABULARY, (3, 4)).astype(np.int32)
models = pytest.mark.parametrize("kind", list(MODELS))


def largest(p, row, scores):
    return scores.argmax()


@models
@pytest.mark.parametrize("steps", [1, 6])
def test_greedy_is_the_argmax_of_full_passes(kind, steps):
    model, variables = MODELS[kind], made(MODELS[kind])
    found = generate(model, variables, PROMPT, steps)
    tokens, ends = continued(model, variables, PROMPT, steps, largest)
    np.testing.assert_array_equal(found.tokens, tokens)
    np.testing.assert_array_equal(found.lengths, ends)
    assert found.tokens.dtype == jnp.int32


@models
def test_prompts_of_different_lengths_do_as_each_alone(kind):
    model, variables, lengths = MODELS[kind], made(MODELS[kind]), np.array([2, 4, 1])
    found = generate(model, variables, PROMPT, 5, lengths=lengths)
    tokens, ends = continued(model, variables, PROMPT, 5, largest, lengths=lengths)
    np.testing.assert_array_equal(found.tokens, tokens)
    np.testing.assert_array_equal(found.lengths, ends)
    padding = np.where(np.arange(4) < lengths[:, None], PROMPT, 3 - PROMPT)
    again = generate(model, variables, padding, 5, lengths=lengths)
    np.testing.assert_array_equal(found.tokens, again.tokens)
    traced = jax.jit(lambda n: generate(model, variables, PROMPT, 5, lengths=n))(lengths)
    np.testing.assert_array_equal(found.tokens, traced.tokens)


@models
@pytest.mark.parametrize("lengths", [None, [4, 3, 2]])
def test_a_row_ends_at_the_stop_token_and_the_rest_is_filler(kind, lengths):
    seen = set()
    for seed in range(4):
        model, variables = MODELS[kind], made(MODELS[kind], seed)
        for stop in range(VOCABULARY):
            found = generate(
                *(model, variables, PROMPT, 8), stop=stop,
                lengths=None if lengths is None else np.array(lengths),
            )  # fmt: skip
            tokens, ends = continued(
                model, variables, PROMPT, 8, largest, stop=stop, lengths=lengths
            )
            np.testing.assert_array_equal(found.tokens, tokens)
            np.testing.assert_array_equal(found.lengths, ends)
            seen |= set((ends - (4 if lengths is None else np.array(lengths))).tolist())
    assert 8 in seen and len(seen) > 2  # some stop early, some never do


def test_the_loop_ends_when_every_row_has_stopped():
    """Counted by a cell that writes how often it was called into every logit it gives."""

    def start(variables, x, ctx):
        return jnp.zeros((), jnp.int32)

    def step(variables, calls, x, ctx):
        jax.debug.callback(lambda n: counted.append(int(n)), calls)
        return calls + 1, jax.nn.one_hot((x + 1) % 5, 5)

    def apply(params, state, x, ctx):
        return jax.nn.one_hot((x + 1) % 5, 5), state

    count = nn.Layer(lambda key, x: nn.Variables({}, {}), apply, "count", start=start, step=step)
    counted = []
    found = generate(count, nn.Variables({}, {}), np.array([[0], [1]]), 50, stop=4)
    jax.effects_barrier()
    assert found.lengths.tolist() == [5, 4]
    assert found.tokens[:, :6].tolist() == [[0, 1, 2, 3, 4, 4], [1, 2, 3, 4, 4, 4]]
    assert sorted(counted) == [0, 1, 2, 3]  # the prompt, then one call a further token


@models
def test_draws_follow_the_models_probabilities(kind):
    """Of 4,000 equal rows, the pairs of tokens drawn after the prompt; χ² of 16 cells."""
    model, variables = MODELS[kind], made(MODELS[kind])
    n, t = 4000, 3.0
    rows = np.tile(PROMPT[:1], (n, 1))
    sample = categorical(temperature(t))
    found = generate(model, variables, rows, 2, key=jax.random.key(3), sample=sample)
    pairs = np.asarray(found.tokens)[:, 4:]
    all_pairs = np.stack(np.meshgrid(*[range(VOCABULARY)] * 2, indexing="ij"), -1).reshape(-1, 2)
    whole = np.concatenate([np.tile(PROMPT[:1], (16, 1)), all_pairs], 1)
    scaled = np.exp(log_p(model, variables, whole) / t)
    p = scaled / scaled.sum(-1, keepdims=True)
    chance = p[range(16), 3, all_pairs[:, 0]] * p[range(16), 4, all_pairs[:, 1]]
    count = np.bincount(pairs[:, 0] * VOCABULARY + pairs[:, 1], minlength=16)
    np.testing.assert_allclose(chance.sum(), 1)
    assert ((count - n * chance) ** 2 / (n * chance)).sum() < 55  # 1 - 2e-6 at 15 degrees


def test_the_key_alone_decides_and_each_step_has_its_own():
    uniform = nn.Variables({"table": jnp.zeros((9, 9))}, {})
    chain, prompt = nn.embedding(9, 9), np.zeros((4, 1), np.int32)

    def run(seed):
        key = jax.random.key(seed)
        return generate(chain, uniform, prompt, 40, key=key, sample=categorical()).tokens

    first = run(0)
    np.testing.assert_array_equal(first, run(0))
    assert (first != run(1)).any()
    assert len({tuple(row) for row in first.tolist()}) == 4
    assert len({tuple(column) for column in first.T.tolist()}) > 30


def test_top_1_is_greedy_and_any_function_is_a_sampler():
    model, variables = MODELS["recurrent"], made(MODELS["recurrent"])
    expected = generate(model, variables, PROMPT, 6, sample=greedy)
    drawn = generate(
        model, variables, PROMPT, 6, key=jax.random.key(0), sample=categorical(top_k(1))
    )
    np.testing.assert_array_equal(drawn.tokens, expected.tokens)
    least = generate(
        *(model, variables, PROMPT, 6), key=jax.random.key(0),
        sample=lambda key, logits: jnp.argmin(logits, -1),
    )  # fmt: skip
    tokens, _ = continued(model, variables, PROMPT, 6, lambda p, row, scores: scores.argmin())
    np.testing.assert_array_equal(least.tokens, tokens)


def test_side_inputs_reach_the_model():
    model, variables = MODELS["recurrent"], made(MODELS["recurrent"])
    bias = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32) * 2
    found = generate(model, variables, PROMPT, 6, bias=bias)
    tokens, _ = continued(model, variables, PROMPT, 6, largest, bias=bias)
    np.testing.assert_array_equal(found.tokens, tokens)
    assert (found.tokens != generate(model, variables, PROMPT, 6).tokens).any()


def test_weights_made_of_others_are_read_in_every_step():
    """The blocks of a repeat are taken apart before the loop, but not where they are made anew."""
    model = nn.weight_norm(MODELS["transformer"], "*/w")
    variables = made(model)
    expected, _ = continued(model, variables, PROMPT, 5, largest)
    np.testing.assert_array_equal(generate(model, variables, PROMPT, 5).tokens, expected)


@models
def test_a_second_call_compiles_nothing(kind, compiles):
    model, variables = MODELS[kind], made(MODELS[kind])

    def run(seed, t, prompt, stop):
        sample = categorical(temperature(t), top_k(3))
        generate(model, variables, prompt, 3, key=jax.random.key(seed), sample=sample, stop=stop)

    run(0, 0.7, PROMPT, 1)
    compiles.clear()
    run(1, 0.7, 3 - PROMPT, 2)
    run(2, 0.7, PROMPT.astype(np.uint8), 0)
    assert "jit(_generate)" not in compiles
    run(2, 0.8, PROMPT, 0)
    assert compiles.count("jit(_generate)") == 1


def test_it_runs_in_float64_bfloat16_and_a_callers_jit():
    model, variables = MODELS["transformer"], made(MODELS["transformer"])
    inside = jax.jit(lambda v, prompt: generate(model, v, prompt, 4))(variables, PROMPT)
    tokens, _ = continued(model, variables, PROMPT, 4, largest)
    np.testing.assert_array_equal(inside.tokens, tokens)
    half = nn.policy(model, output=jnp.bfloat16)
    assert generate(half, variables, PROMPT, 4, stop=1).tokens.shape == (3, 8)
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda a: a.astype(jnp.float64), variables)
        found = generate(model, wide, PROMPT.astype(np.int64), 4, stop=3)
        assert found.tokens.dtype == jnp.int64
        tokens, _ = continued(model, wide, PROMPT, 4, largest, stop=3)
        np.testing.assert_array_equal(found.tokens, tokens)


CHAIN, TABLE = nn.embedding(4, 4), nn.Variables({"table": jnp.eye(4)}, {})
ONE = np.zeros((2, 1), np.int32)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"prompt": ONE * 1.0}, TypeError, "prompt must hold integers, got float"),
        ({"prompt": ONE[0]}, ValueError, r"prompt must be \(batch, time\) of at least one token"),
        ({"prompt": ONE[:, :0]}, ValueError, "a token that means so"),
        ({"steps": 0}, ValueError, "generate: steps must be an integer of at least 1, got 0"),
        ({"sample": categorical()}, ValueError, r"categorical\(\) needs a key .* key=jax.random"),
        (
            {"sample": temperature(2.0)},
            TypeError,
            r"only changes logits; give categorical\(temperature\(2.0\)\)",
        ),
        ({"key": 0, "sample": categorical()}, TypeError, "key must be a typed key, got"),
        ({"stop": -1}, ValueError, "stop must be a token, an integer of at least 0, got -1"),
        ({"stop": 1.0}, ValueError, "stop must be a token"),
        ({"lengths": np.array([1])}, ValueError, r"lengths must be integers of shape \(2,\), got"),
        ({"lengths": np.array([0, 1])}, ValueError, r"lengths must lie in \[1, 1\], .* got 0"),
        ({"lengths": np.array([1, 2])}, ValueError, r"lengths must lie in \[1, 1\], .* got 2"),
        ({"variables": TABLE.params}, TypeError, r"must be Variables\(params, state\), got dict"),
        (
            {"model": nn.Layer(CHAIN.init, CHAIN.apply, "whole")},
            ValueError,
            "whole has no step, since it mixes time steps",
        ),
        (
            {"model": nn.serial(nn.embedding(4, 4), nn.Layer(CHAIN.init, CHAIN.apply, "whole")),
             "variables": nn.Variables({"embedding_0": TABLE.params}, {})},
            ValueError,
            "whole: has no step",
        ),
        (
            {"model": nn.serial(nn.embedding(4, 4), lambda h: h[..., 0]),
             "variables": nn.Variables({"embedding_0": TABLE.params}, {})},
            ValueError,
            r"decoding needs logits \(batch, time, classes\), got float32\[2, 1\]",
        ),
    ],
)  # fmt: skip
def test_arguments_are_checked(change, error, message):
    arguments = {"model": CHAIN, "variables": TABLE, "prompt": ONE, "steps": 2} | change
    positional = [arguments.pop(name) for name in ("model", "variables", "prompt", "steps")]
    with pytest.raises(error, match=message):
        generate(*positional, **arguments)


def test_more_steps_than_the_model_has_positions_for_raise():
    model, variables = MODELS["transformer"], made(MODELS["transformer"])
    assert generate(model, variables, PROMPT, 13).tokens.shape == (3, 17)  # it reads 16
    with pytest.raises(ValueError, match=r"learned_positions: .*16"):
        generate(model, variables, PROMPT, 14)

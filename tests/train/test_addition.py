"""The addition recipe: its problems, how they are written, and a tiny run."""

import dataclasses
import inspect
import json
import typing

import jax
import numpy as np
import pytest

from laminax import nn
from laminax.train.cli import main
from laminax.train.recipes import addition

TINY = addition.Config(examples=60, epochs=1, units=4, batch_size=16)


def test_no_problem_is_seen_twice_nor_the_other_way_around():
    pairs = addition.problems(20_000, seed=0)
    assert pairs.shape == (20_000, 2) and pairs.min() == 0 and pairs.max() == 999
    assert len({tuple(sorted(pair)) for pair in pairs.tolist()}) == 20_000
    larger_first = (pairs[:, 0] > pairs[:, 1]).mean()
    assert 0.48 < larger_first < 0.52
    np.testing.assert_array_equal(addition.problems(50, 1), addition.problems(50, 1))
    assert (addition.problems(50, 1) != addition.problems(50, 2)).any()


def test_problems_and_answers_are_written_out():
    pairs = np.array([[123, 45], [7, 8], [999, 999]])
    (source, so_far), target, side = addition.written(pairs)
    text = lambda rows: [addition.CHARACTERS.decode(row) for row in rows]  # noqa: E731
    assert text(source) == ["123+45\n", "7+8\n\n\n\n", "999+999"]
    assert text(so_far) == ["\n168\n", "\n15\n\n", "\n1998"]
    assert text(target) == ["168\n\n", "15\n\n\n", "1998\n"]
    assert side["memory_lengths"].tolist() == [6, 3, 7]


def test_exact_is_all_of_an_answer():
    target = np.array([[1, 2], [1, 2]])
    logits = jax.nn.one_hot(np.array([[1, 2], [1, 0]]), 3)
    assert addition.exact(logits, target).tolist() == [1, 0]


def test_answers_are_the_likeliest_characters_until_a_line_break():
    data, model = addition.written(np.array([[1, 2], [345, 678]])), addition.build(TINY)
    params, _ = model.init(jax.random.key(0), data[0])
    bias = np.zeros(len(addition.CHARACTERS), np.float32)
    for token, expected in ((0, [0] * 5), (4, [4] * 5)):
        params["decoder"]["readout"]["b"] = bias + 99 * (np.arange(len(bias)) == token)
        made = addition.answers(model, nn.Variables(params, {}), data)
        np.testing.assert_array_equal(made, [expected] * 2)


def test_every_model_offered_is_built():
    hints = typing.get_type_hints(addition.Config)
    x, _, side = addition.written(np.array([[1, 2]]))
    for attention in typing.get_args(hints["attention"]):
        for cell in typing.get_args(hints["cell"]):
            config = dataclasses.replace(TINY, attention=attention, cell=cell)
            model = addition.build(config)
            params, _ = jax.eval_shape(lambda m=model: m.init(jax.random.key(0), x, **side))
            assert ("read" in params["decoder"]) == (attention != "none")
            assert params["encoder"]["cell"]["wh"].shape == (4, {"lstm": 16, "gru": 12}[cell])


def test_the_command_line_trains_and_tells_what_is_exactly_right(tmp_path, capsys):
    settings = ["--examples", "60", "--epochs", "1", "--units", "4", "--batch-size", "16"]
    main(["train", "addition", *settings, "--out", str(tmp_path)])
    scores = json.loads((tmp_path / "result.json").read_text())
    told = capsys.readouterr().out
    assert f"addition: {scores['exact']:.2%} of 5,000 problems never seen" in told
    assert ", not " in told


def test_a_recipe_is_one_file_with_a_frozen_configuration():
    assert len(inspect.getsource(addition).splitlines()) <= 160
    with pytest.raises(dataclasses.FrozenInstanceError):
        addition.Config().epochs = 3

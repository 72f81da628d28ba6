"""Programs for serving: what they answer is what the model answers, without the library."""

import subprocess
import sys
import textwrap
from pathlib import Path

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

from laminax import nn, train

from .models import MODELS, OUTPUTS, normal, variables_of

MLP = nn.mlp(3)
X = normal(5, 4)
VARIABLES = MLP.init(jax.random.key(0), X)


@pytest.mark.parametrize("name", MODELS)
def test_a_program_answers_what_the_model_answers_for_any_batch(name, tmp_path):
    model, x, side = MODELS[name]
    variables = variables_of(model, x, side)
    one = jax.tree.map(lambda a: a[:1], (x, side))
    train.export_stablehlo(tmp_path, model, variables, one[0], **one[1])
    serve = train.load_stablehlo(tmp_path)
    for n in (5, 1):
        given = jax.tree.map(lambda a: a[:n], {"x": x, **side})  # noqa: B023
        answered = serve(given)
        expected = model(variables, x[:n], **{name: given[name] for name in side})
        names = OUTPUTS[name]
        assert list(answered) == names
        for name_, leaf in zip(names, jax.tree.leaves(expected), strict=True):
            scale = np.abs(leaf).max()
            np.testing.assert_allclose(answered[name_], leaf, rtol=1e-5, atol=1e-6 * scale)


def test_a_program_runs_without_the_library(tmp_path):
    train.export_stablehlo(tmp_path / "served", MLP, VARIABLES, X)
    np.save(tmp_path / "x.npy", X)
    code = """
        import sys
        from pathlib import Path
        import jax.export, numpy as np, safetensors.numpy
        folder = Path("served")
        program = jax.export.deserialize(bytearray(Path(folder, "model.stablehlo").read_bytes()))
        weights = safetensors.numpy.load_file(Path(folder, "weights.safetensors"))
        np.save("y.npy", program.call(weights, {"x": np.load("x.npy")})["y"])
        assert "laminax" not in sys.modules
        print(*program.platforms)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["cpu", "cuda", "tpu"]
    dense = VARIABLES.params["dense_0"]
    expected = X @ np.asarray(dense["w"]) + np.asarray(dense["b"])
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected, rtol=1e-5, atol=1e-6)


def test_the_weights_stand_beside_the_program_and_can_be_exchanged(tmp_path):
    train.export_stablehlo(tmp_path, MLP, VARIABLES, X)
    weights = load_file(tmp_path / "weights.safetensors")
    assert {name: leaf.shape for name, leaf in weights.items()} == {
        "params/dense_0/b": (3,),
        "params/dense_0/w": (4, 3),
    }
    train.save(tmp_path / "weights.safetensors", {name: 2 * leaf for name, leaf in weights.items()})
    doubled = train.load_stablehlo(tmp_path)({"x": X})["y"]
    np.testing.assert_allclose(doubled, 2 * MLP(VARIABLES, X), rtol=1e-5, atol=1e-6)


def test_a_size_of_batch_is_compiled_once(tmp_path, compiles):
    train.export_stablehlo(tmp_path, MLP, VARIABLES, X)
    serve = train.load_stablehlo(tmp_path)
    serve({"x": X})
    before = len(compiles)
    serve({"x": X + 1})
    assert len(compiles) == before


def test_what_is_exported_is_evaluation_of_the_type_that_jax_computes_in(tmp_path):
    model = nn.serial(nn.dropout(0.9), nn.dense(2))
    variables = model.init(jax.random.key(0), X)
    train.export_stablehlo(tmp_path, model, variables, np.float64(X))
    answered = train.load_stablehlo(tmp_path)({"x": np.float64(X)})["y"]
    np.testing.assert_allclose(answered, model(variables, X), rtol=1e-5, atol=1e-6)
    assert answered.dtype == jnp.float32


def test_trees_of_inputs_are_named_by_path(tmp_path):
    model = nn.serial(lambda pair: pair["a"] + 2 * pair["b"][0], nn.dense(2))
    x = {"a": X, "b": (3 * X,)}
    variables = model.init(jax.random.key(0), x)
    train.export_stablehlo(tmp_path, model, variables, x)
    answered = train.load_stablehlo(tmp_path)({"x/a": X, "x/b/0": 3 * X})["y"]
    np.testing.assert_allclose(answered, model(variables, x), rtol=1e-5, atol=1e-6)


def test_a_program_refuses_other_platforms(tmp_path):
    train.export_stablehlo(tmp_path, MLP, VARIABLES, X, platforms=("cuda",))
    with pytest.raises(ValueError, match="cuda"):
        train.load_stablehlo(tmp_path)({"x": X})


@pytest.mark.parametrize(
    ("args", "options", "error", "words"),
    [
        ((nn.mlp, VARIABLES, X), {}, TypeError, "export_stablehlo: model: .*forgot"),
        ((MLP, VARIABLES.params, X), {}, TypeError, "export_stablehlo: variables: expected Var"),
        ((MLP, VARIABLES, 3.0), {}, TypeError, "x must be an array or .*got float"),
        ((MLP, VARIABLES, X[0, 0]), {}, ValueError, r"x must have a leading axis.* got shape \(\)"),
        ((MLP, VARIABLES, X[:, :3]), {}, ValueError, "x has 3 features .* made for 4"),
        ((MLP, VARIABLES, X), {"mask": 1}, TypeError, "mask must be an array"),
        ((MLP, VARIABLES, X), {"platforms": ("gpu",)}, ValueError, "some of cpu, cuda, tpu, rocm"),
        ((MLP, VARIABLES, X), {"platforms": "cpu"}, ValueError, "give a tuple"),
        ((MLP, VARIABLES, X), {"platforms": ()}, ValueError, "some of cpu"),
    ],
)
def test_what_cannot_be_exported_raises_and_writes_nothing(args, options, error, words, tmp_path):
    with pytest.raises(error, match=words):
        train.export_stablehlo(tmp_path / "served", *args, **options)
    assert not (tmp_path / "served").exists()


def test_what_cannot_be_loaded_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"load_stablehlo: no file at .*model.stablehlo"):
        train.load_stablehlo(tmp_path)
    train.export_stablehlo(tmp_path, MLP, VARIABLES, X)
    program = Path(tmp_path, "model.stablehlo")
    kept = program.read_bytes()
    program.write_bytes(kept[: len(kept) // 2])
    with pytest.raises(ValueError, match=r"model.stablehlo is damaged, or of another version"):
        train.load_stablehlo(tmp_path)
    program.write_bytes(kept)
    train.save(tmp_path / "weights.safetensors", {"params/dense_0/w": np.zeros((4, 3))})
    with pytest.raises(ValueError, match=r"does not fit(.|\n)*missing .* 'params/dense_0/b'"):
        train.load_stablehlo(tmp_path)

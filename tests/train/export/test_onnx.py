"""ONNX files, run by onnxruntime beside the model itself."""

import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laminax import nn, train

from .models import MODELS, OUTPUTS, normal, variables_of

X = normal(5, 4)


@pytest.fixture(scope="module")
def runtime():
    pytest.importorskip("jax2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    onnxruntime.set_default_logger_severity(3)
    return onnxruntime


@pytest.mark.filterwarnings("ignore")  # those of jax2onnx
@pytest.mark.parametrize("name", MODELS)
def test_a_file_answers_what_the_model_answers_for_any_batch(name, tmp_path, runtime):
    model, x, side = MODELS[name]
    variables = variables_of(model, x, side)
    one = jax.tree.map(lambda a: a[:1], (x, side))
    before = {name: value for name, value in vars(jnp).items() if callable(value)}
    train.export_onnx(tmp_path / "model.onnx", model, variables, one[0], **one[1])
    changed = [name for name, value in before.items() if getattr(jnp, name) is not value]
    assert not changed, "JAX is as it was before"
    session = runtime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    assert sorted(part.name for part in session.get_inputs()) == sorted(["x", *side])
    names = OUTPUTS[name]
    assert [part.name for part in session.get_outputs()] == names
    for n in (5, 1):
        given = jax.tree.map(lambda a: a[:n], {"x": x, **side})  # noqa: B023
        expected = model(variables, x[:n], **{name: given[name] for name in side})
        answered = session.run(names, given)
        for mine, leaf in zip(answered, jax.tree.leaves(expected), strict=True):
            scale = np.abs(leaf).max()
            np.testing.assert_allclose(mine, leaf, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.filterwarnings("ignore")
def test_inputs_are_told_apart_by_name(tmp_path, runtime):
    model = nn.serial(lambda xs: sum(i * x for i, x in enumerate(xs)), nn.dense(2))
    xs = tuple(normal(3, 2) for _ in range(11))
    variables = model.init(jax.random.key(0), xs)
    train.export_onnx(tmp_path / "model.onnx", model, variables, xs)
    session = runtime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    given = {f"x/{i}": x for i, x in enumerate(xs)}
    (answered,) = session.run(["y"], {part.name: given[part.name] for part in session.get_inputs()})
    np.testing.assert_allclose(answered, model(variables, xs), rtol=1e-5, atol=1e-5)


def noisy(x):
    return x + jax.random.normal(jax.random.key(0), x.shape[1:])[None]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("computed", "words"),
    [
        (noisy, "random numbers by the primitive 'random_bits'.*export_stablehlo"),
        (
            lambda x: jax.lax.map(noisy, x[:, None])[:, 0],
            "random numbers by the primitive 'random_bits'",
        ),
        (lambda x: jax.pure_callback(np.sin, x, x), "cannot write .* primitive 'pure_callback'"),
        (lambda x: jnp.abs(jnp.fft.fft(x)), "cannot write"),
    ],
)
def test_what_onnx_lacks_is_named_and_nothing_is_written(computed, words, tmp_path, runtime):
    model = nn.serial(computed, nn.dense(2))
    variables = model.init(jax.random.key(0), X)
    with pytest.raises(NotImplementedError, match=words):
        train.export_onnx(tmp_path / "model.onnx", model, variables, X)
    assert list(tmp_path.iterdir()) == []


def test_bad_arguments_raise(tmp_path, runtime):
    model = nn.mlp(2)
    variables = model.init(jax.random.key(0), X)
    with pytest.raises(TypeError, match=r"export_onnx: model: .*forgot"):
        train.export_onnx(tmp_path / "model.onnx", nn.mlp, variables, X)
    with pytest.raises(ValueError, match=r"x has 3 features .* made for 4"):
        train.export_onnx(tmp_path / "model.onnx", model, variables, X[:, :3])


def test_without_jax2onnx_the_error_names_the_extra():
    code = """
        import sys
        sys.modules["jax2onnx"] = None
        from laminax import nn, train
        try:
            train.export_onnx("model.onnx", nn.mlp(2), nn.Variables({}, {}), 0)
        except ImportError as error:
            assert "pip install 'laminax[onnx]'" in str(error)
        else:
            raise SystemExit("exported")
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert done.returncode == 0

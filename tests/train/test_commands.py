"""The commands that use a run folder, search, measure and list."""

import csv
import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from laminax import train
from laminax.train._commands._folder import Run, read
from laminax.train._speed import PEAKS, counted, peak, step_flops
from laminax.train.cli import expanded, main
from laminax.train.recipes import RECIPES, addition, digits

DIGITS = train.data.digits()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run folder of digits."""
    out = tmp_path_factory.mktemp("runs") / "digits"
    main(["train", "digits", "--model", "mlp", "--epochs", "2", "--out", str(out)])
    return out


def logits(folder, x, name="variables"):
    """What the model answers, computed by the library alone."""
    model = digits.build(digits.Config(model="mlp"))
    spec = jax.eval_shape(model.init, jax.random.key(0), x)
    return train.predict(model, train.restore(folder / f"{name}.safetensors", spec), x)


def failing(args):
    """The line that a command ends with."""
    with pytest.raises(SystemExit) as ended:
        main([str(arg) for arg in args])
    return ended.value.code


def test_eval_tells_the_scores_that_training_told(folder, capsys):
    main(["eval", str(folder)])
    scores = json.loads((folder / "result.json").read_text())
    assert f"test accuracy {scores['accuracy']:.2%}" in capsys.readouterr().out


@pytest.mark.parametrize("which", ["variables", "best"])
def test_predict_writes_the_models_outputs(which, folder, tmp_path, capsys):
    x = DIGITS.test[0][:7]
    np.save(tmp_path / "x.npy", x)
    main(
        [
            *("predict", str(folder), "--inputs", str(tmp_path / "x.npy")),
            *("--to", str(tmp_path / "y.npy"), "--batch-size", "3"),
            *(["--best"] if which == "best" else []),
        ]
    )
    expected = logits(folder, x, which)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected, rtol=1e-5, atol=1e-5)
    assert "y.npy: (7, 10)" in capsys.readouterr().out


def test_predict_takes_and_writes_several_arrays_by_name(tmp_path):
    config = addition.Config(units=4, out=tmp_path)
    train.run_folder(config)
    model, data = addition.build(config), addition.written(np.array([[1, 2], [30, 40]]))
    made = model.init(jax.random.key(0), data[0])
    train.save(tmp_path / "variables.safetensors", made)
    np.savez(tmp_path / "x.npz", **{"0": data[0][0], "1": data[0][1]})
    main(
        ["predict", str(tmp_path), "--inputs", str(tmp_path / "x.npz"), "--to", f"{tmp_path}/y.npz"]
    )
    with np.load(tmp_path / "y.npz") as file:
        np.testing.assert_allclose(file["y"], model(made, data[0]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.zeros((2, 8, 8), np.uint8), r"is uint8\(2, 8, 8\); expected uint8\(n, 8, 8, 1\)"),
        (np.zeros((2, 8, 8, 1)), r"is float64\(2, 8, 8, 1\); expected uint8\(n, 8, 8, 1\)"),
    ],
)
def test_inputs_that_are_not_the_models_are_refused(x, words, folder, tmp_path):
    np.save(tmp_path / "x.npy", x)
    message = failing(["predict", folder, "--inputs", tmp_path / "x.npy", "--to", "y.npy"])
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(message)


def test_what_cannot_be_predicted_says_so(folder, tmp_path):
    gone, text = tmp_path / "gone.npy", tmp_path / "text.npy"
    text.write_text("no array")
    assert f"no file {gone}" in failing(["predict", folder, "--inputs", gone, "--to", "y.npy"])
    assert "is no .npy or .npz file" in failing(
        ["predict", folder, "--inputs", text, "--to", "y.npy"]
    )
    np.save(tmp_path / "x.npy", DIGITS.test[0][:2])
    args = ["predict", folder, "--inputs", tmp_path / "x.npy", "--to", tmp_path / "y.txt"]
    assert "name a file that ends in .npy" in failing(args)
    np.savez(tmp_path / "x.npz", a=DIGITS.test[0][:2], b=DIGITS.test[0][:2])
    args = ["predict", folder, "--inputs", tmp_path / "x.npz", "--to", tmp_path / "y.npy"]
    assert "holds the arrays 'a', 'b'; expected ''" in failing(args)
    assert "config.json is missing" in failing(["eval", tmp_path / "nowhere"])


def test_a_run_that_has_not_ended_has_nothing_to_use(tmp_path):
    train.run_folder(digits.Config(out=tmp_path))
    assert "variables.safetensors is missing; the run has not ended" in failing(["eval", tmp_path])


def test_export_writes_a_program_that_answers_as_the_model(folder, tmp_path):
    main(["export", str(folder), "--to", str(tmp_path / "program")])
    program = train.load_stablehlo(tmp_path / "program")
    x = DIGITS.test[0][:5]
    np.testing.assert_allclose(program({"x": x})["y"], logits(folder, x), rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore")  # those of jax2onnx
def test_export_writes_onnx_where_the_file_is_named_so(folder, tmp_path):
    pytest.importorskip("jax2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    path = tmp_path / "model.onnx"
    main(["export", str(folder), "--to", str(path)])
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    x = DIGITS.test[0][:5]
    np.testing.assert_allclose(
        session.run(None, {"x": x})[0], logits(folder, x), rtol=1e-4, atol=1e-5
    )


def test_a_fold_of_membrane_is_used_by_the_configuration_around_it(tmp_path):
    membrane = RECIPES["membrane"]
    config = membrane.Config(depth=1, width=2, tile=16, out=tmp_path)
    train.run_folder(config)
    model = membrane.build(config)
    made = model.init(jax.random.key(0), membrane.inputs(config))
    (tmp_path / "fold_1").mkdir()
    train.save(tmp_path / "fold_1" / "variables.safetensors", made)
    x = np.zeros((2, 16, 16, 1), np.uint8)
    np.save(tmp_path / "x.npy", x)
    args = [
        "predict",
        tmp_path / "fold_1",
        "--inputs",
        tmp_path / "x.npy",
        "--to",
        tmp_path / "y.npy",
    ]
    main([str(arg) for arg in args])
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), model(made, x), rtol=1e-4, atol=1e-5)
    assert "membrane tests all of its models together" in failing(["eval", tmp_path / "fold_1"])


def test_sweep_tries_all_combinations_and_tells_the_best_first(tmp_path, capsys):
    main(
        [
            *("sweep", "digits", "--vary", "rate=1e-5,1e-2", "model=mlp", "--seeds", "2"),
            *("--epochs", "2", "--out", str(tmp_path)),
        ]
    )
    out = capsys.readouterr().out
    assert "2 settings × 2 seeds × 2 epochs in 1 program" in out
    with (tmp_path / "sweep.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["rate"], row["model"]) for row in rows] == [("0.01", "mlp"), ("1e-05", "mlp")]
    assert json.loads((tmp_path / "sweep.json").read_text())["seeds"] == 2
    config = digits.Config(model="mlp", rate=1e-2, epochs=2)
    training, validation = digits.examples(config)
    steps = train.steps_for(training, epochs=2, batch_size=64)
    alone = [
        train.fit(
            *(digits.objective(config), digits.optimizer(config, steps), training),
            epochs=2, batch_size=64, seed=seed, validation=validation, progress=False,
        ).history["validation_loss"][-1]
        for seed in (0, 1)
    ]  # fmt: skip
    assert float(rows[0]["validation_loss"]) == pytest.approx(np.mean(alone), rel=1e-4)


@pytest.mark.parametrize(
    ("vary", "words"),
    [
        ("epochs=3", "epochs is the same for all; vary some of model, rate"),
        ("seed=3", "seed is varied by --seeds"),
        ("depth=3", "is no setting and its values; write NAME=VALUE,VALUE, the name one of model"),
        ("rate", "is no setting and its values"),
        ("rate=fast", "could not convert string to float: 'fast'; expected float"),
    ],
)
def test_what_cannot_be_varied_says_so(vary, words):
    assert words in failing(["sweep", "digits", "--vary", vary])


def test_bench_tells_times(capsys):
    main(["bench", "digits", "--model", "mlp", "--seconds", "0.1"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"digits on {jax.devices()[0].device_kind}, batches of 64"
    assert [line.split()[0] for line in lines[1:4]] == ["compilation", "a", "speed"]


def test_the_flops_of_a_step_are_three_times_those_of_the_model():
    """Of a network's products, backward makes two for each of forward, but one for the first."""
    config = digits.Config(model="mlp")
    data, _ = digits.examples(config)
    batch = jax.tree.map(lambda x: x[:64], data)
    objective, optimizer = digits.objective(config), digits.optimizer(config, 10)
    state = train.init(objective, optimizer, batch)
    forward = 64 * (64 * 256 + 256 * 256 + 256 * 10)
    first = 64 * 64 * 256
    assert step_flops(objective, optimizer, state, batch) == 2 * (3 * forward - first)


def test_the_peak_is_that_of_the_devices_kind(monkeypatch):
    assert peak(1) is None, "a CPU's is not told"

    class Device:
        device_kind = "NVIDIA H100 80GB HBM3"

    monkeypatch.setattr(jax, "devices", lambda: [Device()])
    assert peak(2) == 2 * PEAKS["H100"]


def test_numbers_are_told_in_three_digits():
    told = [counted(x) for x in (0.5, 999.0, 1000.0, 123_456.0, 2.5e9, 989e12, 1.5e15)]
    assert told == ["0.5", "999", "1k", "123k", "2.5G", "989T", "1.5P"]


def test_datasets_are_listed_with_their_places(capsys, monkeypatch, tmp_path):
    (tmp_path / "cora").mkdir()
    monkeypatch.setenv("LAMINAX_DATA", str(tmp_path))
    main(["datasets"])
    told = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert set(told) == {
        *("cifar10", "cora", "digits", "membrane", "mnist", "multi30k", "tinyshakespeare")
    }
    assert "comes with laminax" in told["digits"]
    assert " in LAMINAX_DATA" in told["cora"] and "not in LAMINAX_DATA" in told["mnist"]
    monkeypatch.delenv("LAMINAX_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    main(["datasets"])
    told = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "downloaded when it is read" in told["mnist"]
    assert "LAMINAX_DATA is not set" in told["cora"]


def test_a_data_set_is_read_and_told(capsys):
    main(["datasets", "digits"])
    out = capsys.readouterr().out
    assert "digits.train[0]: uint8(1258, 8, 8, 1)" in out
    assert "digits.classes: 10 texts, the first '0'" in out


def test_a_configuration_file_stands_for_recipe_and_settings(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(digits, "main", given.append)
    before = digits.Config(model="mlp", epochs=3, rate=1e-4, out=tmp_path)
    train.run_folder(before)
    main(["train", str(tmp_path / "config.json"), "--epochs", "5"])
    assert given == [digits.Config(model="mlp", epochs=5, rate=1e-4)]
    assert read("resume", tmp_path) == Run(digits, before)


def test_files_that_are_no_configuration_say_so(tmp_path):
    assert "there is no file" in failing(["train", tmp_path / "gone.json"])
    (tmp_path / "list.json").write_text("[1]")
    assert "no JSON object with a recipe" in failing(["train", tmp_path / "list.json"])
    assert expanded(["predict", "--inputs", "x.json"]) == ["predict", "--inputs", "x.json"]


def test_a_smoke_run_takes_the_recipes_small_settings(monkeypatch):
    given = []
    monkeypatch.setattr(digits, "main", given.append)
    main(["train", "digits", "--smoke", "--model", "mlp"])
    assert given == [digits.Config(model="mlp", **digits.SMOKE)]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_tried_and_leaves_pictures_or_a_text(name, tmp_path):
    """As a user would: in a process of its own, with the compiler's optimization."""
    try:
        RECIPES[name].examples(RECIPES[name].Config())
    except OSError as error:
        pytest.skip(str(error))
    done = subprocess.run(
        [sys.executable, "-m", "laminax", "train", name, "--smoke", "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={key: value for key, value in os.environ.items() if key != "XLA_FLAGS"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    files = {path.name for path in tmp_path.rglob("*")}
    assert {"config.json", "result.json", "history.csv", "variables.safetensors"} <= files
    pytest.importorskip("matplotlib")
    assert "curves.png" in files

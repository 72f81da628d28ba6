"""The command line, as a user types it."""

import csv
import dataclasses
import io
import json
import re
import signal
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import jax
import numpy as np
import pytest
import tqdm.auto
from safetensors.numpy import load_file

from laminax import nn, train
from laminax.train.cli import main
from laminax.train.recipes import RECIPES, digits

TINY = ["--model", "mlp", "--epochs", "1", "--seed", "3"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder and what was printed."""
    out = tmp_path_factory.mktemp("runs") / "first"
    with redirect_stdout(io.StringIO()) as printed:
        main(["train", "digits", *TINY, "--out", str(out)])
    return out, printed.getvalue()


def test_training_prints_the_test_accuracy(run):
    out, printed = run
    result = json.loads((out / "result.json").read_text())
    told = re.search(r"digits: test accuracy ([\d.]+)%.* on 539 held-out examples", printed)
    assert float(told[1]) == pytest.approx(100 * result["accuracy"], abs=0.005)
    assert 0.5 < result["accuracy"] <= 1


def test_the_run_folder_holds_configuration_and_history(run):
    out, _ = run
    config = json.loads((out / "config.json").read_text())
    expected = dataclasses.asdict(digits.Config(model="mlp", epochs=1, seed=3, out=str(out)))
    assert config == {"recipe": "digits", **expected}
    with (out / "history.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["epoch"] == "1"
    columns = {"loss", "accuracy", "validation_loss", "validation_accuracy", "rate"}
    assert columns <= row.keys()


def test_the_variables_saved_are_what_was_scored(run):
    out, _ = run
    data, model = train.data.digits(), digits.build(digits.Config(model="mlp"))
    spec = jax.eval_shape(lambda x: model.init(jax.random.key(0), x), data.test[0])
    saved = load_file(out / "variables.safetensors")
    variables = jax.tree.map_with_path(
        lambda path, leaf: saved[jax.tree_util.keystr(path, simple=True, separator="/")], spec
    )
    objective = train.supervised(
        model, nn.losses.cross_entropy, metrics={"accuracy": nn.metrics.accuracy}
    )
    result = json.loads((out / "result.json").read_text())
    assert train.evaluate(objective, variables, data.test) == pytest.approx(result, rel=1e-6)


def test_pictures_are_drawn_where_matplotlib_is(run):
    image = pytest.importorskip("matplotlib.image")
    for name in ("curves.png", "confusion.png"):
        pixels = image.imread(run[0] / name)
        assert min(pixels.shape[:2]) > 100
        assert len(np.unique(pixels)) > 10, "something is drawn"


def test_the_installed_command_trains(tmp_path):
    command = Path(sys.executable).with_name("laminax")
    start = [str(command)] if command.exists() else [sys.executable, "-m", "laminax"]
    done = subprocess.run(
        [*start, "train", "digits", *TINY, "--out", "run"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"digits: test accuracy \d+\.\d+%", done.stdout)
    assert (tmp_path / "run" / "result.json").exists()
    assert "Traceback" not in done.stderr


def test_summary_is_a_table_of_the_model(capsys):
    main(["summary", "mnist", "--model", "lenet"])
    out = capsys.readouterr().out
    assert "61,706" in out
    assert "conv_0" in out
    assert "dense_2" in out


@pytest.mark.parametrize(
    "args, words",
    [
        (["train", "digits", "--model", "resnet"], "resnet"),
        (["train", "letters"], "letters"),
        (["summary", "mnist", "--model", "resnet"], "resnet"),
        (["summary", "imagenet", "--model", "mlp"], "mlp"),
        (["train", "digits", "--epochs", "many"], "many"),
        (["train", "digits", "--batchsize", "3"], "batchsize"),
    ],
)
def test_what_the_command_line_does_not_know_ends_in_status_2(args, words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(args)
    assert ended.value.code == 2
    captured = capsys.readouterr()
    assert words in captured.out + captured.err


@pytest.mark.parametrize(
    "args, words",
    [
        (["train", "digits", "--out", "{file}/run"], "cannot write in the folder .*file/run"),
        (["train", "mnist"], "mnist: no folder .*nowhere/mnist"),
        (["train", "digits", "--epochs", "0"], "epochs must be an integer of at least 1, got 0"),
        (["train", "digits", "--batch-size", "9999"], "batch_size is 9999 but there are only"),
        (["train", "digits", "--rate", "-1"], "is -1.0; expected"),
        (["train", "digits", "--seed", "-1"], "[Ss]eed must be"),
    ],
)
def test_what_cannot_be_done_ends_in_one_line_and_status_1(args, words, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LAMINAX_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(SystemExit) as ended:
        main([arg.format(file=tmp_path / "file") for arg in args])
    assert re.match(rf"laminax: [^\n]*{words}[^\n]*$", ended.value.code)


def test_a_damaged_file_ends_in_one_line_without_traceback(tmp_path):
    (tmp_path / "mnist").mkdir()
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (tmp_path / "mnist" / f"{name}-ubyte").write_bytes(b"\0\0\x08\x03\0")
    done = subprocess.run(
        [sys.executable, "-m", "laminax", "train", "mnist"],
        env={"LAMINAX_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert re.fullmatch(r"laminax: read_idx: .*ends inside its header.*Replace.*\n", done.stderr)


def test_divergence_ends_in_one_line_too(monkeypatch):
    def diverge(config):
        raise train.Diverged("fit: the loss is nan at step 3")

    monkeypatch.setattr(digits, "main", diverge)
    with pytest.raises(SystemExit) as ended:
        main(["train", "digits"])
    assert ended.value.code == "laminax: fit: the loss is nan at step 3"


def test_the_summary_tells_the_published_multiply_adds(capsys):
    main(["summary", "imagenet", "--model", "vgg19"])
    printed = capsys.readouterr().out
    assert "143,667,240 parameters" in printed and "19,632,062,464 multiply-adds" in printed


def run_with(args, capsys):
    """The status that the command ends with, and what it prints."""
    with pytest.raises(SystemExit) as ended:
        main(args)
    return ended.value.code, capsys.readouterr().out


def test_help_tells_the_recipes_and_the_exit_status(capsys):
    status, out = run_with(["--help"], capsys)
    assert not status
    for number in ("0 done", "1 a bad setting", "2 a command line", "130 interrupted"):
        assert number in " ".join(out.split())
    status, out = run_with(["train", "--help"], capsys)
    assert not status
    told = " ".join(out.replace("│", " ").split())
    for name, recipe in RECIPES.items():
        assert f"• {name} {recipe.Config.__doc__}" in told


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_run_with_its_own_settings(name, monkeypatch):
    given = []
    monkeypatch.setattr(RECIPES[name], "main", given.append)
    main(["train", name, "--seed", "7"])
    assert given == [RECIPES[name].Config(seed=7)]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_it_prints_a_script_that_completes(shell, capsys):
    status, out = run_with(["--tyro-print-completion", shell], capsys)
    assert not status
    assert "laminax" in out
    if shell == "bash":
        script = f"{out}\ncomplete -p laminax"
        assert (
            subprocess.run(["bash", "-c", script], check=False, capture_output=True).returncode == 0
        )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_training_reports_and_ends_in_status_130(
    number, capsys, monkeypatch, tmp_path
):
    signals = [number]

    class Bar(tqdm.auto.tqdm):
        def update(self, steps):
            if signals:
                signal.raise_signal(signals.pop())

    monkeypatch.setattr(tqdm.auto, "tqdm", Bar)
    args = ["train", "digits", *TINY[:2], "--epochs", "9999", "--out", str(tmp_path)]
    with pytest.raises(SystemExit) as ended:
        main(args)
    assert ended.value.code == 130
    printed = capsys.readouterr()
    assert "digits: test accuracy" in printed.out
    told = re.search(r"interrupted after (\d+) steps; go on by laminax resume (\S+)", printed.err)
    assert int(told[1]) < 9999 and told[2] == str(tmp_path)


def test_an_interrupt_ends_all_folds(capsys, monkeypatch):
    fits = []

    def fit(*args, **options):
        fits.append(args)
        return train.Result(None, train.History(), None, True)

    x = np.zeros((4, 16, 16, 1), np.uint8)
    data = train.data.Segmentation("membrane", x, x[..., 0].astype(np.int32), ("no", "yes"))
    monkeypatch.setattr(train.data, "membrane", lambda: data)
    monkeypatch.setattr(train, "fit", fit)
    status, _ = run_with(["train", "membrane", "--folds", "2", "--tile", "8"], capsys)
    assert status == 130
    assert len(fits) == 1


def test_a_run_goes_on_from_its_folder(tmp_path, capsys):
    whole, part = tmp_path / "whole", tmp_path / "part"
    main(["train", "digits", "--model", "mlp", "--epochs", "2", "--out", str(whole)])
    settings = ["train", "digits", "--model", "mlp", "--epochs", "2", "--out", str(part)]

    def stop(event, view):
        if event == "row":
            raise RuntimeError("power cut")

    fit = train.fit
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "fit", lambda *args, **more: fit(*args, **more, callbacks=[stop]))
        with pytest.raises(RuntimeError, match="power cut"):
            main(settings)
    with pytest.raises(SystemExit, match="holds the checkpoints of a run; go on with it"):
        main(settings)
    with pytest.raises(SystemExit, match=r"other settings: epochs was 2, now 3; go on with its"):
        main([*settings, "--resume", "--epochs", "3"])
    main(["resume", str(part)])
    results = [json.loads((out / "result.json").read_text()) for out in (whole, part)]
    assert results[0] == results[1]
    variables = [load_file(out / "variables.safetensors") for out in (whole, part)]
    assert all(np.array_equal(variables[0][name], variables[1][name]) for name in variables[0])
    capsys.readouterr()
    main(["verify", str(part)])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 3 and all(": whole, " in line for line in lines)
    damaged = part / "variables.safetensors"
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(SystemExit) as ended:
        main(["verify", str(part)])
    assert ended.value.code == 1
    assert f"{damaged}: restore: {damaged} is damaged" in capsys.readouterr().out


def test_what_cannot_be_resumed_or_verified_says_so(tmp_path):
    with pytest.raises(SystemExit, match=r"config\.json is missing; give the --out"):
        main(["resume", str(tmp_path)])
    (tmp_path / "config.json").write_text(json.dumps({"recipe": "own", "rate": 1.0}))
    with pytest.raises(SystemExit, match=r"is of 'own', which is no recipe of addition, .*script"):
        main(["resume", str(tmp_path)])
    (tmp_path / "config.json").write_text(json.dumps({"recipe": "digits", "rate": 1.0}))
    with pytest.raises(SystemExit, match="has the settings rate, but digits now takes others"):
        main(["resume", str(tmp_path)])
    with pytest.raises(SystemExit, match="holds no checkpoint"):
        main(["verify", str(tmp_path)])


def test_checkpoints_in_parts_are_verified_too(tmp_path, capsys):
    pytest.importorskip("orbax.checkpoint")
    path = tmp_path / "checkpoints" / "000000010.orbax"
    train.save(path, {"w": np.ones(3)})
    main(["verify", str(tmp_path)])
    main(["verify", str(path)])
    assert capsys.readouterr().out == f"{path}: whole, 1 leaves\n" * 2
    next(path.glob("ocdbt*/d/*")).unlink()
    with pytest.raises(SystemExit, match="1"):
        main(["verify", str(tmp_path)])
    assert "is missing" in capsys.readouterr().out

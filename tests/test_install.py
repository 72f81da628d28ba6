"""The library as it is installed: found beside any `train.py`, and light to import."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("nn", "optim", "train")
EXTRAS = {
    "datasets", "equinox", "flax", "grain", "haiku", "IPython", "ipywidgets", "jax2onnx", "keras",
    "matplotlib", "onnx", "onnxruntime", "optuna", "orbax", "pandas", "PIL", "pyarrow", "sacrebleu",
    "scipy.optimize", "sklearn", "tensorboardX", "tensorflow", "tokenizers", "torch", "torchvision",
    "treescope", "tyro",
}  # fmt: skip
LOOK = """
import json, sys
from laminax import nn, optim, train
import laminax
import jax
from jax._src import xla_bridge
print(json.dumps({
    "files": [module.__file__ for module in (laminax, nn, optim, train)],
    "devices": xla_bridge.backends_are_initialized(),
    "modules": sorted(sys.modules),
    "version": laminax.__version__,
}))
"""


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """What importing the library does in a folder that holds the user's own train.py."""
    folder = tmp_path_factory.mktemp("project")
    for name in (*ROOMS, "data"):
        (folder / f"{name}.py").write_text("raise SystemExit('the wrong module')\n")
    (folder / "look.py").write_text(LOOK)
    done = subprocess.run(
        [sys.executable, "look.py"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, json.loads(done.stdout)


def test_the_library_is_found_beside_the_users_own_train(imported):
    folder, seen = imported
    for file in seen["files"]:
        assert not Path(file).is_relative_to(folder)
    assert [Path(file).resolve().parent.name for file in seen["files"]] == ["laminax", *ROOMS]


def test_importing_touches_no_device(imported):
    # Every array lives on a device, so no array was made either.
    assert imported[1]["devices"] is False


def test_importing_pulls_in_no_extra(imported):
    modules = set(imported[1]["modules"])
    assert "optax" in modules
    assert not EXTRAS & modules


def test_the_version_is_that_of_the_project(imported):
    assert imported[1]["version"] == project()["project"]["version"]


def project():
    path = ROOT / "pyproject.toml"
    if not path.exists():
        pytest.skip("installed without its repository")
    return tomllib.loads(path.read_text())


def test_every_package_is_listed():
    listed = set(project()["tool"]["setuptools"]["packages"])
    found = {"laminax"}
    for room in ROOMS:
        for file in (ROOT / room).rglob("__init__.py"):
            found.add(".".join(["laminax", *file.parent.relative_to(ROOT).parts]))
    assert listed == found


def test_every_room_is_a_folder_at_the_root_and_a_link_in_the_package():
    directories = project()["tool"]["setuptools"]["package-dir"]
    assert directories == {"laminax": "laminax", **{f"laminax.{room}": room for room in ROOMS}}
    for room in ROOMS:
        assert (ROOT / "laminax" / room).readlink() == Path("..", room)


def sources(*folders, suffixes=(".py",)):
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in suffixes and "__pycache__" not in path.parts:
                yield path


@pytest.mark.parametrize("room", ROOMS)
def test_files_are_short(room):
    lengths = {path: len(path.read_text().splitlines()) for path in sources(room)}
    assert lengths
    assert {str(path): n for path, n in lengths.items() if n > 250} == {}


@pytest.mark.parametrize("room", ROOMS)
def test_inits_only_re_export(room):
    line = re.compile(
        r"(from \.[\w.]* import (\w+) as \2|from (?:optax|jax[\w.]*) import (\w+) as \3)?"
    )
    for path in sources(room):
        if path.name == "__init__.py":
            body = re.sub(r'\A""".*?"""', "", path.read_text(), flags=re.DOTALL)
            wrong = [text for text in body.splitlines() if not line.fullmatch(text)]
            assert wrong == [], path


def test_no_file_names_anybodys_home():
    homes = re.compile("/(home|Users|root)" + r"/\w")
    texts = [".py", ".md", ".toml", ".yaml", ".yml", ".json", ".cfg", ".ipynb", ".csv", ""]
    top = [path for path in ROOT.iterdir() if path.is_file() and path.suffix in texts]
    inside = sources(
        *ROOMS, "laminax", "tests", "benchmarks", "notebooks", ".github", suffixes=texts
    )
    wrong = [
        f"{path}:{number}"
        for path in [*top, *(path for path in inside if path.is_file())]
        for number, line in enumerate(path.read_text(errors="ignore").splitlines(), 1)
        if homes.search(line)
    ]
    assert wrong == []

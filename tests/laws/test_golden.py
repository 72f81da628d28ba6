"""The parameter tree of each row, pinned: paths, shapes and dtypes are public.

Checkpoints, masks and transfer name parameters by path, so a change here breaks users' files. Where
it is meant, write the trees anew and read the difference before keeping it:

    LAMINAX_WRITE_GOLDEN=1 .venv/bin/pytest tests/laws/test_golden.py
"""

import json
import os
from pathlib import Path

import jax
import pytest

from .running import example, layer_of
from .table import LAYERS

FILE = Path(__file__).with_name("golden_trees.json")


def tree(row):
    x, _ = example(row)
    made = jax.eval_shape(layer_of(row).init, jax.random.key(0), x)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): f"{leaf.dtype}{list(leaf.shape)}"
        for path, leaf in jax.tree_util.tree_leaves_with_path(made._asdict())
    }


@pytest.mark.skipif("LAMINAX_WRITE_GOLDEN" not in os.environ, reason="writes the golden file")
def test_write():
    trees = {str(row): tree(row) for row in LAYERS}
    FILE.write_text(json.dumps(trees, indent=2, sort_keys=True) + "\n")


@pytest.mark.parametrize("row", LAYERS, ids=str)
def test_the_tree_is_the_golden_one(row):
    assert tree(row) == json.loads(FILE.read_text())[str(row)]


def test_the_file_holds_no_other_rows():
    assert set(json.loads(FILE.read_text())) == set(map(str, LAYERS))

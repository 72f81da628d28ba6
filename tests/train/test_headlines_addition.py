"""The accuracy that the addition recipe is known for, by the command line's own path."""

import json

import pytest

from laminax.train.recipes import addition

pytestmark = pytest.mark.slow


def test_addition_of_problems_never_seen(tmp_path):
    addition.main(addition.Config(out=tmp_path))
    scores = json.loads((tmp_path / "result.json").read_text())
    assert scores["exact"] >= 0.99, scores

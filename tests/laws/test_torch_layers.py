"""Parity with torch of the layers, in float64: outputs and gradients, to 1e-10.

torch's arrays are the reference; weights are copied over. Without torch the layers are compared
with the same equations in NumPy by the files of `tests/nn`, and these tests are skipped.
"""

import numpy as np
import pytest

from laminax import nn

from .parity import compare, evaluate, normal

torch = pytest.importorskip("torch", reason="torch is not installed: parity with it is unchecked")
F = torch.nn.functional


pytestmark = pytest.mark.usefixtures("float64")


@pytest.mark.parametrize("bias", [True, False])
def test_dense(bias):
    arrays = {"x": normal(4, 5, 3), "w": normal(3, 7)} | ({"b": normal(7)} if bias else {})
    compare(
        lambda a: evaluate(nn.dense(7, bias=bias), a),
        lambda t: F.linear(t["x"], t["w"].T, t.get("b")),
        arrays,
    )


def test_embedding():
    compare(
        lambda a: evaluate(nn.embedding(9, 4), a),
        lambda t: F.embedding(t["x"], t["table"]),
        {"x": np.array([[1, 8, 0], [1, 1, 5]]), "table": normal(9, 4)},
    )

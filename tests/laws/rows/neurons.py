"""Rows of single neurons and linear models."""

from typing import Any

import numpy as np

from laminax import nn

from ..kinds import BATCH, Row, integers, normal, sequence


def bits() -> Any:
    return integers(BATCH, 5, 3, below=2).astype(np.float32)


def pairs() -> Any:
    return normal(BATCH, 5, 2)


LAYERS = [
    Row("mcculloch_pitts", lambda: nn.mcculloch_pitts(1, inhibitory=(2,)), bits),
    Row("perceptron", lambda: nn.perceptron(2), sequence, steps=True),
    Row("adaline", lambda: nn.adaline(2), sequence, steps=True),
    Row("xor_net", lambda: nn.xor_net(), pairs),
    Row("linear_regression", lambda: nn.linear_regression(2), sequence),
    Row("polynomial_regression", lambda: nn.polynomial_regression(3, 2), pairs),
    Row("polynomial_features", lambda: nn.polynomial_features(2), sequence),
    Row("logistic_regression", lambda: nn.logistic_regression(), sequence),
    Row("softmax_regression", lambda: nn.softmax_regression(4), sequence),
]  # fmt: skip

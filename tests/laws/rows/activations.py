"""Rows of activations."""

from laminax import nn

from ..kinds import Row, sequence

NAMES = [
    "elu", "gelu", "heaviside", "log_softmax", "relu", "selu", "sigmoid", "sign", "silu", "softmax",
    "softplus", "tanh",
]  # fmt: skip


def activation(name: str) -> Row:
    return Row(name, lambda: nn.serial(getattr(nn, name)), sequence)


LAYERS = [
    *map(activation, NAMES),
    Row("leaky_relu", lambda: nn.serial(nn.leaky_relu(0.1)), sequence),
]

"""Rows of models."""

from laminax import nn

from ..kinds import BATCH, Row, images, normal

LAYERS = [
    Row("mlp", lambda: nn.mlp(5, 4, 3, dropout=0.3), images, cell=False, random=True),
    Row(
        "mlp",
        lambda: nn.mlp(4, 4, 3, activation=nn.tanh, norm=nn.layer_norm(), residual=True),
        images,
        "residual",
        cell=False,
    ),
    Row("lenet", lambda: nn.lenet(3), lambda: normal(BATCH, 12, 12, 1), cell=False),
    Row("cnn", lambda: nn.cnn(2, 3, classes=4), lambda: normal(BATCH, 10, 10, 1), cell=False),
]  # fmt: skip

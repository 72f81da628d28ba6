"""Rows of image models."""

from laminax import nn

from ..kinds import BATCH, Row, normal

LAYERS = [
    Row("lenet5", nn.lenet5, lambda: normal(BATCH, 28, 28, 1, seed=1), cell=False),
    Row(
        "alexnet",
        lambda: nn.alexnet(classes=3, width=2, dropout=0.1),
        lambda: 0.1 * normal(BATCH, 63, 63, 1),
        cell=False,
        random=True,
    ),
    Row(
        "vgg",
        lambda: nn.vgg((1, 2), classes=3, width=1),
        lambda: normal(BATCH, 4, 4, 1),
        cell=False,
        random=True,
    ),
    Row(
        "vgg",
        lambda: nn.vgg((1, 1), classes=3, width=2, batch_norm=True, dropout=0.0),
        lambda: normal(BATCH, 4, 4, 2),
        "batch_norm",
        cell=False,
        state=True,
        smooth=False,  # a bias before batch norm moves nothing in training
    ),
    Row(
        "plain",
        lambda: nn.plain((1,), classes=3, width=3),
        lambda: normal(BATCH, 6, 6, 2),
        cell=False,
        state=True,
    ),
    Row(
        "resnet",
        lambda: nn.resnet((1, 2), classes=3, width=2),
        lambda: normal(BATCH, 8, 8, 1),
        cell=False,
        state=True,
    ),
    Row(
        "cifar_resnet",
        lambda: nn.cifar_resnet(8, classes=3, width=2),
        lambda: normal(BATCH, 4, 4, 1),
        cell=False,
        state=True,
    ),
    Row("unet", lambda: nn.unet(2, depth=1, width=2), lambda: normal(BATCH, 4, 6, 1), cell=False),
    Row(
        "unet",
        lambda: nn.unet(2, depth=1, width=1, dropout=0.3),
        lambda: normal(BATCH, 2, 2, 4, 1),
        "3d",
        cell=False,
        random=True,
    ),
]  # fmt: skip

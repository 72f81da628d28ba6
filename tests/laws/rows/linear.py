"""Rows of the layers without neighbors: affine maps, tables, flattening."""

from typing import Any

from laminax import nn

from ..kinds import Row, images, sequence, tokens


def bilinear() -> Any:
    return nn.compose(lambda c, x: c.pair((x, x[..., 1:] ** 2)), pair=nn.bilinear(2))


LAYERS = [
    Row("dense", lambda: nn.dense(4), sequence),
    Row("dense", lambda: nn.dense(4, bias=False), sequence, "no_bias"),
    Row("bilinear", bilinear, sequence),
    Row("maxout", lambda: nn.maxout(2, 3), sequence),
    Row("parameter", lambda: nn.parameter((2, 3)), sequence, cell=False, reads_x=False),
    Row("embedding", lambda: nn.embedding(7, 3), tokens, integer=True),
    Row("flatten", lambda: nn.flatten(), images, cell=False),
]  # fmt: skip
